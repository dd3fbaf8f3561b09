"""Key-value cache that grows in place, and attention without repeated keys, for faster decoding.

transformers copies the whole cache at every step, once to append a token and once more to repeat
keys and values for grouped query heads. Both copies are avoided here; the arithmetic is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from auditkit.engine.releases import fill

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["grouped_attention", "growing"]

_NAME = "auditkit_grouped"
_ROOM = 64


class _GrowingLayer(DynamicLayer):  # type: ignore[misc] # transformers ships no types
    """Keys and values in buffers with room for more tokens; returned tensors are views."""

    room: list[torch.Tensor]
    keys: torch.Tensor
    values: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        length, new = self.keys.shape[2], key_states.shape[2]
        if length + new > self.room[0].shape[2]:
            self._extend(length + new + _ROOM)
        for buffer, states in zip(self.room, (key_states, value_states), strict=True):
            buffer[:, :, length : length + new] = states
        self.keys, self.values = (buffer[:, :, : length + new] for buffer in self.room)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        self.keys, self.values = self.keys[indices], self.values[indices]
        self._extend(self.keys.shape[2] + _ROOM)

    def _extend(self, tokens: int) -> None:
        rows, heads, length, size = self.keys.shape
        kept = (self.keys, self.values)
        self.room = [states.new_empty((rows, heads, tokens, size)) for states in kept]
        for buffer, states in zip(self.room, kept, strict=True):
            buffer[:, :, :length] = states
        self.keys, self.values = (buffer[:, :, :length] for buffer in self.room)


def growing(cache: DynamicCache) -> DynamicCache:
    """Convert a cache to one that grows in place; a cache with sliding-window layers is returned
    unchanged.
    """
    if any(type(layer) is not DynamicLayer for layer in cache.layers):
        return cache
    for i, layer in enumerate(cache.layers):
        grown = _GrowingLayer()
        fill(grown, layer.keys, layer.values)
        grown._extend(layer.keys.shape[2] + _ROOM)
        cache.layers[i] = grown
    return cache


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one query token; the heads of a group are the queries of one key head."""
    groups = query.shape[1] // key.shape[1]
    if query.shape[2] != 1 or groups == 1 or options.get("dropout"):
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **options
        )
        return found
    rows, heads, _, size = query.shape
    output = torch.nn.functional.scaled_dot_product_attention(
        query.view(rows, heads // groups, groups, size),
        key,
        value,
        attn_mask=None if attention_mask is None else attention_mask[..., : key.shape[2]],
        scale=options.get("scaling"),
    )
    return output.reshape(rows, 1, heads, size), None


@contextmanager
def grouped_attention(model: PreTrainedModel) -> Iterator[None]:
    """Context manager in which sdpa attention uses the keys of grouped-query attention without
    copying them.
    """
    before = model.config._attn_implementation
    if before != "sdpa":
        yield
        return
    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    model.config._attn_implementation = _NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before
