"""Encoder-decoder executor: encodes each distinct prompt once, decodes in padded batches.

The attention mask of the encoder is repeated together with its outputs; without it, scores are off
by 0.3 nats and no error is raised. Positions of the T5 decoder are relative, so continuations are
not packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from auditkit.engine.decoder import Counters, upcast
from auditkit.engine.padding import pad_right
from auditkit.engine.prefix import batches_of, by_prompt
from auditkit.engine.prefix_tree import Ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.modeling_outputs import BaseModelOutput

__all__ = ["as_output", "encode_prompts", "first_token_logits", "score_encdec"]

_LOGIT_BYTES = 64 << 20


@torch.inference_mode()
def score_encdec(
    model: PreTrainedModel,
    pairs: Sequence[tuple[Ids, Ids]],
    counters: Counters,
    *,
    batch: int = 16,
) -> list[list[float]]:
    """Return the log-probability in nats of every continuation token; the decoder begins with its
    start token.
    """
    values: list[list[float]] = [[] for _ in pairs]
    members = by_prompt(pairs)
    prompts = sorted(members, key=len)
    for begin in range(0, len(prompts), batch):
        part = prompts[begin : begin + batch]
        encoded, mask = encode_prompts(model, part, counters)
        asked = sorted(
            ((row, i) for row, prompt in enumerate(part) for i in members[prompt]),
            key=lambda one: len(pairs[one[1]][1]),
        )
        widest = max(len(pairs[i][1]) for _, i in asked)
        size = max(1, min(64, _LOGIT_BYTES // (4 * widest * model.config.vocab_size)))
        for chunk in (asked[at : at + size] for at in range(0, len(asked), size)):
            rows = [row for row, _ in chunk]
            tails = [pairs[i][1] for _, i in chunk]
            found = _decode(model, encoded[rows], mask[rows], tails, counters)
            for (_, i), scores in zip(chunk, found, strict=True):
                values[i] = scores
    return values


def encode_prompts(
    model: PreTrainedModel, prompts: Sequence[Ids], counters: Counters
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode the prompts; return encoder states [n, longest, width] and their mask [n, longest]."""
    ids, mask = pad_right(prompts, device=model.device)
    counters.count(ids)
    states = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
    return states, mask


@torch.inference_mode()
def first_token_logits(
    model: PreTrainedModel, prompts: Sequence[Ids], counters: Counters, *, batch: int = 32
) -> torch.Tensor:
    """Logits of the first token that the decoder generates for each prompt, [n, vocabulary]."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    rows: list[torch.Tensor | None] = [None] * len(prompts)
    for part in batches_of(order, batch):
        states, mask = encode_prompts(model, [prompts[i] for i in part], counters)
        start = torch.full((len(part), 1), model.config.decoder_start_token_id)
        output = model(
            encoder_outputs=as_output(states),
            attention_mask=mask,
            decoder_input_ids=start.to(model.device),
            use_cache=False,
        )
        for i, row in zip(part, upcast(output.logits[:, 0]).cpu(), strict=True):
            rows[i] = row
    return torch.stack([row for row in rows if row is not None])


def _decode(
    model: PreTrainedModel,
    states: torch.Tensor,
    mask: torch.Tensor,
    tails: Sequence[Ids],
    counters: Counters,
) -> list[list[float]]:
    start = model.config.decoder_start_token_id
    ids, _ = pad_right([[start, *tail[:-1]] for tail in tails], device=model.device)
    counters.count(ids)
    counters.head_rows += ids.numel()
    output = model(
        encoder_outputs=as_output(states),
        attention_mask=mask,
        decoder_input_ids=ids,
        use_cache=False,
    )
    logits = upcast(output.logits)
    wanted, _ = pad_right(tails, device=model.device)
    chosen = logits.gather(2, wanted[:, :, None])[:, :, 0] - logits.logsumexp(dim=2)
    return [
        [float(value) for value in row[: len(tail)]]
        for row, tail in zip(chosen, tails, strict=True)
    ]


def as_output(states: torch.Tensor) -> BaseModelOutput:
    """Wrap encoder states in the output class that models expect."""
    from transformers.modeling_outputs import BaseModelOutput

    return BaseModelOutput(last_hidden_state=states)
