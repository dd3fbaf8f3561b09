"""Item-group fairness: exposure of groups of items compared with the users' histories (MGU, DGU).

The utility of a group is its share of exposure minus its share of the users' histories, so a
recommender that reproduces the histories scores 0. Source: modeled on IFairLRS (Jiang et al. 2024,
arXiv 2402.15215), but not numerically equal to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from auditkit.errors import InvalidArgument

__all__ = [
    "ItemGroupUtility",
    "group_utility",
    "memberships",
    "popularity_deciles",
    "require_nonnegative",
]


class ItemGroupUtility(NamedTuple):
    """Shares of item groups in the lists and in the histories.

    Attributes:
        shown: GP, share of the exposure by group.
        history: GH, share of the history by group.
        utility: GU = GP - GH, in [-1, 1], ideal 0; groups in neither lists nor histories are
            dropped.
    """

    shown: Mapping[str, float]
    history: Mapping[str, float]
    utility: Mapping[str, float]

    @property
    def mgu(self) -> float:
        """Mean of |GU| over groups; share points in [0, 1], ideal 0."""
        return float(np.mean([abs(value) for value in self.utility.values()]))

    @property
    def dgu(self) -> float:
        """Largest minus smallest GU; share points in [0, 2], ideal 0."""
        return max(self.utility.values()) - min(self.utility.values())


def memberships(groups: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], sparse.csr_array]:
    """Return the groups in alphabetic order, and the fraction of each item that belongs to each
    group.

    Args:
        groups: names of each item's groups; an item in several groups is divided equally among
            them, and an item without groups has a row of zeros.

    Returns:
        Names, and fractions in [0, 1] as a sparse matrix [items, groups].
    """
    # Many items have the same groups, so each combination is read once.
    combinations = {own: i for i, own in enumerate(dict.fromkeys(map(tuple, groups)))}
    names = tuple(sorted({name for own in combinations for name in own}))
    column = {name: i for i, name in enumerate(names)}
    distinct = [[column[name] for name in dict.fromkeys(own)] for own in combinations]
    sizes = [len(own) for own in distinct]
    columns = np.array([i for own in distinct for i in own], dtype=np.int64)
    parts = np.repeat([1 / size if size else 0.0 for size in sizes], sizes)
    indptr = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
    table = sparse.csr_array((parts, columns, indptr), shape=(len(distinct), len(names)))
    of_item = map(combinations.__getitem__, map(tuple, groups))
    return names, table[np.fromiter(of_item, dtype=np.int64, count=len(groups))]


def popularity_deciles(popularity: ArrayLike, ids: Sequence[str]) -> list[int]:
    """Decile of every item by interactions, from 1 (most popular) to 10; ties are broken by id.

    Args:
        popularity: number of interactions of every item, [items].
        ids: ids of the items, in the same order.

    Raises:
        InvalidArgument: a negative number or one that is not finite.
    """
    counts, n = require_nonnegative(popularity), len(ids)
    by_id = np.array(sorted(range(n), key=ids.__getitem__), dtype=np.int64)
    order = by_id[np.argsort(-counts[by_id], kind="stable")]
    found = np.empty(n, dtype=np.int64)
    found[order] = np.arange(n) * 10 // n + 1
    return [int(decile) for decile in found]


def group_utility(
    exposure: ArrayLike, history: ArrayLike, groups: Sequence[Sequence[str]]
) -> ItemGroupUtility | None:
    """Compare the exposure of groups of items with their share of the histories.

    Args:
        exposure: exposure of every item, [items], at least 0.
        history: interactions of every item in the histories, [items].
        groups: names of each item's groups, as in `memberships`; items without a group are ignored.

    Returns:
        Shares and their differences by group; None if no item with a group is in the lists, or none
        is in the histories.

    Raises:
        InvalidArgument: arrays of unequal length.
    """
    shown, chosen = require_nonnegative(exposure), require_nonnegative(history)
    if not len(shown) == len(chosen) == len(groups):
        raise InvalidArgument(
            f"group_utility got {len(shown)} exposures, {len(chosen)} interaction counts and the "
            f"groups of {len(groups)} items. Give one of each per item."
        )
    names, parts = memberships(groups)
    of_lists, of_history = shown @ parts, chosen @ parts
    if not of_lists.sum() or not of_history.sum():
        return None
    gp = dict(zip(names, (of_lists / of_lists.sum()).tolist(), strict=True))
    gh = dict(zip(names, (of_history / of_history.sum()).tolist(), strict=True))
    kept = [name for name in names if gp[name] or gh[name]]
    return ItemGroupUtility(
        {name: gp[name] for name in kept},
        {name: gh[name] for name in kept},
        {name: gp[name] - gh[name] for name in kept},
    )


def require_nonnegative(values: ArrayLike) -> NDArray[np.float64]:
    """Convert to an array [items] of non-negative numbers, or raise an error.

    Raises:
        InvalidArgument: the shape is not [items], or a number is negative or not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not np.all(np.isfinite(numbers) & (numbers >= 0)):
        raise InvalidArgument(
            "The exposure metric got an array that is not one-dimensional, or a number that is "
            "negative or not finite. Give one number of at least 0 per item."
        )
    return numbers
