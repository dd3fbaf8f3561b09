"""An estimate together with its sampling distribution, built from bootstrap resamples.

The distribution is stored as 201 quantiles, dense in both tails and each rounded outwards to a
resampled value, so a policy can request a bound at any confidence. The displayed interval is read
from the same quantiles.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from auditkit.stats.bounds import quantile_levels
from auditkit.types import Band, Direction, Estimate, Quantiles, SamplingDistribution

__all__ = [
    "FEW_UNITS",
    "LEVEL",
    "NOTHING",
    "ResampledEstimate",
    "banded",
    "n_deviating",
    "outer_quantiles",
    "undefined",
    "widened",
    "with_quantiles",
    "without_interval",
]

FEW_UNITS = 5
_EQUAL = 1e-9
LEVEL = 0.95
NOTHING = "no unit could be scored"


class ResampledEstimate(NamedTuple):
    """An estimate and its sampling distribution."""

    estimate: Estimate
    law: SamplingDistribution


def undefined(
    unit: str, direction: Direction, *, reason: str, n: int = 0, n_missing: int = 0
) -> ResampledEstimate:
    """An undefined estimate with its reason and an empty sampling distribution."""
    estimate = Estimate(
        value=None, low=None, high=None, n=n, unit=unit, direction=direction, n_missing=n_missing,
        status="undefined", reason=reason,
    )  # fmt: skip
    return ResampledEstimate(estimate, Quantiles(draws=0, q=()))


def banded(
    value: float,
    ends: tuple[float, float] | None,
    *,
    unit: str,
    direction: Direction,
    n: int,
    n_missing: int = 0,
    p_adjusted: float | None = None,
) -> ResampledEstimate:
    """An estimate whose bounds hold jointly with other estimates of the probe.

    `ends` is None, and the estimate has no bounds, in a pilot.
    """
    low, high = ends or (None, None)
    estimate = Estimate(
        value=value, low=low, high=high, n=n, n_missing=n_missing, unit=unit, direction=direction
    )
    return ResampledEstimate(estimate, Band(p_adjusted=p_adjusted))


def outer_quantiles(draws: ArrayLike) -> NDArray[np.float64]:
    """The 201 quantiles of the resampled values, each rounded outwards to a resampled value."""
    levels = np.asarray(quantile_levels())
    values = np.asarray(draws, dtype=np.float64)
    lower = np.quantile(values, levels, method="lower")
    higher = np.quantile(values, levels, method="higher")
    quantiles: NDArray[np.float64] = np.where(levels < 0.5, lower, higher)
    return quantiles


def widened(
    drawn: ArrayLike, value: float, n: int, *, limits: tuple[float, float] | None = None
) -> NDArray[np.float64]:
    """The 201 quantiles, widened because percentile intervals of small samples are too narrow.

    The distance of a quantile from the value is multiplied by the ratio of Student's t to the
    normal quantile and by sqrt(n / (n - 1)). Source: Hesterberg 2015, "expanded percentile
    interval".

    Args:
        drawn: values of the statistic for the resamples.
        value: value of the statistic for the data.
        n: number of units.
        limits: smallest and largest possible value.
    """
    levels = np.asarray(quantile_levels())
    inner = np.clip(levels, 1e-6, 1 - 1e-6)
    normal = ndtri(inner)
    flat = np.abs(normal) < 1e-3  # the ratio tends to a constant at the median, where 0 / 0
    ratio = np.where(flat, 1.0, stdtrit(n - 1, inner) / np.where(flat, 1.0, normal))
    quantiles = value + ratio * math.sqrt(n / (n - 1)) * (outer_quantiles(drawn) - value)
    quantiles = np.maximum.accumulate(quantiles)
    return quantiles if limits is None else np.clip(quantiles, *limits)


def without_interval(
    value: float, n: int, unit: str, direction: Direction, n_missing: int
) -> ResampledEstimate:
    """A value without an interval, because nearly all units have the same value of an unlimited
    quantity.
    """
    reason = (
        f"fewer than {FEW_UNITS} of {n} units differ from the most common value, so the spread is "
        "unknown"
    )
    estimate = Estimate(
        value=value, low=None, high=None, n=n, unit=unit, direction=direction, n_missing=n_missing,
        reason=reason,
    )  # fmt: skip
    return ResampledEstimate(estimate, Band())


def n_deviating(values: NDArray[np.float64]) -> int:
    """Count the values that differ from the median by more than rounding.

    If more than half of the values are equal, the median is the most common value.
    """
    return int(np.sum(np.abs(values - np.median(values)) > _EQUAL))


def with_quantiles(
    value: float,
    quantiles: NDArray[np.float64],
    n: int,
    draws: int,
    unit: str,
    direction: Direction,
    n_missing: int,
) -> ResampledEstimate:
    """Create an estimate with a 95 % interval from quantiles, widened if needed to contain the
    value.
    """
    levels = np.asarray(quantile_levels())
    low = quantiles[np.flatnonzero(levels <= (1 - LEVEL) / 2)[-1]]
    high = quantiles[np.flatnonzero(levels >= (1 + LEVEL) / 2)[0]]
    estimate = Estimate(
        value=value, low=float(min(low, value)), high=float(max(high, value)), n=n, unit=unit,
        direction=direction, n_missing=n_missing, level=LEVEL,
    )  # fmt: skip
    return ResampledEstimate(estimate, Quantiles(draws=draws, q=tuple(map(float, quantiles))))
