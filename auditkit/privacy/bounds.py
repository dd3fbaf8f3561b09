"""What a claim allows an attacker, and the epsilon that an audit of one training run shows.

Epsilon of a claim is an upper bound on leakage, and an audit gives a lower bound: it can contradict
a claim and never prove one. Every lower bound has a *ceiling*, the largest value that it could have
had with as many guesses.

Source: Steinke, Nasr & Jagielski 2023 (one training run, appendix D); Kairouz et al. 2015 (rates
under a claim); Dwork & Roth 2014, theorem 2.2 (groups).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument

__all__ = ["Claim", "LowerBound", "group_claim", "one_run_bound", "tpr_allowed"]

_BISECTIONS = 60
_LARGEST_EPSILON = 700.0  # exp overflows above


class Claim(NamedTuple):
    """Epsilon in nats, and delta."""

    epsilon: float
    delta: float


class LowerBound(NamedTuple):
    """A lower bound of epsilon, nats, and the largest value it could have had."""

    epsilon: float
    ceiling: float


def group_claim(claim: Claim, size: int) -> Claim:
    """The claim for groups of `size` units, of a claim for one unit.

    k epsilon, and delta (e^(k epsilon) - 1) / (e^epsilon - 1), at most 1; k delta if epsilon is 0.

    Args:
        size: k, at least 1.

    Raises:
        InvalidArgument: a size below 1, or an invalid claim.
    """
    _check(claim)
    if size < 1:
        raise InvalidArgument(f"group_claim got size={size}. Give at least 1.")
    epsilon, delta = claim
    if epsilon == 0:
        return Claim(0.0, min(1.0, size * delta))
    if size * epsilon > _LARGEST_EPSILON:
        return Claim(size * epsilon, 1.0 if delta else 0.0)
    factor = math.expm1(size * epsilon) / math.expm1(epsilon)
    return Claim(size * epsilon, min(1.0, factor * delta))


def tpr_allowed(claim: Claim, fpr: float) -> float:
    """Largest true-positive rate of a membership attack that the claim allows.

    min(e^epsilon fpr + delta, 1 - e^-epsilon (1 - delta - fpr)), within [0, 1].

    Args:
        fpr: false-positive rate, in [0, 1].

    Raises:
        InvalidArgument: a rate outside [0, 1], or an invalid claim.
    """
    _check(claim)
    if not 0 <= fpr <= 1:
        raise InvalidArgument(f"tpr_allowed got fpr={fpr:g}. Give a rate in [0, 1].")
    epsilon, delta = min(claim.epsilon, _LARGEST_EPSILON), claim.delta
    steep = math.exp(epsilon) * fpr + delta
    flat = 1 - math.exp(-epsilon) * (1 - delta - fpr)
    return min(1.0, max(0.0, min(steep, flat)))


def one_run_bound(
    *, canaries: int, guesses: int, correct: int, delta: float, confidence: float = 0.95
) -> LowerBound:
    """Lower bound of epsilon from guesses about canaries of one training run.

    Each canary was put into the training data with probability 1/2, independently. The auditor
    guesses for some of them whether they are in, and abstains for the others.

    Args:
        canaries: m, all canaries. guesses: r <= m. correct: v <= r.
        delta: of the definition, in [0, 1).
        confidence: in (0, 1); the bound holds with at least this probability over the coins.

    Returns:
        The largest epsilon that the guesses refute, 0 if none; and the ceiling, which all guesses
        correct would give. Both 0 without a guess.

    Raises:
        InvalidArgument: counts that do not fit each other, or a value outside its range.
    """
    counts = 0 <= correct <= guesses <= canaries and canaries >= 1
    if not counts or not 0 <= delta < 1 or not 0 < confidence < 1:
        raise InvalidArgument(
            f"one_run_bound got canaries={canaries}, guesses={guesses}, correct={correct}, "
            f"delta={delta:g}, confidence={confidence:g}. Give 0 <= correct <= guesses <= "
            "canaries, a delta in [0, 1) and a confidence in (0, 1)."
        )
    significance = 1 - confidence
    found = (_refuted(canaries, guesses, v, delta, significance) for v in (correct, guesses))
    return LowerBound(*found)


def _refuted(m: int, r: int, v: int, delta: float, significance: float) -> float:
    """The largest epsilon whose p-value is below the significance."""
    if r == 0 or _p_value(0.0, m, r, v, delta) >= significance:
        return 0.0
    low, high = 0.0, 1.0
    while high < _LARGEST_EPSILON and _p_value(high, m, r, v, delta) < significance:
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _p_value(middle, m, r, v, delta) < significance:
            low = middle
        else:
            high = middle
    return low


def _p_value(epsilon: float, m: int, r: int, v: int, delta: float) -> float:
    """Largest probability of at least v correct guesses under (epsilon, delta)."""
    from scipy.stats import binom  # 1 s of imports

    q = 1 / (1 + math.exp(-epsilon))
    beta = float(binom.sf(v - 1, r, q))
    if delta == 0 or v == 0:
        return beta
    masses: NDArray[np.float64] = binom.pmf(np.arange(v), r, q)[::-1]  # of v - 1, v - 2, ..., 0
    alpha = float(np.max(np.cumsum(masses) / np.arange(1, v + 1)))
    return min(1.0, beta + 2 * m * delta * alpha)


def _check(claim: Claim) -> None:
    if claim.epsilon < 0 or not 0 <= claim.delta <= 1 or math.isnan(claim.epsilon):
        raise InvalidArgument(
            f"A claim has epsilon={claim.epsilon:g} and delta={claim.delta:g}. Give an epsilon of "
            "at least 0 and a delta in [0, 1]."
        )
