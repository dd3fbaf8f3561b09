"""Confidence bounds of the mean of independent numbers with known limits, for any distribution.

A bootstrap uses only the observed values: if nearly all are equal, its interval collapses, and it
does not cover rare values that happened not to occur. Gaffke's bound adds one unseen value at the
limit of the scale: it is a quantile of the mean under Dirichlet weights (the Bayesian bootstrap) of
the sample and that limit. For numbers that are 0 or 1 it equals Clopper-Pearson; for n equal values
z it is z + (1 - z)(1 - alpha^(1/n)), the rule of three at z = 0. Its coverage is proved for
two-valued numbers and conjectured otherwise; `tests/stats/test_coverage.py` simulates it.

Source: Gaffke 2005; Learned-Miller & Thomas 2020 (arXiv 1905.06208); Rubin 1981.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.stats.intervals import Interval

__all__ = ["gaffke_ends", "gaffke_quantiles", "gaffke_upper"]

_BLOCK_BYTES = 64 << 20


def gaffke_upper(
    values: ArrayLike, *, level: float, rng: np.random.Generator, draws: int = 20_000
) -> float:
    """Upper confidence bound of the mean of numbers in [0, 1].

    Args:
        values: independent numbers in [0, 1], shape [n].
        level: one-sided coverage, in (0.5, 1).
        rng: generator for the weights.
        draws: number of simulated sets of weights.

    Returns:
        Bound in [mean, 1].

    Raises:
        InvalidArgument: no values, or a value outside [0, 1].
    """
    (bound,) = gaffke_quantiles(values, [level], limits=(0.0, 1.0), rng=rng, draws=draws)
    return float(bound)


def gaffke_ends(values: ArrayLike, *, level: float, rng: np.random.Generator) -> Interval:
    """Lower and upper bound of the mean of numbers in [0, 1], each at one-sided `level`."""
    low, high = gaffke_quantiles(values, [1 - level, level], limits=(0.0, 1.0), rng=rng)
    return Interval(float(low), float(high))


def gaffke_quantiles(
    values: ArrayLike,
    levels: ArrayLike,
    *,
    limits: tuple[float, float],
    rng: np.random.Generator,
    draws: int = 10_000,
) -> NDArray[np.float64]:
    """Confidence bounds of a mean at many levels.

    Args:
        values: independent numbers within the limits, shape [n].
        levels: below 0.5 for lower bounds, above it for upper bounds, in ascending order.
        limits: smallest and largest possible value.
        rng, draws: as in `gaffke_upper`.

    Returns:
        Bounds in ascending order, on their side of the mean; the limits at levels 0 and 1.

    Raises:
        InvalidArgument: no values, or a value outside the limits.
    """
    x, p = np.asarray(values, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    (low, high), n = limits, len(x)
    if not n or x.min() < low or x.max() > high:
        raise InvalidArgument(
            f"The bound of a mean got {n} values, and either there is none or one is outside "
            f"[{low:g}, {high:g}]. Give at least one value, all within the limits."
        )
    mean, upper = float(x.mean()), p > 0.5
    if np.ptp(x) == 0:
        # The weight of the unseen value has the distribution function 1 - (1 - w)^n.
        weight = 1 - (1 - np.where(upper, p, 1 - p)) ** (1 / n)
        below, above = mean - (mean - low) * weight, mean + (high - mean) * weight
    else:
        seen, unseen = _weighted(x, draws, rng)
        below = np.minimum(np.quantile(seen + unseen * low, p, method="lower"), mean)
        above = np.maximum(np.quantile(seen + unseen * high, p, method="higher"), mean)
    sides = [p <= 0, np.abs(p - 0.5) < 1e-9, p < 0.5, p < 1]
    return np.select(sides, [np.full_like(p, low), np.full_like(p, mean), below, above], high)


def _weighted(
    x: NDArray[np.float64], draws: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted sums of the values, and the weight of the unseen value, each [draws]."""
    distinct, counts = np.unique(x, return_counts=True)
    shape = np.append(counts, 1).astype(np.float64)
    block = max(1, _BLOCK_BYTES // (8 * len(shape)))
    seen, unseen = [], []
    for begin in range(0, draws, block):
        weights = rng.standard_gamma(shape, size=(min(block, draws - begin), len(shape)))
        total = weights.sum(axis=1)
        seen.append(weights[:, :-1] @ distinct / total)
        unseen.append(weights[:, -1] / total)
    return np.concatenate(seen), np.concatenate(unseen)
