"""Concentration of item exposure (Gini, HHI, coverage), with an interval over users.

A resample repeats users and therefore shows fewer items, so its Gini and HHI are too high, its
coverage is too low, and the percentile interval lies to one side of the estimate. The resampled
values are therefore shifted so that their mean equals the estimate. Each end of the interval comes
from the shifted bootstrap or the jackknife t interval, whichever is wider: the bootstrap is too
narrow for the Gini of a few popular items, and the jackknife is too narrow if nearly the whole
catalog is shown. The interval covers the expected value for the same number of lists, because Gini,
HHI and coverage depend on the number of lists. Source: Efron & Stein 1981 (jackknife).

Measured in 300 simulations per setting, 30 to 200 lists of 10 from 200 or 1,000 items: 95 %
intervals cover Gini in .953 to 1.00, HHI in .953 to 1.00 and coverage in .973 to 1.00 (percentile
bootstrap: .45 to .95; shifted bootstrap alone: .87 to 1.00 for Gini). If all lists are equal, the
interval has zero width.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import stdtrit

from auditkit.stats.bootstrap import ResampledEstimate, resample, undefined
from auditkit.stats.bounded_mean import gaffke_quantiles
from auditkit.stats.bounds import quantile_levels
from auditkit.stats.resampled_estimate import outer_quantiles, with_quantiles
from auditkit.types import Direction

__all__ = ["concentration"]

BLOCK_BYTES = 64 << 20
_SAME = 1e-12
_MOST_PARTS = 1_000
Array = NDArray[np.float64]


def concentration(
    exposure: sparse.csr_array,
    statistic: Callable[[Array], float | None],
    *,
    rng: np.random.Generator,
    unit: str,
    direction: Direction,
    draws: int = 999,
    n_missing: int = 0,
) -> ResampledEstimate:
    """A statistic of item exposure with an interval over users.

    Args:
        exposure: exposure of every item in each user's list, [users, items].
        statistic: maps the total exposure per item, [items], to a value in [0, 1], or to None if
            it is undefined.
        rng, unit, direction, draws, n_missing: as in `bootstrap_mean`.

    Returns:
        Estimate and its quantiles. If all resamples give the same value, the bounds are those of a
        mean of n such values. Undefined if no item is shown or if there are fewer than 2 users.
    """
    n, n_items = exposure.shape
    value = statistic(np.asarray(exposure.sum(axis=0), dtype=np.float64)) if n else None
    if n < 2 or value is None:
        why = "one user says nothing about the spread between users" if n == 1 else ""
        reason = why or "no item of the catalog was shown"
        return undefined(unit, direction, n_missing=n_missing, n=n, reason=reason)
    block = max(1, BLOCK_BYTES // (8 * (n + n_items)))

    def of_rows(rows: NDArray[np.int64]) -> Array:
        found = []
        for begin in range(0, len(rows), block):
            part = rows[begin : begin + block]
            weights = np.zeros((len(part), n))
            np.add.at(weights, (np.arange(len(part))[:, None], part), 1.0)
            drawn = [statistic(row) for row in np.asarray(weights @ exposure)]
            found += [value if one is None else one for one in drawn]
        return np.array(found)

    drawn = resample(n, draws, rng, of_rows)
    if np.ptp(drawn) < _SAME:  # no user's list is unlike the others', which proves nothing
        equal = np.full(n, value)
        quantiles = gaffke_quantiles(equal, quantile_levels(), limits=(0.0, 1.0), rng=rng)
        return with_quantiles(value, quantiles, n, draws, unit, direction, n_missing)
    moved = outer_quantiles(drawn - drawn.mean() + value)
    error, levels = _jackknife_error(exposure, statistic), np.asarray(quantile_levels())
    reach = error * np.abs(stdtrit(n - 1, levels)) if error > 0 else np.zeros(len(levels))
    lower, upper = np.minimum(moved, value - reach), np.maximum(moved, value + reach)
    quantiles = np.clip(np.where(levels < 0.5, lower, upper), 0.0, 1.0)
    return with_quantiles(value, quantiles, n, draws, unit, direction, n_missing)


def _jackknife_error(
    exposure: sparse.csr_array, statistic: Callable[[Array], float | None]
) -> float:
    """Return the jackknife standard error over users, or over 1,000 groups of more than 1,000
    users.

    A group is skipped if the statistic is undefined without this group.
    """
    n = exposure.shape[0]
    n_parts = min(n, _MOST_PARTS)
    membership = sparse.csr_array((np.ones(n), (np.arange(n) % n_parts, np.arange(n))))
    parts, whole = sparse.csr_array(membership @ exposure), np.asarray(exposure.sum(axis=0))
    without = [statistic(whole - parts[[row]].toarray()[0]) for row in range(n_parts)]
    known = np.array([one for one in without if one is not None])
    return math.sqrt((n_parts - 1) / n_parts * float(np.sum((known - known.mean()) ** 2)))
