"""Logits of the next token, for recommenders that rank item tokens in one forward."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from auditkit.engine.batches import batches
from auditkit.engine.decoder import Body, Counters, cache_of
from auditkit.engine.padding import pad_left
from auditkit.engine.prefix_tree import Ids

__all__ = ["next_token_logits"]


@torch.inference_mode()
def next_token_logits(
    body: Body, prompts: Sequence[Ids], counters: Counters, *, pad: bool = True
) -> torch.Tensor:
    """Return the logits of the token after each prompt, [n, vocabulary], float32 or float64."""
    rows: list[torch.Tensor | None] = [None] * len(prompts)
    path = body.root()
    for batch in batches(prompts, share=False, equal=not pad):
        ids, seen = pad_left(batch.tails, device=body.device)
        mask = torch.cat([seen.new_ones((len(ids), body.n_virtual)), seen], dim=1)
        positions = body.n_virtual + (seen.cumsum(dim=1) - 1).clamp(min=0)
        cache = cache_of(path, len(ids)) if path else None
        logits, _ = body.next_logits(
            ids,
            mask=mask,
            positions=positions,
            cache=cache,
            use_cache=bool(path),
            counters=counters,
        )
        for i, row in zip(batch.members, logits.cpu(), strict=True):
            rows[i] = row
    return torch.stack([row for row in rows if row is not None])
