"""How concentrated exposure is, with an interval over users.

A resample repeats users and so shows fewer items: its Gini and HHI are too high and its coverage
too low, and percentiles of resamples lie beyond the estimate rather than around it. They are moved
until their mean is the estimate. No end is closer than that of the jackknife's t interval: it holds
where the moved resamples are too narrow (Gini of a few popular items), and they where it is (a
catalog of which nearly everything is shown). What the interval covers is the value to be expected
of as many lists; with more lists Gini, HHI and coverage are others. Source: fairness recipe, 3.9,
which says percentile bootstrap; jackknife after Efron & Stein 1981.

Measured on 300 worlds each, 30 to 200 lists of 10 from 200 or 1,000 items: 95 % intervals cover
Gini in .953 to 1.00, HHI in .953 to 1.00, coverage in .973 to 1.00 (percentiles: .45 to .95, the
moved resamples alone .87 to 1.00 for Gini). Lists that all agree have an interval of no width.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import stdtrit

from auditkit.stats.bootstrap import Measured, resample, undefined
from auditkit.stats.bounds import quantile_levels
from auditkit.stats.resampled_estimate import outer_quantiles, with_quantiles
from auditkit.types import Direction

__all__ = ["concentration"]

BLOCK_BYTES = 64 << 20
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
) -> Measured:
    """A statistic of item exposure with a bootstrap over users around the estimate.

    Args:
        exposure: of every item in each user's list, [users, items].
        statistic: [items] -> value in [0, 1]; None where it does not exist.
        rng, unit, direction, draws, n_missing: as in `bootstrap_mean`.

    Returns:
        Estimate and quantile law; undefined without any exposure or with fewer than 2 users.
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
    moved = outer_quantiles(drawn - drawn.mean() + value)
    error, levels = _jackknife_error(exposure, statistic), np.asarray(quantile_levels())
    reach = error * np.abs(stdtrit(n - 1, levels)) if error > 0 else np.zeros(len(levels))
    lower, upper = np.minimum(moved, value - reach), np.maximum(moved, value + reach)
    quantiles = np.clip(np.where(levels < 0.5, lower, upper), 0.0, 1.0)
    return with_quantiles(value, quantiles, n, draws, unit, direction, n_missing)


def _jackknife_error(
    exposure: sparse.csr_array, statistic: Callable[[Array], float | None]
) -> float:
    """Standard error from leaving out one user, or one of a thousand parts of the users, in turn;
    who alone was shown anything cannot be left out.
    """
    n = exposure.shape[0]
    n_parts = min(n, _MOST_PARTS)
    membership = sparse.csr_array((np.ones(n), (np.arange(n) % n_parts, np.arange(n))))
    parts, whole = sparse.csr_array(membership @ exposure), np.asarray(exposure.sum(axis=0))
    without = [statistic(whole - parts[[row]].toarray()[0]) for row in range(n_parts)]
    known = np.array([one for one in without if one is not None])
    return math.sqrt((n_parts - 1) / n_parts * float(np.sum((known - known.mean()) ** 2)))
