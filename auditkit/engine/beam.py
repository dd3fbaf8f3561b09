"""Beam search with `generate` of transformers, one prompt at a time.

The beams already share the cache of the prompt. This module adds the constraint, the stopping rule
and the counters. Of the model's generation configuration, only the special tokens apply, as in
greedy decoding; transformers would also apply its penalties, and 4.57 its sampling settings.
Source: Wolf et al. 2020 (transformers).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig

from auditkit.engine.decoder import Counters
from auditkit.engine.generation import Decoding, Generated, end_tokens
from auditkit.engine.prefix_tree import Ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["SPECIAL_TOKENS", "beam_search"]

# The settings of a generation configuration that apply to all decoding.
SPECIAL_TOKENS = ("bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id")


@torch.inference_mode()
def beam_search(
    model: PreTrainedModel, prompts: Sequence[Ids], decoding: Decoding, counters: Counters
) -> list[Generated]:
    """Return the best hypothesis of a beam search with `decoding.beams` beams for every prompt."""
    with _only_special_tokens(model):
        return [_best(model, row, prompt, decoding, counters) for row, prompt in enumerate(prompts)]


@contextmanager
def _only_special_tokens(model: PreTrainedModel) -> Iterator[None]:
    """Context manager that removes all settings but special tokens from the model's generation
    configuration.
    """
    own = model.generation_config
    kept = {name: getattr(own, name, None) for name in SPECIAL_TOKENS}
    model.generation_config = GenerationConfig(**kept)
    try:
        yield
    finally:
        model.generation_config = own


def _best(
    model: PreTrainedModel, row: int, prompt: Ids, decoding: Decoding, counters: Counters
) -> Generated:
    ids = torch.tensor([list(prompt)], device=model.device)
    n_read = 1 if model.config.is_encoder_decoder else len(prompt)

    def adjusted(read: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        counters.tokens, counters.forwards = counters.tokens + len(read), counters.forwards + 1
        if decoding.constraint is None:
            return logits
        # Beams are reordered at every step, so the walk starts again from their first token.
        walk = decoding.constraint.begin([row] * len(read), strict=False)
        for column in read[:, n_read:].T.tolist():
            walk.advance(column)
        return walk.mask(logits)

    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        num_beams=decoding.beams,
        do_sample=False,
        max_new_tokens=decoding.max_new_tokens,
        logits_processor=[adjusted],
    )[0]
    counters.tokens += len(prompt)
    stops = end_tokens(model)
    new: list[int] = []
    for token in output[n_read:].tolist():
        if token in stops:
            return Generated(new, cut=False, margin=None)
        new.append(token)
        if decoding.stop and decoding.stop(row, new):
            return Generated(new, cut=False, margin=None)
    return Generated(new, cut=True, margin=None)
