"""Simultaneous bounds of a max - min over all pairs.

A percentile bootstrap of a max - min never covers 0 for a fair recommender, so the differences are
bounded instead: c = .95 quantile over resamples of the largest studentized deviation, low = max(0,
max(|d| - c se)), high = max(|d| + c se). The standard error is not reliable for a sparse pair,
whose difference is the same in nearly all units (typically 0, at temperature 0). For such a pair,
Gaffke's bound limits the mean absolute deviation from the median difference. This bound equals
Clopper-Pearson on the share of deviating units if deviations are maximal, and is lower for small
deviations. Source: ADR 0006.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.stats.bounded_mean import gaffke_upper
from auditkit.stats.intervals import Interval, clopper_pearson
from auditkit.stats.max_t import critical_value, largest_gap, resample_weights, resampled_means
from auditkit.stats.resampled_estimate import FEW_UNITS

__all__ = [
    "MIN_PROBES",
    "RangeBounds",
    "contrast_bounds",
    "share_gap_bounds",
    "snsr_bounds",
]

MIN_PROBES = 20
TOLERANCE = 1e-12


class RangeBounds(NamedTuple):
    """A max - min with simultaneous bounds.

    Attributes:
        value: largest minus smallest mean; ideal 0.
        bounds: lower and upper bound; None for a pilot.
        n_sparse_pairs: number of pairs whose difference is the same in nearly all units; they are
            bounded by Gaffke's bound or Clopper-Pearson.
        pilot: whether there are too few units (fewer than 20) for bounds.
    """

    value: float
    bounds: Interval | None
    n_sparse_pairs: int
    pilot: bool

    def of_standard_deviation(self, n_values: int) -> Interval | None:
        """Bounds of the population SD of A means with range R: R / sqrt(2A) <= SD <= R / 2."""
        if self.bounds is None:
            return None
        return Interval(self.bounds.low / math.sqrt(2 * n_values), self.bounds.high / 2)


def snsr_bounds(
    similarity: ArrayLike, *, rng: np.random.Generator, draws: int = 2_000, level: float = 0.95
) -> RangeBounds:
    """Bounds of SNSR, with whole probes resampled.

    Args:
        similarity: [probes, values] in [0, 1], complete probes only.
        rng: generator for the resamples.
        draws: number of resamples.
        level: joint coverage, in (0, 1).

    Returns:
        Bounds in similarity points; without bounds (pilot) below 20 probes.

    Raises:
        InvalidArgument: fewer than 2 probes or 2 values, or a number that is not in [0, 1].
    """
    matrix = np.asarray(similarity, dtype=np.float64)
    if matrix.ndim != 2:
        raise InvalidArgument(
            f"snsr_bounds got an array of shape {matrix.shape}. Give one row per probe and one "
            "column per value."
        )
    return share_gap_bounds(matrix[:, :, None], rng=rng, draws=draws, level=level)


def share_gap_bounds(
    shares: ArrayLike, *, rng: np.random.Generator, draws: int = 2_000, level: float = 0.95
) -> RangeBounds:
    """Bounds of the largest gap between the means of two attribute values, jointly over all
    columns.

    Args:
        shares: [probes, values, columns] in [0, 1], such as the share of a list in every group of
            items; complete probes only.
        rng, draws, level: as in `snsr_bounds`, which has one column.

    Returns:
        The largest gap in any column, with bounds that hold for all pairs of values and columns.

    Raises:
        InvalidArgument: fewer than 2 probes or 2 values, or a number that is not in [0, 1].
    """
    cells = np.asarray(shares, dtype=np.float64)
    if cells.ndim != 3 or min(cells.shape[:2]) < 2 or not np.all((cells >= 0) & (cells <= 1)):
        raise InvalidArgument(
            f"share_gap_bounds got an array of shape {cells.shape}. Give numbers in [0, 1] of "
            "complete probes, at least 2 x 2."
        )
    a, b = np.triu_indices(cells.shape[1], 1)
    value = float(np.ptp(cells.mean(axis=0), axis=0).max())
    differences = (cells[:, a] - cells[:, b]).reshape(len(cells), -1)
    return _largest(differences, value, rng, draws, level, columns=cells.shape[2])


def contrast_bounds(
    contrasts: ArrayLike, *, rng: np.random.Generator, draws: int = 2_000, level: float = 0.95
) -> RangeBounds:
    """Bounds of the largest absolute column mean.

    Args:
        contrasts: [probes, columns] in [-1, 1], each with mean 0 if there is no effect.
        rng, draws, level: as in `snsr_bounds`.

    Raises:
        InvalidArgument: fewer than 2 probes, or a number that is not in [-1, 1].
    """
    columns = np.asarray(contrasts, dtype=np.float64)
    if columns.ndim != 2 or len(columns) < 2 or not np.all(np.abs(columns) <= 1 + TOLERANCE):
        raise InvalidArgument(
            f"contrast_bounds got an array of shape {columns.shape}. Give numbers in [-1, 1] of "
            "at least 2 probes."
        )
    value = float(np.abs(columns.mean(axis=0)).max())
    return _largest(columns, value, rng, draws, level, columns=1)


def _largest(
    differences: NDArray[np.float64],
    value: float,
    rng: np.random.Generator,
    draws: int,
    level: float,
    *,
    columns: int,
) -> RangeBounds:
    """Bounds of the largest absolute column mean; sparse columns are bounded separately."""
    n = len(differences)
    if n < MIN_PROBES:
        return RangeBounds(value, None, 0, True)
    usual = np.median(differences, axis=0)
    deviation = np.abs(differences - usual)
    n_deviating = np.sum(deviation > TOLERANCE, axis=0)
    sparse = n_deviating < FEW_UNITS
    alpha = (1 - level) / (2 if sparse.any() and not sparse.all() else 1)
    low, high = 0.0, 0.0
    if not sparse.all():
        low, high = _paired_band(differences[:, ~sparse], rng, draws, 1 - alpha, columns=columns)
    if sparse.any():
        farthest = 1 + np.abs(usual[sparse])  # differences lie in [-1, 1]
        rare = np.minimum(deviation[:, sparse] / farthest, 1.0)
        if columns == 1:
            top = gaffke_upper(rare.max(axis=1), level=1 - alpha, rng=rng)
        else:  # with many columns, some deviate in nearly every unit, so bound each one separately
            u, m = int(n_deviating[sparse].max()), int(sparse.sum())
            top = clopper_pearson(u, n, 1 - alpha / m, side="upper").high
        found = largest_gap(np.abs(usual[sparse]), farthest * top)
        low, high = max(low, found.low), max(high, found.high)
    return RangeBounds(value, Interval(low, min(1.0, high)), int(sparse.sum()), False)


def _paired_band(
    differences: NDArray[np.float64],
    rng: np.random.Generator,
    draws: int,
    level: float,
    *,
    columns: int,
) -> Interval:
    """Compute the max-t band over the columns of `differences`, [units, differences].

    Deviations are scaled by the standard error of their resample. With several columns there are
    very many rare differences, some of which have nearly no spread in some resample; their
    deviations are scaled by the standard error of the data instead.
    """
    n = len(differences)
    error = differences.std(axis=0, ddof=1) / math.sqrt(n)
    drawn = resampled_means(differences, resample_weights(rng, n=n, draws=draws))
    scale = drawn.error if columns == 1 else error
    reach = critical_value(drawn.shift, scale, level=level) * error
    return largest_gap(np.abs(differences.mean(axis=0)), reach)
