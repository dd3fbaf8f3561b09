"""Simultaneous bounds of the largest gap between independent groups of users.

Users are resampled within their group, and standard errors are Welch's. If nearly all users of a
group have the same value, neither a bootstrap nor a standard error measures the spread. The means
of such a group and of the groups with which it is compared get Gaffke's bounds, which hold for any
distribution and equal Clopper-Pearson bounds for values of 0 and 1. Source: Gaffke 2005;
docs/explain/fairness.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from auditkit.errors import InvalidArgument
from auditkit.stats.bounded_mean import gaffke_ends
from auditkit.stats.intervals import Interval
from auditkit.stats.max_t import (
    NO_SPREAD,
    critical_value,
    largest_gap,
    resample_weights,
    resampled_means,
)
from auditkit.stats.resampled_estimate import FEW_UNITS, n_deviating
from auditkit.stats.simultaneous import MIN_PROBES, RangeBounds

__all__ = ["gap_of", "group_gap_bounds"]


def group_gap_bounds(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 2_000,
    level: float = 0.95,
) -> RangeBounds:
    """Compute bounds of the largest gap between group means, with users resampled within groups.

    A pair is sparse if one of its groups has fewer than five users whose value differs from the
    most common one. The bounds of a sparse pair follow from the bounds of its two means, with the
    error level divided among the groups (Bonferroni).

    Args:
        values: utility per user in [0, 1], shape [n].
        groups: group number of each user, from 0, [n].
        rng: generator for the resamples.
        draws: number of resamples.
        level: joint coverage.

    Returns:
        Bounds in the unit of the values; without bounds (pilot) if a group has fewer than 20 users.

    Raises:
        InvalidArgument: lengths differ, fewer than 2 groups, an empty group, or a value outside
            [0, 1].
    """
    x, numbers = np.asarray(values, dtype=np.float64), np.asarray(groups, dtype=np.int64)
    if len(x) != len(numbers):
        raise InvalidArgument(
            f"group_gap_bounds got {len(x)} values and {len(numbers)} groups. Give one of each per "
            "user."
        )
    members = [x[numbers == group] for group in range(int(numbers.max(initial=-1)) + 1)]
    sizes = np.asarray([len(group) for group in members])
    if len(members) < 2 or sizes.min() == 0 or not np.all((x >= 0) & (x <= 1)):
        raise InvalidArgument(
            f"group_gap_bounds got groups of {sizes.tolist()} users. Give at least two non-empty "
            "groups of values in [0, 1]."
        )
    means = np.asarray([group.mean() for group in members])
    value = float(np.ptp(means))
    if sizes.min() < MIN_PROBES:
        return RangeBounds(value, None, 0, True)
    squared = np.asarray([group.var(ddof=1) / len(group) for group in members])
    few = np.asarray([n_deviating(group) < FEW_UNITS for group in members])
    a, b = np.triu_indices(len(members), 1)
    error = np.sqrt(squared[a] + squared[b])
    sparse = few[a] | few[b] | (error <= NO_SPREAD)
    alpha = (1 - level) / (2 if sparse.any() and not sparse.all() else 1)
    found: list[Interval] = []
    if not sparse.all():
        drawn = [
            resampled_means(group[:, None], resample_weights(rng, n=len(group), draws=draws))
            for group in members
        ]
        shift = np.concatenate([one.shift for one in drawn], axis=1)
        variance = np.concatenate([one.error for one in drawn], axis=1) ** 2
        a_, b_ = a[~sparse], b[~sparse]
        resampled = np.sqrt(variance[:, a_] + variance[:, b_])
        c = critical_value(shift[:, a_] - shift[:, b_], resampled, level=1 - alpha)
        found.append(largest_gap(np.abs(means[a_] - means[b_]), c * error[~sparse]))
    if sparse.any():
        share = 1 - alpha / len(np.union1d(a[sparse], b[sparse]))
        ends = [gaffke_ends(group, level=share, rng=rng) for group in members]
        found += [gap_of(ends[i], ends[j]) for i, j in zip(a[sparse], b[sparse], strict=True)]
    low, high = max(one.low for one in found), max(one.high for one in found)
    return RangeBounds(value, Interval(low, min(1.0, high)), int(sparse.sum()), False)


def gap_of(one: Interval, other: Interval) -> Interval:
    """Bounds of the absolute difference of two means, computed from the bounds of each mean."""
    low = max(0.0, one.low - other.high, other.low - one.high)
    return Interval(low, max(one.high - other.low, other.high - one.low))
