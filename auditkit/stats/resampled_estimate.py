"""An estimate together with its sampling distribution, built from bootstrap resamples.

The distribution is stored as 201 quantiles, dense in both tails and each rounded outwards to a
resampled value, so a policy can request a bound at any confidence. The displayed interval is read
from the same quantiles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri, stdtrit

from auditkit.stats.bounds import quantile_levels
from auditkit.stats.intervals import clopper_pearson
from auditkit.types import Band, Direction, Estimate, Quantiles, SamplingDistribution

__all__ = [
    "NOTHING",
    "ResampledEstimate",
    "banded",
    "outer_quantiles",
    "undefined",
    "widen_lower_tail",
    "widen_skewed_tail",
    "widen_upper_tail",
    "with_quantiles",
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
    """An estimate with bounds that hold jointly with others of its probe; without bounds (`ends` is
    None) for a pilot.
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


def widen_upper_tail(q: NDArray[np.float64], x: int, n: int, *, end: float) -> None:
    """If few of the n units are above `end`, raise the upper half of the quantiles in place to
    `end` + Clopper-Pearson upper bounds.
    """
    levels = quantile_levels()
    if x < FEW_UNITS:
        for i in range(len(levels) // 2 + 1, len(levels)):
            q[i] = max(q[i], end + _upper(x, n, levels[i]))


def widen_lower_tail(q: NDArray[np.float64], x: int, n: int, *, end: float) -> None:
    """If few of the n units are below `end`, lower the lower half of the quantiles in place to
    `end` - Clopper-Pearson upper bounds.
    """
    levels = quantile_levels()
    if x < FEW_UNITS:
        for i in range(len(levels) // 2):
            q[i] = min(q[i], end - _upper(x, n, levels[-1 - i]))


def widen_skewed_tail(q: NDArray[np.float64], rates: NDArray[np.float64]) -> None:
    """Widen the tail of a mean rate on the side to which its distribution is skewed.

    A mean of rates near 0 is skewed upwards, and percentiles of resampled means are too narrow.
    Where Clopper-Pearson is wider, it replaces the tail, with the effective number of rows that
    corresponds to the variance between units (Korn & Graubard 1998).
    """
    n, mean = len(rates), float(rates.mean())
    if n < 2 or float(np.ptp(rates)) < _EQUAL or mean in (0.0, 1.0):
        return  # no variation beyond rounding errors
    variance = float(rates.var(ddof=1)) / n
    few_units = (ndtri(0.975) / stdtrit(n - 1, 0.975)) ** 2
    n_eff = mean * (1 - mean) / variance * few_units
    levels = np.asarray(quantile_levels())
    half = len(levels) // 2
    if mean <= 0.5:
        far = betaincinv(mean * n_eff + 1, (1 - mean) * n_eff, levels[half + 1 :])
        q[half + 1 :] = np.maximum(q[half + 1 :], far)
    if mean >= 0.5:
        far = betaincinv(mean * n_eff, (1 - mean) * n_eff + 1, levels[:half])
        q[:half] = np.minimum(q[:half], far)


def with_quantiles(
    value: float,
    quantiles: NDArray[np.float64],
    n: int,
    draws: int,
    unit: str,
    direction: Direction,
    n_missing: int,
) -> ResampledEstimate:
    """A defined estimate; its 95 % interval is read from the quantiles, and widened to contain the
    value if necessary.
    """
    levels = np.asarray(quantile_levels())
    low = quantiles[np.flatnonzero(levels <= (1 - LEVEL) / 2)[-1]]
    high = quantiles[np.flatnonzero(levels >= (1 + LEVEL) / 2)[0]]
    estimate = Estimate(
        value=value, low=float(min(low, value)), high=float(max(high, value)), n=n, unit=unit,
        direction=direction, n_missing=n_missing, level=LEVEL,
    )  # fmt: skip
    return ResampledEstimate(estimate, Quantiles(draws=draws, q=tuple(map(float, quantiles))))


def _upper(x: int, n: int, confidence: float) -> float:
    return 1.0 if confidence >= 1 else clopper_pearson(x, n, confidence, side="upper").high
