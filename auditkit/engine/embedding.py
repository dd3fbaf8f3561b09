"""Text embeddings of an encoder: one vector per text, pooled over its tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from auditkit.engine.decoder import Counters, upcast
from auditkit.engine.padding import pad_right
from auditkit.engine.prefix_tree import Ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["POOLINGS", "embed", "unit_length"]


def _mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask[:, :, None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def _largest(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return states.masked_fill(mask[:, :, None] == 0, float("-inf")).amax(1)


def _last(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]


# From hidden states [n, tokens, width] and mask [n, tokens], padded on the right, to [n, width].
POOLINGS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mean": _mean,
    "cls": lambda states, _: states[:, 0],
    "max": _largest,
    "lasttoken": _last,
}


def unit_length(vectors: torch.Tensor) -> torch.Tensor:
    """Divide every row [n, width] by its Euclidean length."""
    return torch.nn.functional.normalize(vectors, dim=1)


@torch.inference_mode()
def embed(
    model: PreTrainedModel,
    texts: Sequence[Ids],
    counters: Counters,
    *,
    pooling: str = "mean",
    layers: Sequence[Callable[[torch.Tensor], torch.Tensor]] = (unit_length,),
    batch: int = 32,
) -> NDArray[np.float32]:
    """Return the embeddings of texts, [n, width], in the order of `texts`.

    Args:
        texts: token ids, including special tokens; no text is empty.
        pooling: key of `POOLINGS`.
        layers: functions applied to the pooled vectors [n, width], in order.
    """
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    rows: list[NDArray[np.float32] | None] = [None] * len(texts)
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        ids, mask = pad_right([texts[i] for i in part], device=model.device)
        counters.count(ids)
        states = upcast(model(input_ids=ids, attention_mask=mask).last_hidden_state)
        vectors = POOLINGS[pooling](states, mask)
        for layer in layers:
            vectors = layer(vectors)
        for i, row in zip(part, vectors.float().cpu().numpy(), strict=True):
            rows[i] = row
    return np.array([row for row in rows if row is not None], dtype=np.float32)
