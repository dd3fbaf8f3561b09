"""Who is shown? Exposure of items in the lists of many users.

Exposure counts the lists that hold an item. Gini, HHI and coverage depend on how many lists there
are, so they compare at equal numbers of lists and equal k only. The functions that compare groups
of items stand in `auditkit.metrics.item_groups`. Source: fairness recipe, 3.9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.metrics.item_groups import ItemGroupUtility, amounts, group_utility, memberships

__all__ = [
    "ItemGroupUtility",
    "coverage",
    "gini",
    "group_utility",
    "hhi",
    "item_exposure",
    "lorenz_curve",
    "memberships",
    "opportunity_exposure",
    "popularity_lift",
    "tail",
    "tail_share",
]

HEAD = 0.2


def item_exposure(
    lists: Sequence[Sequence[str]], catalog: Sequence[str], *, k: int, discount: bool = False
) -> NDArray[np.float64]:
    """Exposure of every item of a catalog in top-k lists.

    Args:
        lists: item ids, best first; repeats are dropped (the first is kept), then the list is cut.
            Ids outside the catalog take a position and are not counted.
        catalog: ids of all items, shown or not, each once.
        k: cut-off, at least 1.
        discount: weigh a position by 1 / log2(rank + 1), ranks from 1, instead of 1.

    Returns:
        [items] in catalog order, at least 0: the number of lists with the item, or the sum of its
        weights.

    Raises:
        InvalidArgument: k < 1.
    """
    if k < 1:
        raise InvalidArgument(f"item_exposure got k={k}. Give a cut-off of at least 1.")
    index = {item: row for row, item in enumerate(catalog)}
    exposure = np.zeros(len(index))
    for items in lists:
        for position, item in enumerate(list(dict.fromkeys(items))[:k]):
            if item in index:
                exposure[index[item]] += 1 / math.log2(position + 2) if discount else 1.0
    return exposure


def opportunity_exposure(exposure: ArrayLike, offered: ArrayLike) -> list[float | None]:
    """Exposure of each item per request in which it was among the candidates.

    Args:
        exposure: of every item, [items]. offered: requests with the item among the candidates.

    Returns:
        [items], of undiscounted exposure fractions in [0, 1]; None for an item never offered.
    """
    shown, chances = amounts(exposure), amounts(offered)
    return [float(e / n) if n > 0 else None for e, n in zip(shown, chances, strict=True)]


def gini(exposure: ArrayLike) -> float | None:
    """Gini coefficient of exposure: sum_j (2j - N - 1) e_(j) / (N E), e ascending, j from 1.

    Args:
        exposure: of every item, shown or not, [items], at least 0.

    Returns:
        In [0, 1 - 1/N]; ideal 0: every item is shown equally often. None without any exposure.
    """
    e = np.sort(amounts(exposure))
    n, total = len(e), float(e.sum())
    if total == 0:
        return None
    return float((2 * np.arange(1, n + 1) - n - 1) @ e / (n * total))


def hhi(exposure: ArrayLike) -> float | None:
    """Herfindahl-Hirschman index: sum of squared shares of exposure.

    Args:
        exposure: as in `gini`.

    Returns:
        In [1/N, 1]; ideal 1/N: equal shares. None without any exposure.
    """
    e = amounts(exposure)
    return float(np.sum((e / e.sum()) ** 2)) if e.sum() > 0 else None


def coverage(exposure: ArrayLike) -> float | None:
    """Share of the catalog that is shown at least once.

    Args:
        exposure: as in `gini`.

    Returns:
        Fraction in [0, 1]; ideal 1. None without any exposure.
    """
    e = amounts(exposure)
    return float(np.mean(e > 0)) if e.sum() > 0 else None


def tail(popularity: ArrayLike, ids: Sequence[str], *, head: float = HEAD) -> NDArray[np.bool_]:
    """Which items lie outside the most popular share of a catalog?

    Args:
        popularity: interactions of every item, [items]. ids: decide ties, the smaller is in front.
        head: share of the items that is the head, rounded up, in [0, 1].

    Raises:
        InvalidArgument: head outside [0, 1].
    """
    counts = amounts(popularity)
    if not 0 <= head <= 1:
        raise InvalidArgument(f"the head of a catalog got head={head}. Give a share in [0, 1].")
    order = sorted(range(len(counts)), key=lambda row: (-counts[row], ids[row]))
    outside = np.ones(len(counts), dtype=bool)
    outside[order[: math.ceil(head * len(counts) - 1e-9)]] = False
    return outside


def tail_share(
    exposure: ArrayLike, popularity: ArrayLike, ids: Sequence[str], *, head: float = HEAD
) -> float | None:
    """Share of exposure that goes to items outside the most popular 20 %.

    Args:
        exposure: as in `gini`. popularity, ids, head: as in `tail`.

    Returns:
        Fraction in [0, 1]; higher serves the tail better, what the users' histories hold is the
        yardstick. None without any exposure.
    """
    e = amounts(exposure)
    return float(e[tail(popularity, ids, head=head)].sum() / e.sum()) if e.sum() > 0 else None


def popularity_lift(listed: Sequence[float], history: Sequence[float]) -> float | None:
    """How much more popular is one user's list than that user's history?

    Args:
        listed, history: popularity (interactions) of the items in the list and in the history.

    Returns:
        mean(listed) / mean(history) - 1, at least -1; ideal 0. None for an empty list or history,
        or a history mean of 0.
    """
    if not len(listed) or not len(history) or not np.mean(history):
        return None
    return float(np.mean(listed) / np.mean(history) - 1)


def lorenz_curve(exposure: ArrayLike, *, points: int = 21) -> list[tuple[float, float]]:
    """Share of exposure that the least shown share of items gets, both in [0, 1].

    Args:
        exposure: as in `gini`. points: equally spaced shares of items, at least 2.

    Returns:
        (share of items, share of exposure) from (0, 0) to (1, 1); empty without any exposure.
    """
    e = np.sort(amounts(exposure))
    if e.sum() == 0:
        return []
    cumulated = np.concatenate(([0.0], np.cumsum(e) / e.sum()))
    at = np.linspace(0, 1, points)
    heights = np.interp(at, np.linspace(0, 1, len(cumulated)), cumulated)
    return list(zip(at.tolist(), heights.tolist(), strict=True))
