"""Packed executor, which forwards every unique token of a call once.

A row contains several sibling continuations. An additive float mask restricts the attention of a
token to the shared prefix and its ancestors, and `position_ids` are depths in the tree, so every
token has the same context as in a separate forward. `certify` checks the executor before use,
because sliding windows, ALiBi and eager attention with a boolean mask give silently wrong numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from auditkit.engine.decoder import Body, Counters, Path, cache_of, path_of
from auditkit.engine.plan import Group, Limits, Plan, Prefix, Row, Wanted, make_plan
from auditkit.engine.prefix_tree import Ids, build_tree

__all__ = ["plan_for", "score_packed"]


def plan_for(body: Body, pairs: Sequence[tuple[Ids, Ids]], limits: Limits | None = None) -> Plan:
    """Plan the forward passes of a call, given the model's memory of keys and values per token."""
    return make_plan(build_tree(pairs), limits or Limits(kv_bytes=body.kv_bytes))


@torch.inference_mode()
def score_packed(
    body: Body,
    pairs: Sequence[tuple[Ids, Ids]],
    counters: Counters,
    *,
    limits: Limits | None = None,
    siblings_visible: bool = False,
) -> list[list[float]]:
    """Return the log-probability in nats of every continuation token, with packed forward passes.

    Args:
        siblings_visible: whether sibling continuations attend to each other, which is wrong and
            serves only as the negative control of the self-probe.
    """
    plan = plan_for(body, pairs, limits)
    counters.tokens_asked += plan.tree.tokens_asked
    counters.unique_tokens += plan.tree.unique_tokens
    values = [0.0] * plan.tree.n_slots
    path = body.root()
    for step in plan.steps:
        path = [
            (k[:, :, : body.n_virtual + step.past], v[:, :, : body.n_virtual + step.past])
            for k, v in path
        ]
        if isinstance(step, Prefix):
            path, found = _run_prefix(body, step, path, counters)
        else:
            found = _run_group(body, step, path, counters, siblings_visible=siblings_visible)
        for slot, value in found:
            values[slot] = value
    return [[values[slot] for slot in slots] for slots in plan.tree.slots]


Found = list[tuple[int, float]]


def _run_prefix(body: Body, step: Prefix, path: Path, counters: Counters) -> tuple[Path, Found]:
    ids = torch.tensor([step.tokens], device=body.device)
    first = body.n_virtual + step.past
    positions = torch.arange(first, first + ids.shape[1], device=body.device)[None]
    cache = cache_of(path)
    states = body.states(ids, mask=None, positions=positions, cache=cache, counters=counters)
    return path_of(cache), _read(body, states[0], step.wanted, counters)


def _run_group(
    body: Body, step: Group, path: Path, counters: Counters, *, siblings_visible: bool
) -> Found:
    past, width, rows = body.n_virtual + step.past, step.width, len(step.rows)
    ids = np.zeros((rows, width), dtype=np.int64)
    positions = np.full((rows, width), past, dtype=np.int64)
    seen = np.zeros((rows, width, past + width), dtype=bool)
    seen[:, :, :past] = True
    for r, row in enumerate(step.rows):
        n = len(row.tokens)
        ids[r, :n] = row.tokens
        positions[r, :n] = np.asarray(row.depths) + body.n_virtual
        seen[r, :n, past : past + n] = (
            np.tri(n, dtype=bool) if siblings_visible else _ancestors(row)
        )
        padding = np.arange(n, width)
        seen[r, padding, past + padding] = True  # avoids a softmax over no positions
    mask = torch.zeros(seen.shape, dtype=body.dtype)
    mask.masked_fill_(torch.from_numpy(~seen), torch.finfo(body.dtype).min)
    states = body.states(
        torch.from_numpy(ids).to(body.device),
        mask=mask[:, None].to(body.device),
        positions=torch.from_numpy(positions).to(body.device),
        cache=cache_of(path, rows),
        counters=counters,
    )
    wanted = [
        Wanted(r * width + want.position, want.token, want.slot)
        for r, row in enumerate(step.rows)
        for want in row.wanted
    ]
    return _read(body, states.flatten(0, 1), wanted, counters)


def _ancestors(row: Row) -> NDArray[np.bool_]:
    """Mask [n, n]: True where position j is an ancestor of position i in the row, or i itself."""
    n = len(row.tokens)
    seen = np.zeros((n, n), dtype=bool)
    for i, parent in enumerate(row.parents):
        if parent >= 0:
            seen[i, :i] = seen[parent, :i]
        seen[i, i] = True
    return seen


def _read(body: Body, states: torch.Tensor, wanted: Sequence[Wanted], counters: Counters) -> Found:
    """(slot, log-probability) of every wanted token, from states [positions, width]."""
    asked = [(want.position, want.token) for want in wanted]
    values = body.log_probabilities(states, asked, counters)
    return [(want.slot, value) for want, value in zip(wanted, values, strict=True)]
