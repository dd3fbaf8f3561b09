"""Generate text in batches, greedy or sampled, with shared prefixes computed once.

Prompts that share most of their tokens (paired prompts) are batched and their common prefix is
computed once; the others are sorted by length and padded on the left. A sampled text depends only
on the seed of its request: noise comes from a counter-based generator keyed by (seed, step), not
from a stream shared by the rows of a batch.

Source: Gumbel-max sampling (Maddison et al. 2014); Philox (Salmon et al. 2011).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from auditkit.engine.batches import Batch, batches
from auditkit.engine.constraint import Constraint
from auditkit.engine.decoder import Body, Counters, upcast
from auditkit.engine.decoding_cache import grouped_attention, growing
from auditkit.engine.encoder_decoder import as_output, encode_prompts
from auditkit.engine.prefill import prefill
from auditkit.engine.prefix_tree import Ids
from auditkit.engine.ranking import next_token_logits
from auditkit.engine.releases import cache_argument, cache_of_output

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Decoding", "Generated", "end_tokens", "generate", "generate_encdec"]


class Decoding(NamedTuple):
    """Decoding options. Temperature 0 is greedy; `top_k` 0 and `top_p` 1 disable filtering.

    Attributes:
        stop: called after every token with the new tokens of a row; returns whether they are
            complete.
        constraint: restriction of the text, for example to titles of a catalog.
        beams: number of beams; values above 1 need temperature 0.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    stop: Callable[[int, list[int]], bool] | None = None
    constraint: Constraint | None = None
    beams: int = 1


class Generated(NamedTuple):
    """New token ids of one prompt.

    Attributes:
        cut: whether the limit of new tokens was reached before the text ended.
        margin: smallest gap between the two largest logits over all steps, below 1e-3 for a near
            tie; None for sampled text.
    """

    ids: list[int]
    cut: bool
    margin: float | None


@torch.inference_mode()
def generate(
    body: Body,
    prompts: Sequence[Ids],
    decoding: Decoding,
    counters: Counters,
    *,
    seeds: Sequence[int] = (),
    share: bool = False,
    pad: bool = True,
    cached: bool = True,
) -> list[Generated]:
    """Continue each prompt until the model's end token or an end that `decoding` sets.

    Args:
        share: whether prompts may share the cache of a common prefix; only for models whose
            `packed` executor passed its self-check.
        pad: whether prompts of unequal length may be padded into one batch.
        cached: whether to cache keys and values; otherwise every step forwards the whole text.
    """
    results: list[Generated | None] = [None] * len(prompts)
    for batch in batches(prompts, share=share, equal=not pad):
        rows = _Rows(batch.members, seeds, decoding, body.base)
        if cached:
            with grouped_attention(body.base):
                _continue(body, batch, rows, counters)
        else:
            _recompute(body, batch, rows, counters)
        for i, generated in zip(batch.members, rows.results(), strict=True):
            results[i] = generated
    return [result for result in results if result is not None]


def _continue(body: Body, batch: Batch, rows: _Rows, counters: Counters) -> None:
    """Run the prompts of a batch, then generate token by token."""
    logits, cache, mask, positions = prefill(body, batch, counters)
    cache = growing(cache)
    while True:
        chosen, kept = rows.choose(logits)
        if not kept:
            return
        if len(kept) < len(chosen):
            index = torch.tensor(kept, device=body.device)
            cache.batch_select_indices(index)
            mask, positions = mask[index], positions[index]
            chosen = [chosen[row] for row in kept]
        mask = torch.cat([mask, mask.new_ones((len(chosen), 1))], dim=1)
        positions = positions + 1
        logits, _ = body.next_logits(
            torch.tensor(chosen, device=body.device)[:, None],
            mask=mask,
            positions=positions,
            cache=cache,
            use_cache=True,
            counters=counters,
        )


def _recompute(body: Body, batch: Batch, rows: _Rows, counters: Counters) -> None:
    """Generate token by token, with a forward pass of the whole text for each token."""
    texts = [[*batch.prefix, *tail] for tail in batch.tails]
    while True:
        chosen, kept = rows.choose(next_token_logits(body, texts, counters, pad=False))
        if not kept:
            return
        texts = [[*texts[row], chosen[row]] for row in kept]


@torch.inference_mode()
def generate_encdec(
    model: PreTrainedModel,
    prompts: Sequence[Ids],
    decoding: Decoding,
    counters: Counters,
    *,
    seeds: Sequence[int] = (),
) -> list[Generated]:
    """Generate text with an encoder-decoder, which encodes each prompt once; see `generate`."""
    results: list[Generated | None] = [None] * len(prompts)
    for batch in batches(prompts, share=False, equal=False):
        rows = _Rows(batch.members, seeds, decoding, model)
        states, mask = encode_prompts(model, batch.tails, counters)
        start = model.config.decoder_start_token_id
        ids = torch.full((len(batch.tails), 1), start, device=model.device)
        cache: Any = None
        while True:
            counters.count(ids)
            output = model(
                encoder_outputs=as_output(states),
                attention_mask=mask,
                decoder_input_ids=ids,
                **{cache_argument(model): cache},
                use_cache=True,
            )
            cache = cache_of_output(output)
            chosen, kept = rows.choose(upcast(output.logits[:, -1]), compact=False)
            if not kept:
                break
            ids = torch.tensor(chosen, device=model.device)[:, None]
        for i, generated in zip(batch.members, rows.results(), strict=True):
            results[i] = generated
    return [result for result in results if result is not None]


class _Rows:
    """Rows of a batch during generation, with the tokens generated so far."""

    def __init__(
        self,
        members: Sequence[int],
        seeds: Sequence[int],
        decoding: Decoding,
        model: PreTrainedModel,
    ) -> None:
        self._members, self._seeds, self._decoding = members, seeds, decoding
        self._ends = end_tokens(model)
        limits = decoding.constraint
        self._walk = limits.begin(members) if limits else None
        self._new: list[list[int]] = [[] for _ in members]
        self._margin = [float("inf")] * len(members)
        self._done: set[int] = set()
        self._present = list(range(len(members)))

    def choose(self, logits: torch.Tensor, *, compact: bool = True) -> tuple[list[int], list[int]]:
        """Choose a token for every current row of logits [rows, vocabulary].

        Returns:
            The tokens, and the rows to keep. All rows are kept until half of them are done, so that
            the cache is not copied each time a row ends. No rows are kept if all are done or a
            limit is reached.
        """
        decoding = self._decoding
        tokens = self._tokens(self._walk.mask(logits) if self._walk else logits)
        if self._walk:
            self._walk.advance(tokens)
        for token, row in zip(tokens, self._present, strict=True):
            if row in self._done:
                continue
            if token in self._ends:
                self._done.add(row)
                continue
            self._new[row].append(token)
            if decoding.stop and decoding.stop(self._members[row], self._new[row]):
                self._done.add(row)
        alive = [i for i, row in enumerate(self._present) if row not in self._done]
        full = max(map(len, self._new)) >= decoding.max_new_tokens
        if not alive or full:
            return tokens, []
        if compact and len(alive) <= len(self._present) // 2:
            self._present = [self._present[i] for i in alive]
            if self._walk:
                self._walk.keep(alive)
            return tokens, alive
        return tokens, list(range(len(self._present)))

    def results(self) -> list[Generated]:
        """Generated text of every row."""
        greedy = self._decoding.temperature == 0
        return [
            Generated(ids, row not in self._done, self._margin[row] if greedy else None)
            for row, ids in enumerate(self._new)
        ]

    def _tokens(self, logits: torch.Tensor) -> list[int]:
        """Most likely token of every row (lowest id among equals), or a sampled token."""
        decoding = self._decoding
        if decoding.temperature == 0:
            best = logits.topk(2, dim=1).values
            gaps = (best[:, 0] - best[:, 1]).tolist()
            for row, gap in zip(self._present, gaps, strict=True):
                if row not in self._done:
                    self._margin[row] = min(self._margin[row], gap)
            return [int(token) for token in logits.argmax(dim=1)]
        scaled = _filtered(logits / decoding.temperature, decoding.top_k, decoding.top_p)
        noise = np.stack([self._noise(row, logits.shape[1]) for row in self._present])
        return [int(t) for t in (scaled.double().cpu() + torch.from_numpy(noise)).argmax(dim=1)]

    def _noise(self, row: int, size: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Gumbel noise for the next step of a row, a function of its seed and step only."""
        key = np.array([self._seeds[self._members[row]], len(self._new[row])], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key)).gumbel(size=size)


def _filtered(logits: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """Logits with tokens outside the top k and the top-p nucleus set to minus infinity."""
    if top_k:
        least = logits.topk(min(top_k, logits.shape[1]), dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p < 1:
        ordered, index = logits.sort(dim=1, descending=True, stable=True)
        before = ordered.softmax(dim=1).cumsum(dim=1) - ordered.softmax(dim=1)
        outside = torch.zeros_like(before, dtype=torch.bool).scatter(1, index, before >= top_p)
        logits = logits.masked_fill(outside, -torch.inf)
    return logits


def end_tokens(model: PreTrainedModel) -> frozenset[int]:
    """Ids of the end tokens in the generation configuration, which may differ from the tokenizer's
    end token.
    """
    ends = model.generation_config.eos_token_id
    return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])
