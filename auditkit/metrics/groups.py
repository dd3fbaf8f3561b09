"""Mean utility per group of users, computed with fairlearn's MetricFrame.

fairlearn only computes the group means. Its `difference()` drops a group whose mean is NaN, and its
bootstrap intervals of a max - min never contain 0 for fair data, so gaps and bounds are computed in
`stats.group_bounds`. Missing users are removed first and counted, users with an unknown attribute
value are counted separately, and a group of fewer than 20 users has no mean. Source: fairlearn
0.15.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auditkit.errors import InvalidArgument, MissingDependency

__all__ = ["GroupRow", "GroupTable", "group_table"]

UNKNOWN = "unknown"


@dataclass(frozen=True)
class GroupRow:
    """Number of users in one group, and their mean utility (None if there are too few users)."""

    group: str
    n: int
    mean: float | None


@dataclass(frozen=True)
class GroupTable:
    """Mean utility by group, in alphabetic order of the groups, and over all scored users.

    `gap` is the largest minus the smallest group mean, and `ratio` is the smallest over the
    largest. Both are None with fewer than two groups of sufficient size; `ratio` is also None if
    the largest mean is 0. Users without a known value count only in `overall`.
    """

    rows: tuple[GroupRow, ...]
    overall: float | None
    gap: float | None
    ratio: float | None
    n_missing: int


def group_table(
    values: Sequence[float | None], groups: Sequence[str], *, min_size: int = 20
) -> GroupTable:
    """Mean utility by group.

    Args:
        values: utility per user, at least 0; None for a user who could not be scored.
        groups: attribute value per user; `unknown` or an empty string if it is not known.
        min_size: minimum number of users for a group mean.

    Raises:
        InvalidArgument: lengths differ, or a value is NaN, infinite or negative.
        MissingDependency: fairlearn is not installed.
    """
    if len(values) != len(groups):
        raise InvalidArgument(
            f"group_table got {len(values)} values and {len(groups)} groups. Give one of each per "
            "user."
        )
    scored = [
        (float(v), str(g) or UNKNOWN) for v, g in zip(values, groups, strict=True) if v is not None
    ]
    if any(not math.isfinite(value) or value < 0 for value, _ in scored):
        raise InvalidArgument(
            "group_table got a utility that is negative or not finite. Give None for a user who "
            "could not be scored."
        )
    n_missing = len(values) - len(scored)
    if not scored:
        return GroupTable((), None, None, None, n_missing)
    try:
        from fairlearn.metrics import MetricFrame, count
    except ImportError:
        raise MissingDependency("fairlearn", extra="fair", purpose="A table of groups") from None

    utility = [value for value, _ in scored]
    frame = MetricFrame(
        metrics={"mean": _mean_of_second, "count": count},
        y_true=utility,  # MetricFrame calls metric(y_true, y_pred); only y_pred is used
        y_pred=utility,
        sensitive_features={"group": [group for _, group in scored]},
    )
    table = frame.by_group
    sizes = {str(group): int(size) for group, size in table["count"].items()}
    rows = tuple(
        GroupRow(group, sizes[group], float(mean) if sizes[group] >= min_size else None)
        for group, mean in ((str(group), mean) for group, mean in table["mean"].items())
        if group != UNKNOWN
    )
    means = [row.mean for row in rows if row.mean is not None]
    gap = max(means) - min(means) if len(means) > 1 else None
    ratio = min(means) / max(means) if len(means) > 1 and max(means) > 0 else None
    return GroupTable(rows, float(frame.overall["mean"]), gap, ratio, n_missing)


def _mean_of_second(_: Sequence[float], utility: Sequence[float]) -> float:
    return float(sum(utility) / len(utility))
