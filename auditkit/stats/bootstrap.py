"""Intervals of means and other statistics over units, stored as sampling distributions that a
policy evaluates later.

Users are resampled, not items, because the items of one list are not independent. Four methods:

- mean of numbers with limits: Gaffke's bounds, valid for any distribution (`bounded_mean`);
- mean of numbers without limits: the studentized bootstrap, which adapts to skewed data;
- difference of pairs, ratio, other statistics: the percentile bootstrap, widened for small n;
- nearly all values equal: Gaffke's bounds if there are limits, otherwise no interval, because
  repeated values say nothing about the spread.

`tests/stats/test_coverage.py` simulates the coverage of each method.

Source: Gaffke 2005; Efron & Tibshirani 1993, ch. 12 and 13; Hesterberg 2015.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.stats.bounded_mean import gaffke_quantiles
from auditkit.stats.bounds import quantile_levels
from auditkit.stats.resampled_estimate import (
    FEW_UNITS,
    NOTHING,
    ResampledEstimate,
    n_deviating,
    outer_quantiles,
    undefined,
    widened,
    with_quantiles,
    without_interval,
)
from auditkit.types import Direction

__all__ = [
    "ResampledEstimate",
    "bootstrap_mean",
    "bootstrap_ratio",
    "bootstrap_statistic",
    "paired_difference",
    "resample",
    "undefined",
]

BLOCK_BYTES = 64 << 20


def bootstrap_mean(
    values: ArrayLike,
    *,
    rng: np.random.Generator,
    unit: str,
    direction: Direction,
    draws: int = 10_000,
    n_missing: int = 0,
    reason: str = NOTHING,
    limits: tuple[float, float] | None = None,
) -> ResampledEstimate:
    """Mean over units with a 95 % interval.

    Args:
        values: one finite number per unit (user), shape [n].
        rng: generator for resamples and weights.
        unit: unit of the value, as shown in reports.
        direction: whether lower or higher values are better.
        draws: number of resamples.
        n_missing: number of units that were planned but could not be scored.
        reason: reason to report if the estimate is undefined because there are no units.
        limits: smallest and largest possible value; None for a quantity without limits.

    Returns:
        Estimate in the range of the values and its sampling distribution. Undefined for n = 0.
        Without limits, also undefined for n = 1, because one value gives no information about the
        spread. Without limits, an estimate has no interval if fewer than five units differ from the
        others.

    Raises:
        InvalidArgument: a value that is not finite, or outside the limits.
    """
    x = _finite(values)
    if limits is not None and np.any((x < limits[0]) | (x > limits[1])):
        raise InvalidArgument(
            f"bootstrap_mean got a value outside the limits [{limits[0]:g}, {limits[1]:g}]. Give "
            "limits that contain all values."
        )
    n, value = len(x), float(x.mean()) if len(x) else 0.0
    if n < (1 if limits else 2):
        return undefined(unit, direction, n_missing=n_missing, n=n, reason=_why(n, reason))
    if limits:
        levels = quantile_levels()
        quantiles = gaffke_quantiles(x, levels, limits=limits, rng=rng, draws=draws)
    elif n_deviating(x) < FEW_UNITS:
        return without_interval(value, n, unit, direction, n_missing)
    else:
        quantiles = _studentized(x, draws, rng)
    return with_quantiles(value, quantiles, n, draws, unit, direction, n_missing)


def _studentized(
    x: NDArray[np.float64], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Compute 201 quantiles of the mean with the bootstrap-t method.

    A resample of nearly equal values has a standard deviation near 0, so the standard deviation of
    a resample is set to at least a quarter of that of the data.
    """
    mean, deviation = float(x.mean()), float(x.std(ddof=1))

    def statistic(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        drawn = x[rows]
        spread = np.maximum(drawn.std(axis=1, ddof=1), deviation / 4)
        t: NDArray[np.float64] = (drawn.mean(axis=1) - mean) / spread
        return t

    t = outer_quantiles(resample(len(x), draws, rng, statistic))
    return mean - deviation * t[::-1]


def bootstrap_ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    rng: np.random.Generator,
    unit: str,
    direction: Direction,
    draws: int = 10_000,
    n_missing: int = 0,
    reason: str = NOTHING,
) -> ResampledEstimate:
    """Ratio of the sums of numerators and denominators, with a bootstrap over units.

    Args:
        numerators, denominators: sums over the rows of each unit, shape [n]; denominators are at
            least 0. A resample whose denominators are all 0 gets the ratio of the full data.
        rng, unit, direction, draws, n_missing, reason: as in `bootstrap_mean`.

    Returns:
        Estimate and its bootstrap quantiles. Undefined for n < 2 or denominators that sum to 0.

    Raises:
        InvalidArgument: lengths differ, a number is not finite, or a denominator is negative.
    """
    top, bottom = _finite(numerators), _finite(denominators)
    if len(top) != len(bottom):
        raise InvalidArgument(
            f"bootstrap_ratio got {len(top)} numerators and {len(bottom)} denominators. Give one "
            "of each per unit."
        )
    if np.any(bottom < 0):
        raise InvalidArgument(
            f"bootstrap_ratio got a denominator of {bottom.min():g}. Give denominators of at "
            "least 0."
        )
    if len(top) < 2 or bottom.sum() == 0:
        why = reason if len(top) != 1 else _why(1, reason)
        return undefined(unit, direction, n_missing=n_missing, n=len(top), reason=why)
    value = float(top.sum() / bottom.sum())
    if n_deviating(top - value * bottom) < FEW_UNITS:
        return without_interval(value, len(top), unit, direction, n_missing)

    def ratio(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        total = bottom[rows].sum(axis=1)
        return np.where(total > 0, top[rows].sum(axis=1) / np.where(total > 0, total, 1.0), value)

    quantiles = widened(resample(len(top), draws, rng, ratio), value, len(top))
    return with_quantiles(value, quantiles, len(top), draws, unit, direction, n_missing)


def paired_difference(
    before: ArrayLike,
    after: ArrayLike,
    *,
    rng: np.random.Generator,
    unit: str,
    direction: Direction,
    draws: int = 10_000,
    n_missing: int = 0,
    reason: str = NOTHING,
    limits: tuple[float, float] | None = None,
) -> ResampledEstimate:
    """Mean of after - before over the same units, with a bootstrap over pairs.

    Args:
        before, after: one finite number per unit, in the same order, shape [n].
        rng, unit, direction, draws, n_missing, reason: as in `bootstrap_mean`.
        limits: smallest and largest possible value of `before` and `after`; None if there are none.

    Returns:
        Estimate (positive if `after` is larger) and its sampling distribution. Undefined and
        without an interval in the same cases as `bootstrap_mean`.

    Raises:
        InvalidArgument: lengths differ, or values out of range.
    """
    first, second = _finite(before), _finite(after)
    if len(first) != len(second):
        raise InvalidArgument(
            f"paired_difference got {len(first)} and {len(second)} values. Give one pair per "
            "unit, in the same order."
        )
    change = second - first
    width = None if limits is None else limits[1] - limits[0]
    if width is not None and np.any(np.abs(change) > width):
        raise InvalidArgument(
            f"paired_difference got a difference of more than {width:g}, the width of the limits. "
            "Give limits that contain all values."
        )
    n, value = len(change), float(change.mean()) if len(change) else 0.0
    if n < (1 if width else 2):
        return undefined(unit, direction, n_missing=n_missing, n=n, reason=_why(n, reason))
    if n_deviating(change) < FEW_UNITS:
        if width is None:
            return without_interval(value, n, unit, direction, n_missing)
        levels, ends = quantile_levels(), (-width, width)
        quantiles = gaffke_quantiles(change, levels, limits=ends, rng=rng, draws=draws)
    else:
        drawn = resample(n, draws, rng, lambda rows: change[rows].mean(axis=1))
        quantiles = widened(drawn, value, n, limits=None if width is None else (-width, width))
    return with_quantiles(value, quantiles, n, draws, unit, direction, n_missing)


def bootstrap_statistic(
    n: int,
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    *,
    rng: np.random.Generator,
    unit: str,
    direction: Direction,
    draws: int = 10_000,
    n_missing: int = 0,
    reason: str = NOTHING,
    limits: tuple[float, float] | None = None,
) -> ResampledEstimate:
    """Value of a statistic of n units, with a 95 % bootstrap interval.

    Args:
        statistic: maps row numbers [block, n] to values [block]; a resample for which it returns
            NaN gets the value of the full data.
        rng, unit, direction, draws, n_missing, reason: as in `bootstrap_mean`.
        limits: smallest and largest possible value of the statistic; None if there are none.

    Returns:
        Estimate and its sampling distribution. Undefined for n < 2 or if the statistic of the data
        is NaN. If all resamples give the same value, the bounds are those of a mean of n such
        values, or, without limits, the estimate has no interval.
    """
    value = float(statistic(np.arange(n)[None])[0]) if n else float("nan")
    if n < 2 or not np.isfinite(value):
        why = reason if n != 1 else _why(1, reason)
        return undefined(unit, direction, n_missing=n_missing, n=n, reason=why)
    drawn = resample(n, draws, rng, statistic)
    drawn = np.where(np.isfinite(drawn), drawn, value)
    if np.ptp(drawn) > 0:
        quantiles = widened(drawn, value, n, limits=limits)
    elif limits is None:
        return without_interval(value, n, unit, direction, n_missing)
    else:
        quantiles = gaffke_quantiles(np.full(n, value), quantile_levels(), limits=limits, rng=rng)
    return with_quantiles(value, quantiles, n, draws, unit, direction, n_missing)


def resample(
    n: int,
    draws: int,
    rng: np.random.Generator,
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Apply `statistic` to rows sampled with replacement, in blocks of at most 64 MiB of indices.

    Args:
        n: number of units.
        draws: number of resamples, at least 1.
        rng: generator for the row numbers.
        statistic: maps row numbers [block, n] to values [block].

    Returns:
        Values of the statistic, shape [draws].
    """
    block = max(1, BLOCK_BYTES // (16 * n))
    sizes = [min(block, draws - begin) for begin in range(0, draws, block)]
    return np.concatenate([statistic(rng.integers(0, n, size=(size, n))) for size in sizes])


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not np.all(np.isfinite(x)):
        raise InvalidArgument(
            f"The bootstrap got an array of shape {x.shape} that is not one-dimensional or has "
            "values that are not finite. Give one finite value per unit and count the others as "
            "missing."
        )
    return x


def _why(n: int, reason: str) -> str:
    return "one unit says nothing about the spread between units" if n == 1 else reason
