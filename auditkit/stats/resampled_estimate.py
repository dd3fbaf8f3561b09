"""An estimate together with the law that it follows, made from bootstrap draws.

The law keeps 201 quantiles, dense in both tails and each rounded outwards to a draw, so a policy
can ask for a bound at any confidence; the interval that is shown is read from the same quantiles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri, stdtrit

from auditkit.stats.bounds import quantile_levels
from auditkit.stats.intervals import clopper_pearson
from auditkit.types import Band, Direction, Estimate, Law, Quantiles

__all__ = [
    "NOTHING",
    "Measured",
    "banded",
    "lower_lower_tail",
    "outer_quantiles",
    "raise_upper_tail",
    "undefined",
    "widen_skewed_tail",
    "with_quantiles",
]

FEW_UNITS = 5
_EQUAL = 1e-9
LEVEL = 0.95
NOTHING = "no unit could be scored"


class Measured(NamedTuple):
    """An estimate and the law it follows."""

    estimate: Estimate
    law: Law


def undefined(
    unit: str, direction: Direction, *, reason: str, n: int = 0, n_missing: int = 0
) -> Measured:
    """An estimate that does not exist, with the reason, and a law without quantiles."""
    estimate = Estimate(
        value=None, low=None, high=None, n=n, unit=unit, direction=direction, n_missing=n_missing,
        status="undefined", reason=reason,
    )  # fmt: skip
    return Measured(estimate, Quantiles(draws=0, q=()))


def banded(
    value: float,
    ends: tuple[float, float] | None,
    *,
    unit: str,
    direction: Direction,
    n: int,
    n_missing: int = 0,
    p_adjusted: float | None = None,
) -> Measured:
    """An estimate whose ends hold jointly with others of its probe; None are those of a pilot."""
    low, high = ends or (None, None)
    estimate = Estimate(
        value=value, low=low, high=high, n=n, n_missing=n_missing, unit=unit, direction=direction
    )
    return Measured(estimate, Band(p_adjusted=p_adjusted))


def outer_quantiles(draws: ArrayLike) -> NDArray[np.float64]:
    """The 201 quantiles, each rounded outwards to a draw."""
    levels = np.asarray(quantile_levels())
    values = np.asarray(draws, dtype=np.float64)
    lower = np.quantile(values, levels, method="lower")
    higher = np.quantile(values, levels, method="higher")
    quantiles: NDArray[np.float64] = np.where(levels < 0.5, lower, higher)
    return quantiles


def raise_upper_tail(q: NDArray[np.float64], x: int, n: int, *, end: float) -> None:
    """If few units are above `end`, lift the upper half to end + Clopper-Pearson upper ends."""
    levels = quantile_levels()
    if x < FEW_UNITS:
        for i in range(len(levels) // 2 + 1, len(levels)):
            q[i] = max(q[i], end + _upper(x, n, levels[i]))


def lower_lower_tail(q: NDArray[np.float64], x: int, n: int, *, end: float) -> None:
    """If few units are below `end`, push the lower half to end - Clopper-Pearson upper ends."""
    levels = quantile_levels()
    if x < FEW_UNITS:
        for i in range(len(levels) // 2):
            q[i] = min(q[i], end - _upper(x, n, levels[-1 - i]))


def widen_skewed_tail(q: NDArray[np.float64], rates: NDArray[np.float64]) -> None:
    """Widen the tail of a mean rate on the side where its distribution is long.

    A mean of rates near 0 is skewed upwards, and percentiles of resampled means do not reach far
    enough. The tail beyond is that of Clopper-Pearson with as many effective rows as give the
    variance between units (Korn & Graubard 1998), where that reaches further.
    """
    n, mean = len(rates), float(rates.mean())
    if n < 2 or float(np.ptp(rates)) < _EQUAL or mean in (0.0, 1.0):
        return  # nothing varies, but for rounding
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
) -> Measured:
    """A defined estimate whose 95 % interval is read from the quantiles and contains the value."""
    levels = np.asarray(quantile_levels())
    low = quantiles[np.flatnonzero(levels <= (1 - LEVEL) / 2)[-1]]
    high = quantiles[np.flatnonzero(levels >= (1 + LEVEL) / 2)[0]]
    estimate = Estimate(
        value=value, low=float(min(low, value)), high=float(max(high, value)), n=n, unit=unit,
        direction=direction, n_missing=n_missing, level=LEVEL,
    )  # fmt: skip
    return Measured(estimate, Quantiles(draws=draws, q=tuple(map(float, quantiles))))


def _upper(x: int, n: int, confidence: float) -> float:
    return 1.0 if confidence >= 1 else clopper_pearson(x, n, confidence, side="upper").high
