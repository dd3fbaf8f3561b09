"""Prefill the cache of a batch: the shared prefix once, then the remaining tokens by length.

Rows of unequal length are forwarded in parts and their caches are padded afterwards, because
padding in a cache costs nothing, while a padding token in a forward pass costs as much as a real
token.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from auditkit.engine.batches import Batch
from auditkit.engine.decoder import Body, Counters, Path, cache_of, path_of
from auditkit.engine.padding import pad_left
from auditkit.engine.prefix_tree import Ids

__all__ = ["Prefilled", "prefill"]

_PART = 4
_WASTE = 1.05


class Prefilled(NamedTuple):
    """A batch whose prompts were run through the model, ready for generation.

    Attributes:
        logits: logits of the next token, [rows, vocabulary].
        mask: attention mask, [rows, tokens].
        positions: position of each row's last token, [rows, 1].
    """

    logits: torch.Tensor
    cache: DynamicCache
    mask: torch.Tensor
    positions: torch.Tensor


def prefill(body: Body, batch: Batch, counters: Counters) -> Prefilled:
    """Run the prompts of a batch through the model; rows have the order of the prompts."""
    path = _shared(body, batch.prefix, counters)
    past = body.n_virtual + len(batch.prefix)
    longest = max(map(len, batch.tails))
    wasteful = longest * len(batch.tails) > _WASTE * sum(map(len, batch.tails))
    size = _PART if wasteful and _is_dense(body) else len(batch.tails)
    order = sorted(range(len(batch.tails)), key=lambda i: len(batch.tails[i]))
    parts = [
        _read(body, path, [batch.tails[i] for i in order[begin : begin + size]], past, counters)
        for begin in range(0, len(order), size)
    ]
    back = torch.tensor(sorted(range(len(order)), key=order.__getitem__), device=body.device)
    logits = torch.cat([part.logits for part in parts])[back]
    positions = torch.cat([part.positions for part in parts])[back]
    masks = [_padded(part.mask, past, longest, dim=1) for part in parts]
    cache = parts[0].cache if len(parts) == 1 else _joined(parts, past, longest)
    if len(parts) > 1 or order != sorted(order):
        cache.batch_select_indices(back)
    return Prefilled(logits, cache, torch.cat(masks)[back], positions)


def _shared(body: Body, prefix: Ids, counters: Counters) -> Path:
    """Keys and values of the soft prompt and the shared prefix."""
    path = body.root()
    if not len(prefix):
        return path
    ids = torch.tensor([list(prefix)], device=body.device)
    first = torch.arange(body.n_virtual, body.n_virtual + ids.shape[1], device=body.device)[None]
    cache = cache_of(path)
    body.states(ids, mask=None, positions=first, cache=cache, counters=counters)
    return path_of(cache)


def _read(body: Body, path: Path, tails: list[Ids], past: int, counters: Counters) -> Prefilled:
    ids, seen = pad_left(tails, device=body.device)
    mask = torch.cat([seen.new_ones((len(tails), past)), seen], dim=1)
    positions = past + (seen.cumsum(dim=1) - 1).clamp(min=0)
    logits, cache = body.next_logits(
        ids,
        mask=mask,
        positions=positions,
        cache=cache_of(path, len(tails)) if path else None,
        use_cache=True,
        counters=counters,
    )
    return Prefilled(logits, cache, mask, positions[:, -1:])


def _is_dense(body: Body) -> bool:
    """Whether every layer keeps all tokens; a sliding-window cache cannot be padded afterwards."""
    layers = DynamicCache(config=body.base.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def _joined(parts: list[Prefilled], past: int, longest: int) -> DynamicCache:
    """Join the caches of all parts, padded to the longest tail."""
    columns = zip(*(path_of(part.cache) for part in parts), strict=True)
    return cache_of(
        [
            (
                torch.cat([_padded(keys, past, longest, dim=2) for keys, _ in layer]),
                torch.cat([_padded(values, past, longest, dim=2) for _, values in layer]),
            )
            for layer in columns
        ],
        rows=sum(len(part.logits) for part in parts),
    )


def _padded(tensor: torch.Tensor, past: int, longest: int, *, dim: int) -> torch.Tensor:
    """Insert zeros between the shared prefix and the tail, up to the longest tail."""
    missing = past + longest - tensor.shape[dim]
    if not missing:
        return tensor
    shape = list(tensor.shape)
    shape[dim] = missing
    head = tensor.narrow(dim, 0, past)
    tail = tensor.narrow(dim, past, tensor.shape[dim] - past)
    return torch.cat([head, tensor.new_zeros(shape), tail], dim=dim)
