"""Prefix executor, which forwards each distinct prompt once, then its continuations as a batch.

It needs no custom mask, so it is correct for sliding windows and ALiBi, unlike `packed`. Prefixes
are not shared between prompts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from transformers.cache_utils import DynamicCache

from auditkit.engine.decoder import Body, Counters, cache_of
from auditkit.engine.padding import pad_right
from auditkit.engine.prefix_tree import Ids

__all__ = ["batches_of", "by_prompt", "score_prefix"]

_MAX_BYTES = 1 << 30


@torch.inference_mode()
def score_prefix(
    body: Body, pairs: Sequence[tuple[Ids, Ids]], counters: Counters
) -> list[list[float]]:
    """Return the log-probability in nats of every continuation token; each distinct prompt is
    forwarded once.
    """
    values: list[list[float]] = [[] for _ in pairs]
    for prompt, members in by_prompt(pairs).items():
        past = body.n_virtual + len(prompt)
        cache = cache_of(body.root()) if body.n_virtual else DynamicCache(config=body.base.config)
        ids = torch.tensor([prompt], device=body.device)
        positions = torch.arange(body.n_virtual, past, device=body.device)[None]
        states = body.states(ids, mask=None, positions=positions, cache=cache, counters=counters)
        firsts = [(0, pairs[i][1][0]) for i in members]
        for i, value in zip(
            members, body.log_probabilities(states[0, -1:], firsts, counters), strict=True
        ):
            values[i].append(value)
        longer = sorted(
            (i for i in members if len(pairs[i][1]) > 1), key=lambda i: len(pairs[i][1])
        )
        widest = max((len(pairs[i][1]) for i in longer), default=0)
        rows = max(1, min(32, _MAX_BYTES // max(1, (past + widest) * body.kv_bytes)))
        for part in batches_of(longer, rows):
            tails = [pairs[i][1] for i in part]
            for i, found in zip(
                part, _score_tails(body, tails, cache, past, counters), strict=True
            ):
                values[i].extend(found)
    return values


def _score_tails(
    body: Body, tails: Sequence[Ids], cache: DynamicCache, past: int, counters: Counters
) -> list[list[float]]:
    """Log-probabilities of every token except the first, after a copy of the prompt's cache."""
    own = copy.deepcopy(cache)
    own.batch_repeat_interleave(len(tails))
    ids, mask = pad_right([tail[:-1] for tail in tails], device=body.device)
    positions = past + torch.arange(ids.shape[1], device=body.device).expand(ids.shape)
    whole = torch.cat([mask.new_ones((len(tails), past)), mask], dim=1)
    states = body.states(ids, mask=whole, positions=positions, cache=own, counters=counters)
    width = ids.shape[1]
    asked = [
        (row * width + offset, token)
        for row, tail in enumerate(tails)
        for offset, token in enumerate(tail[1:])
    ]
    flat = iter(body.log_probabilities(states.flatten(0, 1), asked, counters))
    return [[next(flat) for _ in tail[1:]] for tail in tails]


def by_prompt(pairs: Sequence[tuple[Ids, Ids]]) -> dict[tuple[int, ...], list[int]]:
    """Group the indices of the (prompt, continuation) pairs by prompt, in order of first
    occurrence.
    """
    found: dict[tuple[int, ...], list[int]] = {}
    for i, (prompt, _) in enumerate(pairs):
        found.setdefault(tuple(prompt), []).append(i)
    return found


def batches_of(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Split indices into consecutive parts of at most `size` indices."""
    return (indices[begin : begin + size] for begin in range(0, len(indices), size))
