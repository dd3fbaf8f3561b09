"""Self-probe that checks which executors give correct scores for a model.

Correctness is measured on the outputs and not inferred from the model's name. Every executor must
reproduce one forward pass per pair on a small set of pairs, and again at the longest length of a
call, because short pairs do not reveal a sliding window. A small model is checked in float64,
because with tiny random weights a wrong mask may change a title's score by less than any float32
threshold. The negative control, a mask that lets siblings attend to each other, must fail;
otherwise the probe cannot detect a wrong mask. See docs/explain/engine.md.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from auditkit.engine.batches import Batch
from auditkit.engine.decoder import Body, Counters
from auditkit.engine.decoding_cache import grouped_attention, growing
from auditkit.engine.packed import score_packed
from auditkit.engine.plain import score_plain
from auditkit.engine.plan import Limits
from auditkit.engine.prefill import prefill
from auditkit.engine.prefix import score_prefix
from auditkit.engine.prefix_tree import Ids
from auditkit.engine.ranking import next_token_logits

__all__ = [
    "EXECUTORS", "Certificate", "Executor", "certify", "fails_at", "keeps_cache", "pads_left",
    "probe_body",
]  # fmt: skip

Pair = tuple[Ids, Ids]
Executor = Callable[[Body, Sequence[Pair], Counters], list[list[float]]]
EXECUTORS: dict[str, Executor] = {
    "packed": score_packed,
    "prefix": score_prefix,
    "plain": score_plain,
}
# What transformers raises where an architecture does not support a call.
_UNSUPPORTED = (RuntimeError, ValueError, TypeError, AttributeError, IndexError)
_SMALL = 50_000_000
_PROMPT = 32


@dataclass(frozen=True)
class Certificate:
    """Result of the self-probe.

    Attributes:
        passed: names of the executors that agree with one forward pass per pair.
        differences: for each executor, the largest difference per title in nats; None if the
            executor raised an error.
        threshold: largest accepted difference, nats per title.
        control: difference of the negative control in nats; None if the control raised an error.
        dtype: precision of the probe.
    """

    passed: tuple[str, ...]
    differences: dict[str, float | None]
    threshold: float
    control: float | None
    dtype: str
    check_tokens: int


def probe_body(body: Body) -> Body:
    """Return the model for the self-probe: a float64 copy of a small model, or else the model
    itself.

    A model that does not compute in float64, such as some mixtures of experts, is not copied.
    """
    small = sum(p.numel() for p in body.base.parameters()) <= _SMALL
    if not small or body.dtype == torch.float64:
        return body
    try:
        return Body(copy.deepcopy(body.model).double())
    except RuntimeError:  # `Body` runs the model once
        return body


def certify(probed: Body) -> Certificate:
    """Check every executor on a small fixed set of pairs; `probed` comes from `probe_body`."""
    counters = Counters()
    pairs = _toy_set(probed)
    reference = _one_by_one(probed, pairs, counters)
    threshold = _threshold(probed, pairs, reference, counters)
    differences = {
        name: max(
            (_difference(run, probed, pairs, reference, counters) for run in _variants(name)),
            key=lambda d: float("inf") if d is None else d,
        )
        for name in EXECUTORS
    }

    def blind(body: Body, pairs: Sequence[Pair], counters: Counters) -> list[list[float]]:
        return score_packed(body, pairs, counters, siblings_visible=True)

    control = _difference(blind, probed, pairs, reference, counters)
    if control is not None and control <= 3 * threshold:
        differences["packed"] = None
    passed = tuple(name for name, d in differences.items() if d is not None and d <= threshold)
    return Certificate(passed, differences, threshold, control, str(probed.dtype), counters.tokens)


def fails_at(body: Body, name: str, length: int, threshold: float, counters: Counters) -> bool:
    """Whether an executor disagrees with one forward pass per pair at `length` tokens.

    `length` counts the prompt and the longest continuation together.
    """
    tails = _tails(body)[:2]
    draw = np.random.default_rng(3)
    n = max(1, length - max(map(len, tails)))
    prompt = [int(token) for token in draw.integers(body.vocabulary, size=n)]
    pairs = [(prompt, tail) for tail in tails]
    reference = _one_by_one(body, pairs, counters)
    found = [_difference(run, body, pairs, reference, counters) for run in _variants(name)]
    return any(d is None or d > threshold for d in found)


@torch.inference_mode()
def pads_left(body: Body, threshold: float) -> bool:
    """Whether padding a prompt on the left, after a soft prompt, leaves its logits unchanged.

    BLOOM returns NaN for such padding, and soft prompts of peft change the logits.
    """
    draw = np.random.default_rng(2)
    long, short = ([int(t) for t in draw.integers(body.vocabulary, size=n)] for n in (9, 4))
    padded = next_token_logits(body, [long, short], Counters())
    alone = next_token_logits(body, [short], Counters())
    return bool((padded[1] - alone[0]).abs().max() <= threshold)


@torch.inference_mode()
def keeps_cache(body: Body, threshold: float) -> bool:
    """Whether generating two tokens with a cache gives the same logits as one forward pass.

    Hybrid and state-space models have special caches, which some releases of transformers handle
    differently.
    """
    draw = np.random.default_rng(4)
    prompt, new = [[int(t) for t in draw.integers(body.vocabulary, size=n)] for n in (9, 2)]
    counters = Counters()
    try:
        with grouped_attention(body.base):
            _, cache, mask, positions = prefill(body, Batch([0], [], [prompt]), counters)
            cache = growing(cache)
            for token in new:
                mask = torch.cat([mask, mask.new_ones((1, 1))], dim=1)
                positions = positions + 1
                found, _ = body.next_logits(
                    torch.tensor([[token]], device=body.device),
                    mask=mask,
                    positions=positions,
                    cache=cache,
                    use_cache=True,
                    counters=counters,
                )
    except _UNSUPPORTED:
        return False
    expected = next_token_logits(body, [[*prompt, *new]], counters)
    return bool((found.cpu() - expected).abs().max() <= threshold)


def _variants(name: str) -> list[Executor]:
    """Functions to check; two for `packed`, with the prompt in the rows and in the cache."""
    if name != "packed":
        return [EXECUTORS[name]]

    def cached(body: Body, pairs: Sequence[Pair], counters: Counters) -> list[list[float]]:
        limits = Limits(tail=24, row=12, short=0, kv_bytes=body.kv_bytes)
        return score_packed(body, pairs, counters, limits=limits)

    return [score_packed, cached]


def _difference(
    run: Executor,
    body: Body,
    pairs: Sequence[Pair],
    reference: Sequence[Sequence[float]],
    counters: Counters,
) -> float | None:
    """Largest difference per title in nats; None if the executor raises or is not finite."""
    try:
        found = run(body, pairs, counters)
    except _UNSUPPORTED:
        return None
    worst = max(abs(sum(a) - sum(b)) for a, b in zip(found, reference, strict=True))
    return worst if np.isfinite(worst) else None


def _one_by_one(body: Body, pairs: Sequence[Pair], counters: Counters) -> list[list[float]]:
    return [values for pair in pairs for values in score_plain(body, [pair], counters)]


def _threshold(
    body: Body, pairs: Sequence[Pair], reference: Sequence[Sequence[float]], counters: Counters
) -> float:
    if body.dtype == torch.float64:
        return 1e-6
    if body.dtype == torch.float32:
        return 1e-3
    # In half precision, the difference between two batch shapes of `plain` measures the noise.
    noise = _difference(score_plain, body, pairs, reference, counters) or 0.0
    return max(1e-3, 4 * noise)


def _toy_set(body: Body) -> list[Pair]:
    draw = np.random.default_rng(0)
    prompt = [int(token) for token in draw.integers(body.vocabulary, size=_PROMPT)]
    return [(prompt, tail) for tail in _tails(body)]


def _tails(body: Body) -> list[list[int]]:
    """Small test continuations: some share tokens, one is a prefix of another, one is distinct, and
    one has a single token.
    """
    draw = np.random.default_rng(1)
    a, b, c, d, e, f, g, h = (int(t) for t in draw.integers(body.vocabulary, size=8))
    return [[a, b, c, d], [a, b, e], [a, b], [f, g, h, a, b], [h]]
