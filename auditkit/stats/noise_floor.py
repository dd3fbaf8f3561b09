"""Noise floor of SNSR: the value expected for a fair recommender that samples.

The range of sampled means is above 0 even without an effect. The residuals of the probe x value
table after removing probe and value means estimate the noise, and the range of A means of n such
residuals has expectation d2(A) sigma / sqrt(n). No extra calls to the recommender are needed.
Source: Tippett 1925 (d2).
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from auditkit.errors import InvalidArgument

__all__ = ["NoiseFloor", "expected_range", "noise_floor", "range_95"]


class NoiseFloor(NamedTuple):
    """Noise of a single similarity, and the SNSR that noise alone produces, in similarity points.

    Attributes:
        sigma: standard deviation of the residuals after removing probe and value means.
        expected_snsr: expected SNSR of a fair recommender.
        snsr_95: SNSR that a fair recommender exceeds in 5 % of audits.
        snsv_corrected: SNSV after subtracting the variance expected from noise, at least 0.
    """

    sigma: float
    expected_snsr: float
    snsr_95: float
    snsv_corrected: float


@cache
def expected_range(n_values: int) -> float:
    """Return d2(A), the mean range of A standard normals: the integral of 1 - F^A - (1 - F)^A."""
    if n_values < 2:
        raise InvalidArgument(f"expected_range got n_values={n_values}. Give at least 2 values.")

    def density(x: float) -> float:
        below = float(special.ndtr(x))
        return 1 - below**n_values - (1 - below) ** n_values

    from scipy import integrate  # 0.5 s of imports

    return float(integrate.quad(density, -12, 12, limit=200)[0])


@cache
def range_95(n_values: int, degrees: float = math.inf) -> float:
    """Return q(A), the .95 quantile of the studentized range; scipy integrates for about 0.2 s."""
    from scipy import stats  # 1 s of imports

    return float(stats.studentized_range.ppf(0.95, n_values, degrees))


def noise_floor(similarity: ArrayLike) -> NoiseFloor:
    """Noise floor of SNSR, estimated from the probe x value table.

    sigma^2 = sum of squared interaction residuals / ((n - 1)(A - 1)).

    Args:
        similarity: [probes, values], complete probes only.

    Raises:
        InvalidArgument: fewer than 2 probes or 2 values, or a number that is not finite.
    """
    matrix = np.asarray(similarity, dtype=np.float64)
    if matrix.ndim != 2 or min(matrix.shape) < 2 or not np.all(np.isfinite(matrix)):
        raise InvalidArgument(
            f"noise_floor got an array of shape {matrix.shape}. Give complete probes only, at "
            "least 2 x 2."
        )
    n, n_values = matrix.shape
    residuals = matrix - matrix.mean(axis=1, keepdims=True) - matrix.mean(axis=0) + matrix.mean()
    degrees = (n - 1) * (n_values - 1)
    variance = float(np.sum(residuals**2)) / degrees
    sigma = math.sqrt(variance)
    snsv = float(matrix.mean(axis=0).std())
    return NoiseFloor(
        sigma,
        expected_range(n_values) * sigma / math.sqrt(n),
        range_95(n_values, degrees) * sigma / math.sqrt(n),
        math.sqrt(max(0.0, snsv**2 - variance * (n_values - 1) / (n_values * n))),
    )
