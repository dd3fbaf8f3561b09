"""Attack rates that a privacy claim allows, and epsilon bounds from an audit of one training run.

The epsilon of a claim is an upper bound on leakage. An audit gives a lower bound, which can
contradict a claim but never prove it. Every lower bound has a *ceiling*, the largest value that the
same number of guesses could have shown.

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
    """The (epsilon, delta) of a privacy claim, epsilon in nats."""

    epsilon: float
    delta: float


class LowerBound(NamedTuple):
    """A lower bound of epsilon, and its ceiling: the bound with all guesses correct; both in
    nats.
    """

    epsilon: float
    ceiling: float


def group_claim(claim: Claim, size: int) -> Claim:
    """Convert the claim for one unit to the claim for groups of `size` units.

    For k units, epsilon becomes k epsilon and delta becomes delta (e^(k epsilon) - 1) / (e^epsilon
    - 1), at most 1; if epsilon is 0, delta becomes k delta.

    Args:
        claim: the claim for one unit.
        size: number k of units in a group, at least 1.

    Raises:
        InvalidArgument: a size below 1, or an invalid claim.
    """
    _check(claim)
    if size < 1:
        raise InvalidArgument(f"group_claim got size={size}. Give a size of at least 1.")
    epsilon, delta = claim
    if epsilon == 0:
        return Claim(0.0, min(1.0, size * delta))
    if size * epsilon > _LARGEST_EPSILON:
        return Claim(size * epsilon, 1.0 if delta else 0.0)
    factor = math.expm1(size * epsilon) / math.expm1(epsilon)
    return Claim(size * epsilon, min(1.0, factor * delta))


def tpr_allowed(claim: Claim, fpr: float) -> float:
    """Return the largest true-positive rate of a membership attack that the claim allows.

    The rate is min(e^epsilon fpr + delta, 1 - e^-epsilon (1 - delta - fpr)), limited to [0, 1].

    Args:
        claim: the claim for the unit that is attacked.
        fpr: false-positive rate of the attack, in [0, 1].

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
    guesses for some canaries whether they were put in, and abstains for the other canaries.

    Args:
        canaries: number m of all canaries.
        guesses: number r of guesses, at most m.
        correct: number v of correct guesses, at most r.
        delta: delta of (epsilon, delta)-differential privacy, in [0, 1).
        confidence: probability, over the planting of canaries, with which the bound holds, in (0,
            1).

    Returns:
        The largest epsilon that the guesses refute, or 0 if they refute none, and the ceiling,
        which is the bound with all guesses correct. Both are 0 without guesses.

    Raises:
        InvalidArgument: not 0 <= correct <= guesses <= canaries, or a value outside its range.
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
    """Return the largest epsilon whose p-value is below the significance."""
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
    """Return the largest probability of at least v correct guesses under (epsilon, delta)."""
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
