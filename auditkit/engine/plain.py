"""Plain executor, which scores pairs in padded batches without a cache.

It is the reference for all faster executors. Batches are sorted by length and padded on the right.
A model with a soft prompt uses the forward of peft in batches of equal length, because peft ignores
position ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import torch

from auditkit.engine.decoder import Body, Counters, upcast
from auditkit.engine.padding import pad_right
from auditkit.engine.prefix import batches_of
from auditkit.engine.prefix_tree import Ids

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

__all__ = ["distributions", "score_plain"]


@torch.inference_mode()
def score_plain(
    body: Body, pairs: Sequence[tuple[Ids, Ids]], counters: Counters, *, batch: int = 32
) -> list[list[float]]:
    """Return the log-probability in nats of every continuation token, with one row per pair; equal
    pairs are not merged.
    """
    lengths = [len(prompt) + len(continuation) - 1 for prompt, continuation in pairs]
    order = sorted(range(len(pairs)), key=lambda i: (lengths[i], i))
    whole = body.n_virtual > 0 or body.adjust is None
    runs = [list(run) for _, run in groupby(order, key=lambda i: lengths[i])] if whole else [order]
    values: list[list[float]] = [[] for _ in pairs]
    for run in runs:
        for part in batches_of(run, batch):
            members = [pairs[i] for i in part]
            score = _through_model if whole else _through_body
            for i, found in zip(part, score(body, members, counters), strict=True):
                values[i] = found
    return values


@torch.inference_mode()
def distributions(
    model: PreTrainedModel, pairs: Sequence[tuple[Ids, Ids]]
) -> Iterator[NDArray[np.float64]]:
    """Yield, for each pair, the log-probabilities in nats of the whole vocabulary at every
    continuation token, [tokens, vocabulary]. Every pair has its own forward pass; encoder-decoder
    models are supported.
    """
    for prompt, continuation in pairs:
        ids = torch.tensor([[*prompt, *continuation[:-1]]], device=model.device)
        if model.config.is_encoder_decoder:
            start = model.config.decoder_start_token_id
            read = torch.tensor([list(prompt)], device=model.device)
            written = torch.tensor([[start, *continuation[:-1]]], device=model.device)
            logits = model(input_ids=read, decoder_input_ids=written).logits[0]
        else:
            logits = model(input_ids=ids, use_cache=False).logits[0]
        # A soft prompt precedes the tokens in the logits.
        rows = logits[-len(continuation) :].double()
        yield rows.log_softmax(dim=1).cpu().numpy()


def _through_body(
    body: Body, pairs: Sequence[tuple[Ids, Ids]], counters: Counters
) -> list[list[float]]:
    ids, mask = pad_right([[*p, *c[:-1]] for p, c in pairs], device=body.device)
    positions = torch.arange(ids.shape[1], device=body.device).expand(ids.shape)
    states = body.states(ids, mask=mask, positions=positions, cache=None, counters=counters)
    asked = [
        (row * ids.shape[1] + len(prompt) - 1 + offset, token)
        for row, (prompt, continuation) in enumerate(pairs)
        for offset, token in enumerate(continuation)
    ]
    flat = iter(body.log_probabilities(states.flatten(0, 1), asked, counters))
    return [[next(flat) for _ in continuation] for _, continuation in pairs]


def _through_model(
    body: Body, pairs: Sequence[tuple[Ids, Ids]], counters: Counters
) -> list[list[float]]:
    """Score with the complete model, for soft prompts and for unknown logit adjustments."""
    ids, mask = pad_right([[*p, *c[:-1]] for p, c in pairs], device=body.device)
    counters.count(ids)
    logits = upcast(body.model(input_ids=ids, attention_mask=mask, use_cache=False).logits)
    logits = logits[:, -ids.shape[1] :]
    counters.head_rows += ids.numel()
    return [
        _gather(row[len(prompt) - 1 : len(prompt) - 1 + len(continuation)], continuation)
        for row, (prompt, continuation) in zip(logits, pairs, strict=True)
    ]


def _gather(logits: torch.Tensor, tokens: Ids) -> list[float]:
    chosen = logits.gather(1, torch.as_tensor(tokens, device=logits.device)[:, None])[:, 0]
    return list(map(float, chosen - logits.logsumexp(dim=1)))
