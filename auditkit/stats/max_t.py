"""Critical value of simultaneous intervals: a quantile of the largest studentized deviation.

A percentile bootstrap of a max - min, or of a mean of absolute values, never covers 0 for a fair
recommender. Bounds derived from simultaneous intervals of the differences or means do. Source:
docs/explain/fairness.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.stats.intervals import Interval

__all__ = [
    "NO_SPREAD",
    "Resampled",
    "critical_value",
    "largest_gap",
    "resample_weights",
    "resampled_means",
]

NO_SPREAD = 1e-12


class Resampled(NamedTuple):
    """Deviations of resampled means from the mean of the data, with their standard errors.

    Attributes:
        shift: mean of the resample minus mean of the data, [draws, columns].
        error: standard error estimated from the resample, [draws, columns].
    """

    shift: NDArray[np.float64]
    error: NDArray[np.float64]


def resample_weights(rng: np.random.Generator, *, n: int, draws: int) -> NDArray[np.float64]:
    """Sample how often each of n units occurs in each resample with replacement, [draws, n]."""
    return rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)


def resampled_means(values: NDArray[np.float64], weights: NDArray[np.float64]) -> Resampled:
    """Compute each resample's shift of the mean from the mean of the data, with standard errors.

    Args:
        values: [units, columns], at least 2 units.
        weights: how often each unit is in each resample, [draws, units].
    """
    n = len(values)
    # Centering avoids loss of precision in the second moment if the spread is small.
    centered = values - values.mean(axis=0)
    shift = weights @ centered / n
    variance = np.maximum(weights @ centered**2 / n - shift**2, 0.0)
    return Resampled(shift, np.sqrt(variance / (n - 1)))


def critical_value(
    deviations: NDArray[np.float64], errors: NDArray[np.float64], *, level: float = 0.95
) -> float:
    """Number of standard errors c for which the intervals of all estimates hold jointly.

    Args:
        deviations: resampled estimate minus estimate, [draws, estimates].
        errors: standard errors of the resamples [draws, estimates], or one per estimate
            [estimates]. A resample with error 0 gets the root mean square of the other errors, so
            that its deviation counts; an estimate with error 0 in all resamples is ignored.
        level: joint coverage, in (0, 1).

    Returns:
        c, at least 0, such that |estimate - truth| <= c se holds for all estimates jointly.
    """
    scale = np.broadcast_to(errors, deviations.shape)
    scale = np.where(scale > NO_SPREAD, scale, np.sqrt(np.mean(scale**2, axis=0)))
    spread = scale > NO_SPREAD
    studentized = np.where(spread, np.abs(deviations) / np.where(spread, scale, 1.0), 0.0)
    return float(np.quantile(studentized.max(axis=1), level, method="higher"))


def largest_gap(gaps: NDArray[np.float64], reach: NDArray[np.float64]) -> Interval:
    """Bounds of the largest absolute gap; `reach` is the half-width of each gap, [gaps]."""
    return Interval(max(0.0, float(np.max(gaps - reach))), float(np.max(gaps + reach)))
