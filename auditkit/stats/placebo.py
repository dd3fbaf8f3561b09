"""Comparison of an attribute with irrelevant phrases of the same length (placebo).

A recommender that reacts to any added phrase also reacts to attributes, and the placebo arm
measures this reaction. Under the null hypothesis, the set of a probe's attribute responses and the
set of its placebo responses are exchangeable. All tests are one-sided: large values mean that the
attribute has more effect. Source: docs/explain/fairness.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from auditkit.errors import InvalidArgument
from auditkit.stats.bounded_mean import gaffke_upper
from auditkit.stats.intervals import Interval
from auditkit.stats.relabeling import TOLERANCE, Tested, sign_flips

__all__ = ["PlaceboContrast", "placebo_contrast"]

_FEW = 40  # with fewer differing probes, a t interval is too narrow


class PlaceboContrast(NamedTuple):
    """Attribute compared with placebo; the tests use the same swaps.

    Attributes:
        shift: test of the mean similarity to the neutral list, that of the placebo minus that of
            the attribute.
        interval: paired t interval of the shift; if few probes have a difference other than 0, each
            end is at least as far out as Gaffke's bound.
        snsr: test of the SNSR of the attribute minus the SNSR of the placebo.
        between: test of the T-between statistic of the attribute minus that of the placebo; None if
            the arguments for this statistic were not given.
        placebo_mean: mean similarity of the placebo's lists to the neutral ones.
        n: number of probes that are complete in both arms.
    """

    shift: Tested
    interval: Interval
    snsr: Tested
    between: Tested | None
    placebo_mean: float
    n: int


def placebo_contrast(
    attribute: ArrayLike,
    placebo: ArrayLike,
    *,
    attribute_between: ArrayLike | None = None,
    placebo_between: ArrayLike | None = None,
    rng: np.random.Generator,
    draws: int = 9_999,
    level: float = 0.95,
) -> PlaceboContrast:
    """Compare an attribute with the same number of placebo values.

    Args:
        attribute, placebo: [probes, values] similarities to the neutral list, the same complete
            probes in both.
        attribute_between, placebo_between: [probes] mean similarity of same-value lists minus the
            mean similarity of different-value lists.
        rng: generator for the swaps.
        draws: number of swaps.
        level: coverage of the interval, in (0, 1).

    Raises:
        InvalidArgument: tables of unequal shape, smaller than 2 x 2, or with a number that is not
            in [0, 1].
    """
    own, other = (np.asarray(one, dtype=np.float64) for one in (attribute, placebo))
    every = np.concatenate((own.ravel(), other.ravel()))
    inside = bool(np.all((every >= 0) & (every <= 1)))
    if own.shape != other.shape or own.ndim != 2 or min(own.shape) < 2 or not inside:
        raise InvalidArgument(
            f"placebo_contrast got tables of shape {own.shape} and {other.shape}. Give the same "
            "probes and as many placebo values as attribute values, at least 2 of each."
        )
    n = len(own)
    swaps = sign_flips(rng, draws=draws, n=n)
    differences = other.mean(axis=1) - own.mean(axis=1)
    signs = 1.0 - 2.0 * swaps
    shift = float(differences.mean())
    between = None
    if attribute_between is not None and placebo_between is not None:
        gaps = np.asarray(attribute_between, float) - np.asarray(placebo_between, float)
        between = Tested(float(gaps.mean()), signs @ gaps / n)
    # A swap moves the difference of the two rows from the sums of one table to those of the other.
    moved = swaps.astype(np.float64) @ (other - own) / n
    observed = float(np.ptp(own.mean(axis=0)) - np.ptp(other.mean(axis=0)))
    null = np.ptp(own.mean(axis=0) + moved, axis=1) - np.ptp(other.mean(axis=0) - moved, axis=1)
    return PlaceboContrast(
        shift=Tested(shift, signs @ differences / n),
        interval=_interval(differences, level, rng),
        snsr=Tested(observed, null),
        between=between,
        placebo_mean=float(other.mean()),
        n=n,
    )


def _interval(differences: NDArray[np.float64], level: float, rng: np.random.Generator) -> Interval:
    """Interval of a mean of numbers in [-1, 1]."""
    n, mean = len(differences), float(differences.mean())
    spread = float(differences.std(ddof=1))
    reach = float(special.stdtrit(n - 1, (1 + level) / 2)) * spread / np.sqrt(n)
    low, high = mean - reach, mean + reach
    differing = int(np.sum(np.abs(differences) > TOLERANCE))
    if differing < min(_FEW, n / 2):
        ends = (np.maximum(-differences, 0), np.maximum(differences, 0))
        down, up = (gaffke_upper(one, level=(1 + level) / 2, rng=rng) for one in ends)
        return Interval(min(low, -down), max(high, up))
    if spread <= TOLERANCE:  # all observed probes are equal, but unobserved ones may differ
        reach = 1 - ((1 - level) / 2) ** (1 / n)
        low, high = mean - reach, mean + reach
    return Interval(max(-1.0, low), min(1.0, high))
