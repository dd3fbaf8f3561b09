"""Text embeddings of an encoder: one unit vector per text, pooled over its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from auditkit.engine.decoder import Counters, upcast
from auditkit.engine.padding import pad_right
from auditkit.engine.prefix_tree import Ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["embed"]


@torch.inference_mode()
def embed(
    model: PreTrainedModel,
    texts: Sequence[Ids],
    counters: Counters,
    *,
    pooling: Literal["mean", "cls"] = "mean",
    batch: int = 32,
) -> NDArray[np.float32]:
    """Embeddings [n, width] of unit length, in the order given.

    Args:
        texts: token ids, including special tokens; no text is empty.
        pooling: mean over tokens, or first token.
    """
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        ids, mask = pad_right([texts[i] for i in part], device=model.device)
        counters.count(ids)
        states = upcast(model(input_ids=ids, attention_mask=mask).last_hidden_state)
        weights = mask[:, :, None].to(states.dtype)
        pooled = (states * weights).sum(1) / weights.sum(1) if pooling == "mean" else states[:, 0]
        vectors[part] = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
    return vectors
