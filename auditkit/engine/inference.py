"""Inference engine of one model: scores, generated text and next-token logits.

Scores are computed by the cheapest executor that passes the self-probe. The choice is a pure
function of model and call and does not use a clock, so that the same audit gives the same numbers.
Costs are estimated in seconds on a nominal core and only used to rank the executors.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

import torch

from auditkit.engine.beam import beam_search
from auditkit.engine.decoder import Body, Counters
from auditkit.engine.encoder_decoder import first_token_logits, score_encdec
from auditkit.engine.executor_check import (
    EXECUTORS,
    Certificate,
    certify,
    fails_at,
    keeps_cache,
    pads_left,
    probe_body,
)
from auditkit.engine.generation import Decoding, Generated, generate, generate_encdec
from auditkit.engine.packed import plan_for
from auditkit.engine.plain import score_plain
from auditkit.engine.prefix import by_prompt
from auditkit.engine.prefix_tree import Ids, build_tree
from auditkit.engine.ranking import next_token_logits
from auditkit.errors import ConfigurationError, InvalidArgument, TargetError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Cost", "Engine"]

Pair = tuple[Ids, Ids]
_FORCE = "AUDITKIT_EXECUTOR"
_ETA = 1.3  # ratio of run time to arithmetic time, used until requests have been timed
# Nominal FLOP/s of a core, seconds per layer of a forward, seconds to plan a token, and cost of a
# forward with a copied cache in forwards.
_FLOPS, _LAYER_SECONDS, _PLAN_SECONDS, _COPIED = 80e9, 2.5e-4, 2.5e-7, 8


@dataclass(frozen=True)
class Cost:
    """Estimated cost of scoring.

    Attributes:
        tokens_asked: tokens that one forward pass per pair would process.
        unique_tokens: distinct tokens in the token tree.
        tokens_to_compute: tokens that the executor forwards.
        executor: name of the executor.
        seconds: estimated time on this machine.
    """

    tokens_asked: int
    unique_tokens: int
    tokens_to_compute: int
    executor: str
    seconds: float


@dataclass
class Engine:
    """Runs a causal or encoder-decoder language model on the device and in the precision of its
    weights.

    Attributes:
        counters: work done for requests.
        checks: work done for self-probes and rechecks.
    """

    model: PreTrainedModel
    counters: Counters = field(default_factory=Counters)
    checks: Counters = field(default_factory=Counters)
    _probed: dict[tuple[str, int], bool] = field(default_factory=dict)

    @cached_property
    def body(self) -> Body:
        """Decoder and head of the model."""
        return Body(self.model)

    @cached_property
    def _probe(self) -> Body:
        return probe_body(self.body)

    @cached_property
    def certificate(self) -> Certificate:
        """Result of the self-probe, which runs once."""
        certificate = certify(self._probe)
        self.checks.tokens += certificate.check_tokens
        return certificate

    @cached_property
    def _pads(self) -> bool:
        return pads_left(self._probe, self.certificate.threshold)

    @cached_property
    def _caches(self) -> bool:
        return keeps_cache(self._probe, self.certificate.threshold)

    def score(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """Return the log-probability in nats of every continuation token, in the order of `pairs`.

        Raises:
            TargetError: a pair is longer than the model's context, or a value is NaN or infinite.
            InvalidArgument: a prompt or continuation is empty.
            ConfigurationError: the executor set by AUDITKIT_EXECUTOR fails the self-probe.
        """
        return self._checked(pairs, executor=None)

    def rescore(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """Compute the scores of `score` with the `plain` executor, to check them."""
        return self._checked(pairs, executor="plain")

    def generate(
        self, prompts: Sequence[Ids], decoding: Decoding, *, seeds: Sequence[int] = ()
    ) -> list[Generated]:
        """Continue every prompt. Prompts in one batch share their prefix if the self-probe allows
        it.

        Raises:
            TargetError: a prompt plus the maximum number of new tokens exceeds the model's context.
        """
        if not prompts:
            return []
        self._validate_length(max(map(len, prompts)), decoding.max_new_tokens)
        if decoding.beams > 1 and not decoding.temperature:
            return beam_search(self.model, prompts, decoding, self.counters)
        if self.model.config.is_encoder_decoder:
            return generate_encdec(self.model, prompts, decoding, self.counters, seeds=seeds)
        longest = max(map(len, prompts)) + decoding.max_new_tokens
        share = len(prompts) > 1 and self._pads and self._certified("packed", longest)
        return generate(
            self.body,
            prompts,
            decoding,
            self.counters,
            seeds=seeds,
            share=share and self._caches,
            pad=self._pads,
            cached=self._caches,
        )

    def next_token_logits(self, prompts: Sequence[Ids]) -> torch.Tensor:
        """Return the logits of the token after each prompt, [n, vocabulary], float32 or float64.

        Raises:
            TargetError: a prompt is longer than the model's context.
        """
        self._validate_length(max(map(len, prompts), default=0), 0)
        if self.model.config.is_encoder_decoder:
            return first_token_logits(self.model, prompts, self.counters)
        return next_token_logits(self.body, prompts, self.counters, pad=self._pads)

    def cost(self, pairs: Sequence[Pair]) -> Cost:
        """Estimate the cost of `score` without running the model."""
        tree = build_tree(pairs)
        if self.model.config.is_encoder_decoder:
            name = "encdec"
            tokens = sum(map(len, by_prompt(pairs))) + sum(len(c) for _, c in pairs)
        else:
            name = self._executor(pairs)
            tokens, _ = self._work(name, pairs)
        parameters = sum(p.numel() for p in self.model.parameters())
        seconds = _ETA * 2 * parameters * tokens / _measured_flops(str(self.model.device))
        return Cost(tree.tokens_asked, tree.unique_tokens, tokens, name, seconds)

    def _checked(self, pairs: Sequence[Pair], *, executor: str | None) -> list[list[float]]:
        if not pairs:
            return []
        if not all(len(prompt) and len(continuation) for prompt, continuation in pairs):
            raise InvalidArgument(
                "An empty prompt or continuation cannot be scored. Give at least one token of each."
            )
        self._validate_length(*_longest(pairs, self.model.config.is_encoder_decoder))
        values = self._run(pairs, executor)
        if not all(math.isfinite(value) for row in values for value in row):
            raise TargetError("non_finite", detail="a log-probability is NaN or infinite")
        return values

    def _run(self, pairs: Sequence[Pair], executor: str | None) -> list[list[float]]:
        counters = self.checks if executor else self.counters
        if self.model.config.is_encoder_decoder:
            batch = 1 if executor else 16
            return score_encdec(self.model, pairs, counters, batch=batch)
        if executor:
            return [row for pair in pairs for row in score_plain(self.body, [pair], counters)]
        return EXECUTORS[self._executor(pairs)](self.body, pairs, counters)

    def _validate_length(self, read: int, written: int) -> None:
        """Reject sequences longer than the model's context, because inputs are never truncated.

        An encoder-decoder has separate limits for prompt and continuation; other models have one
        limit for both.
        """
        if self.model.config.is_encoder_decoder:
            # T5 has relative positions and no limit in its configuration.
            limit = getattr(self.model.config, "max_position_embeddings", None)
            longest = max(read, written)
        else:
            limit, longest = self.body.context, read + written + self.body.n_virtual
        if limit and longest > limit:
            raise TargetError(
                "context_overflow", detail=f"{longest} tokens, the model reads {limit}"
            )

    def _executor(self, pairs: Sequence[Pair]) -> str:
        """Name of the cheapest executor that passes the self-probe at the length of this call."""
        forced = os.environ.get(_FORCE)
        if forced and forced not in EXECUTORS:
            raise ConfigurationError(
                f"{_FORCE}={forced} is not the name of an executor. Use {', '.join(EXECUTORS)}."
            )
        longest = max(len(prompt) + len(continuation) for prompt, continuation in pairs)
        names = [forced] if forced else sorted(EXECUTORS, key=lambda n: self._work(n, pairs)[1])
        for name in names:
            if name == "plain" or self._certified(name, longest):
                return name
        raise ConfigurationError(
            f"{_FORCE}={forced} fails the self-probe for this model. Unset the variable."
        )

    def _certified(self, name: str, length: int) -> bool:
        """Whether an executor passes the self-probe on the toy set and at long lengths.

        The length is rounded up to a power of two minus one, so that the probe covers every
        attention window that sequences of this length can exceed.
        """
        if name not in self.certificate.passed:
            return False
        key = (name, length.bit_length())
        if key not in self._probed:
            readable = (self.body.context or 2**31) - self.body.n_virtual
            top = min(2 ** length.bit_length() - 1, readable)
            bound = self.certificate.threshold
            self._probed[key] = not fails_at(self._probe, name, top, bound, self.checks)
        return self._probed[key]

    def _work(self, name: str, pairs: Sequence[Pair]) -> tuple[int, float]:
        """Number of tokens that an executor forwards for the pairs, and nominal seconds."""
        planning = 0.0
        if name == "packed":
            plan = plan_for(self.body, pairs)
            tokens, forwards = plan.tokens_forwarded, len(plan.steps)
            planning = _PLAN_SECONDS * plan.tree.tokens_asked
        elif name == "prefix":
            prompts = by_prompt(pairs)
            tokens = sum(map(len, prompts)) + sum(len(c) - 1 for _, c in pairs)
            # One forward per prompt, then 32 continuations of more than one token at a time.
            longer = [sum(len(pairs[i][1]) > 1 for i in rows) for rows in prompts.values()]
            parts = sum(-(-n // 32) for n in longer)
            forwards = len(prompts) + parts * _COPIED  # each with a copy of the cache
        else:
            tokens = sum(len(p) + len(c) - 1 for p, c in pairs)
            forwards = -(-len(pairs) // 32)
        body = self.body
        seconds = 2 * body.body_parameters * tokens / _FLOPS
        return tokens, seconds + forwards * body.n_layers * _LAYER_SECONDS + planning

    def summary(self) -> Mapping[str, int]:
        """Deterministic counters for the manifest."""
        return {
            "tokens_forwarded": self.counters.tokens,
            "forwards": self.counters.forwards,
            "head_rows": self.counters.head_rows,
            "packed_tokens_asked": self.counters.tokens_asked,
            "packed_tokens_unique": self.counters.unique_tokens,
            "check_tokens": self.checks.tokens,
        }


def _longest(pairs: Sequence[Pair], apart: bool) -> tuple[int, int]:
    """Return (longest prompt, longest continuation) if `apart`, else (longest pair, 0), in
    tokens.
    """
    if apart:
        return max(len(prompt) for prompt, _ in pairs), max(len(text) for _, text in pairs)
    return max(len(prompt) + len(text) - 1 for prompt, text in pairs), 0


@cache
def _measured_flops(device: str) -> float:
    """FLOP/s of a matrix product on a device, median of five."""
    left, right = (torch.randn(512, 512, device=device) for _ in range(2))
    times = []
    for _ in range(6):
        begin = time.perf_counter()
        (left @ right).sum().item()
        times.append(time.perf_counter() - begin)
    return float(2 * 512**3 / sorted(times[1:])[2])
