"""Exposure of items in the lists of many users, and its concentration.

The exposure of an item is the number of lists that contain it. Gini, HHI and coverage depend on the
number of lists, so compare them only at equal numbers of lists and equal k. The functions that
compare groups of items are in `auditkit.metrics.item_groups`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.metrics.item_groups import (
    ItemGroupUtility,
    group_utility,
    memberships,
    require_nonnegative,
)

__all__ = [
    "ItemGroupUtility",
    "coverage",
    "gini",
    "group_utility",
    "hhi",
    "lorenz_curve",
    "memberships",
    "popularity_lift",
    "tail",
    "tail_share",
]

HEAD = 0.2


def gini(exposure: ArrayLike, *, n_items: int | None = None) -> float | None:
    """Gini coefficient of exposure: sum_j (2j - N - 1) e_(j) / (N E), e ascending, j from 1.

    Args:
        exposure: exposure of the items, 0 for items that are not shown, [items].
        n_items: number of items N, if `exposure` omits items that are not shown; by default, the
            length of `exposure`.

    Returns:
        Value in [0, 1 - 1/N]; ideal 0, if every item is shown equally often. None if no item is
        shown.
    """
    e = np.sort(require_nonnegative(exposure))
    n, total = _n_items(e, n_items), float(e.sum())
    if total == 0:
        return None
    return float((2 * np.arange(n - len(e) + 1, n + 1) - n - 1) @ e / (n * total))


def hhi(exposure: ArrayLike) -> float | None:
    """Herfindahl-Hirschman index: sum of squared shares of exposure.

    Args:
        exposure: as in `gini`.

    Returns:
        Value in [1/N, 1]; ideal 1/N, if all shares are equal. None if no item is shown.
    """
    e = require_nonnegative(exposure)
    return float(np.sum((e / e.sum()) ** 2)) if e.sum() > 0 else None


def coverage(exposure: ArrayLike, *, n_items: int | None = None) -> float | None:
    """Share of the catalog that is shown at least once.

    Args:
        exposure, n_items: as in `gini`.

    Returns:
        Fraction in [0, 1]; ideal 1. None if no item is shown.
    """
    e = require_nonnegative(exposure)
    return float(np.sum(e > 0) / _n_items(e, n_items)) if e.sum() > 0 else None


def tail(popularity: ArrayLike, ids: Sequence[str], *, head: float = HEAD) -> NDArray[np.bool_]:
    """Return a mask [items] of the tail: all items except the most popular share, the head.

    Args:
        popularity: number of interactions of every item, [items].
        ids: ids of the items; they break ties, with smaller ids first.
        head: share of the items in the head, in [0, 1]; the number of items is rounded up.

    Raises:
        InvalidArgument: head outside [0, 1].
    """
    counts = require_nonnegative(popularity)
    if not 0 <= head <= 1:
        raise InvalidArgument(f"The tail of a catalog got head={head}. Give a share in [0, 1].")
    n_head = math.ceil(head * len(counts) - 1e-9)
    if not n_head:
        return np.ones(len(counts), dtype=bool)
    least = np.partition(counts, len(counts) - n_head)[len(counts) - n_head]
    outside = np.asarray(counts <= least)
    tied = sorted(np.flatnonzero(counts == least).tolist(), key=lambda row: ids[row])
    outside[tied[: n_head - int(np.sum(counts > least))]] = False
    return outside


def tail_share(
    exposure: ArrayLike, popularity: ArrayLike, ids: Sequence[str], *, head: float = HEAD
) -> float | None:
    """Share of exposure that goes to the tail, by default the items outside the most popular 20 %.

    Args:
        exposure: as in `gini`.
        popularity, ids, head: as in `tail`.

    Returns:
        Fraction in [0, 1]; higher means more exposure for the tail. Compare it with the tail share
        of the users' histories. None if no item is shown.
    """
    e = require_nonnegative(exposure)
    return float(e[tail(popularity, ids, head=head)].sum() / e.sum()) if e.sum() > 0 else None


def popularity_lift(listed: Sequence[float], history: Sequence[float]) -> float | None:
    """Relative difference in popularity between a user's list and the user's history.

    Args:
        listed, history: popularity (number of interactions) of each item in the list and in the
            history.

    Returns:
        mean(listed) / mean(history) - 1, at least -1; ideal 0. None for an empty list or history,
        or a history mean of 0.
    """
    if not len(listed) or not len(history) or not np.mean(history):
        return None
    return float(np.mean(listed) / np.mean(history) - 1)


def lorenz_curve(
    exposure: ArrayLike, *, n_items: int | None = None, points: int = 21
) -> list[tuple[float, float]]:
    """Lorenz curve: the share of exposure that the least exposed share of items gets.

    Args:
        exposure, n_items: as in `gini`.
        points: number of equally spaced shares of items, at least 2.

    Returns:
        Points (share of items, share of exposure) from (0, 0) to (1, 1); empty if no item is shown.
    """
    e = np.sort(require_nonnegative(exposure))
    if e.sum() == 0:
        return []
    n = _n_items(e, n_items)
    cumulated = np.concatenate(([0.0], np.cumsum(e) / e.sum()))
    at, shares = np.linspace(0, 1, points), np.linspace(0, 1, n + 1)
    heights = np.interp(at, shares[n - len(e) :], cumulated)
    return list(zip(at.tolist(), heights.tolist(), strict=True))


def _n_items(exposure: NDArray[np.float64], n_items: int | None) -> int:
    """Return the size of the catalog.

    Raises:
        InvalidArgument: `n_items` is smaller than the number of exposures.
    """
    if n_items is not None and n_items < len(exposure):
        raise InvalidArgument(
            f"The exposure metric got n_items={n_items} and {len(exposure)} exposures. Give the "
            "size of the catalog, at least the number of exposures."
        )
    return len(exposure) if n_items is None else n_items
