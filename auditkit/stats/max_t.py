"""The critical value that makes many intervals hold at once: the .95 quantile, over resamples, of
the largest studentised deviation.

A percentile bootstrap of a max - min or of a mean of absolute values never covers 0 for a fair
recommender; intervals of its parts that hold jointly do. Source: fairness recipe, 3.7.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_SPREAD", "critical_value"]

NO_SPREAD = 1e-12


def critical_value(
    deviations: NDArray[np.float64], errors: NDArray[np.float64], *, level: float = 0.95
) -> float:
    """How many standard errors every estimate may be off at once.

    Args:
        deviations: [draws, estimates], resampled minus own estimate, either sign.
        errors: standard errors of the resamples [draws, estimates], or one per estimate
            [estimates]; an estimate without spread does not count.
        level: joint coverage, in (0, 1).

    Returns:
        c of at least 0, such that all |estimate - truth| <= c se holds jointly.
    """
    scale = np.broadcast_to(errors, deviations.shape)
    spread = scale > NO_SPREAD
    studentised = np.where(spread, np.abs(deviations) / np.where(spread, scale, 1.0), 0.0)
    return float(np.quantile(studentised.max(axis=1), level, method="higher"))
