"""Hidden states of a local language model, averaged over the tokens of each prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from auditkit.engine.padding import pad_right
from auditkit.recommenders.adapters.language_model import LanguageModel

__all__ = ["chosen_layers", "mean_states"]

_BATCH = 16


def chosen_layers(n_blocks: int, n: int) -> tuple[int, ...]:
    """Choose at most `n` evenly spaced layers, including the last.

    Layer i is the output of block i, counted from 1.
    """
    places = np.linspace(1, n_blocks, min(n, n_blocks) + 1)[1:] if n < n_blocks else None
    chosen = range(1, n_blocks + 1) if places is None else (round(place) for place in places)
    return tuple(chosen)


@torch.inference_mode()
def mean_states(
    recommender: LanguageModel, prompts: Sequence[str], n_layers: int
) -> dict[int, NDArray[np.float64]]:
    """Compute the mean state of every prompt, by layer, [prompts, width] each.

    For an encoder-decoder, these are states of the encoder.

    Args:
        recommender: the model.
        prompts: rendered prompts, each of at least one token.
        n_layers: largest number of layers; see `chosen_layers`.
    """
    model = recommender.model
    ids = [recommender.token_ids(prompt, "")[0] for prompt in prompts]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    rows: list[NDArray[np.float64] | None] = [None] * len(ids)
    layers: tuple[int, ...] = ()
    seq2seq = bool(model.config.is_encoder_decoder)
    body = model.get_encoder() if seq2seq else model
    for begin in range(0, len(order), _BATCH):
        part = order[begin : begin + _BATCH]
        batch, mask = pad_right([ids[i] for i in part], device=model.device)
        options = {} if seq2seq else {"use_cache": False}
        found = body(
            input_ids=batch, attention_mask=mask, output_hidden_states=True, **options
        ).hidden_states
        layers = chosen_layers(len(found) - 1, n_layers)
        weights = mask[:, :, None].double()
        # A soft prompt precedes the tokens in the states; its positions are not averaged.
        stacked = torch.stack(
            [
                (found[i][:, -mask.shape[1] :].double() * weights).sum(1) / weights.sum(1)
                for i in layers
            ],
            dim=1,
        )
        for i, row in zip(part, stacked.cpu().numpy(), strict=True):
            rows[i] = row
    table = np.stack([row for row in rows if row is not None])
    return {layer: table[:, place] for place, layer in enumerate(layers)}
