"""Bounds of exposure over users: whole users are resampled with everything they were shown.

The gap between item groups (DGU) is a max - min and the mean of absolute group utilities (MGU) is
biased upwards like it, so both get bounds from parts that hold jointly; what is a smooth share gets
a percentile bootstrap. Source: fairness recipe, 3.9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from auditkit.errors import InvalidArgument
from auditkit.stats.bootstrap import bootstrap_statistic
from auditkit.stats.intervals import Interval
from auditkit.stats.max_t import critical_value
from auditkit.stats.measured import Measured
from auditkit.types import Direction

__all__ = ["Disparity", "concentration", "disparity_bounds"]

BLOCK_BYTES = 64 << 20
MOST_PAIRED = 40
Array = NDArray[np.float64]


class Disparity(NamedTuple):
    """Group utilities GU with joint bounds.

    Attributes:
        utility: GU by group, [groups]; ideal 0. bounds: of each group, jointly, [groups, 2].
        mgu, mgu_bounds: mean of |GU|. dgu, dgu_bounds: largest minus smallest GU.
    """

    utility: Array
    bounds: Array
    mgu: float
    mgu_bounds: Interval
    dgu: float
    dgu_bounds: Interval


def disparity_bounds(
    shown: ArrayLike,
    history: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 2_000,
    level: float = 0.95,
) -> Disparity | None:
    """MGU and DGU with bounds, users resampled with their list and their history.

    MGU: mean over groups of |GU| -+ c se, floored at 0 in every group, c from the largest deviation
    of any group. DGU: the largest difference of two groups' GU -+ c se, c from the largest
    deviation of any difference; beyond 40 groups the joint bounds of the groups take the place of
    those of pairs. Standard errors are bootstrap standard deviations.

    Args:
        shown: exposure of every group in each user's list, [users, groups], at least 0.
        history: the same of each user's history.
        rng, draws, level: of the resamples and the joint coverage.

    Returns:
        Share points; None with fewer than 2 users or groups, or without any exposure or history.

    Raises:
        InvalidArgument: arrays of unequal shape.
    """
    lists, histories = np.asarray(shown, dtype=np.float64), np.asarray(history, dtype=np.float64)
    if lists.shape != histories.shape or lists.ndim != 2:
        raise InvalidArgument(
            f"disparity_bounds got arrays of shape {lists.shape} and {histories.shape}. Give one "
            "row per user and one column per group in both."
        )
    n = len(lists)
    if min(lists.shape) < 2 or not lists.sum() or not histories.sum():
        return None
    utility = _shares(lists.sum(axis=0)[None]) - _shares(histories.sum(axis=0)[None])
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
    drawn = _shares(weights @ lists) - _shares(weights @ histories)
    own = utility[0]
    deviations = drawn - own
    error = deviations.std(axis=0)
    reach = critical_value(deviations, error, level=level) * error
    mgu_ends = np.maximum(np.abs(own) - reach, 0.0).mean(), (np.abs(own) + reach).mean()
    return Disparity(
        utility=own,
        bounds=np.stack((own - reach, own + reach), axis=1),
        mgu=float(np.abs(own).mean()),
        mgu_bounds=Interval(float(mgu_ends[0]), float(mgu_ends[1])),
        dgu=float(np.ptp(own)),
        dgu_bounds=_gap_bounds(own, deviations, reach, level),
    )


def _gap_bounds(own: Array, deviations: Array, reach: Array, level: float) -> Interval:
    """Bounds of max - min from those of all differences; of many groups from those of the groups,
    which are wider and need no pairs.
    """
    if len(own) > MOST_PAIRED:
        low = float(np.max(own - reach) - np.min(own + reach))
        return Interval(max(0.0, low), float(np.max(own + reach) - np.min(own - reach)))
    a, b = np.triu_indices(len(own), 1)
    gaps, between = np.abs(own[a] - own[b]), deviations[:, a] - deviations[:, b]
    error = between.std(axis=0)
    reach_of_gaps = critical_value(between, error, level=level) * error
    low = float(np.max(gaps - reach_of_gaps))
    return Interval(max(0.0, low), float(np.max(gaps + reach_of_gaps)))


def _shares(amounts: Array) -> Array:
    """Rows that sum to 1; a resample without any exposure keeps zeros."""
    totals = amounts.sum(axis=1, keepdims=True)
    return np.asarray(amounts / np.where(totals > 0, totals, 1.0))


def concentration(
    exposure: sparse.csr_array,
    statistic: Callable[[Array], float | None],
    *,
    rng: np.random.Generator,
    unit: str,
    direction: Direction,
    draws: int = 999,
    n_missing: int = 0,
) -> Measured:
    """A statistic of item exposure with a percentile bootstrap over users.

    A resample repeats users and so shows fewer items: intervals of coverage reach too low, of Gini
    and HHI too high, rather than the other way.

    Args:
        exposure: of every item in each user's list, [users, items].
        statistic: [items] -> value; None where it does not exist.
        rng, unit, direction, draws, n_missing: as in `bootstrap_mean`.

    Returns:
        Estimate and quantile law; undefined without any exposure or with fewer than 2 users.
    """
    n, n_items = exposure.shape
    block = max(1, BLOCK_BYTES // (8 * (n + n_items)))

    def of_rows(rows: NDArray[np.int64]) -> Array:
        found = []
        for begin in range(0, len(rows), block):
            part = rows[begin : begin + block]
            weights = np.zeros((len(part), n))
            np.add.at(weights, (np.arange(len(part))[:, None], part), 1.0)
            values = [statistic(row) for row in np.asarray(weights @ exposure)]
            found += [np.nan if value is None else value for value in values]
        return np.array(found)

    return bootstrap_statistic(
        n,
        of_rows,
        rng=rng,
        unit=unit,
        direction=direction,
        draws=draws,
        n_missing=n_missing,
        reason="no item of the catalog was shown",
    )
