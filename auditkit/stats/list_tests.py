"""Do lists differ in what a range of similarities cannot see?

Two values may be as far from the neutral list and yet get opposite items (steering), and all values
may be moved alike. Each question has its own statistic and its own relabelling inside a probe: the
values for the items they are given and for lists that differ between values, the three lists of a
re-asked probe for disturbance beyond re-asking. The last two are one-sided, and both also fire on
harmless sensitivity to wording, which is what the placebo is for. Source: fairness recipe, 3.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.stats.relabelling import BLOCK_BYTES, Tested, relabellings

__all__ = ["between_values_test", "item_exposure_test", "reask_test"]


def item_exposure_test(
    lists: Sequence[Sequence[Sequence[str]]], *, rng: np.random.Generator, draws: int = 9_999
) -> Tested:
    """Are some items shown to some values more than to others (T-item)?

    The statistic is the sum over items and values of (c_ia - mean c_i)^2 / (mean c_i + 1/2), where
    c_ia counts the probes in which value a's list holds item i.

    Args:
        lists: [probes][values] of item identities, complete probes only; repeats count once. Item
            groups may stand for items.
        rng: generator of the relabellings, which permute the values inside probes.
        draws: their number.

    Raises:
        InvalidArgument: no probe, fewer than 2 values, or rows of unequal length.
    """
    n, n_values = len(lists), len(lists[0]) if lists else 0
    if n < 1 or n_values < 2 or any(len(row) != n_values for row in lists):
        raise InvalidArgument(
            f"item_exposure_test got {n} probes of {n_values} values. Give at least one probe and "
            "two values, every probe with all values."
        )
    index: dict[str, int] = {}
    shown = [[sorted({index.setdefault(i, len(index)) for i in one}) for one in r] for r in lists]
    longest = max((len(one) for row in shown for one in row), default=0)
    n_items = len(index)
    # A last, unused item pads short lists.
    table = np.full((n, n_values, max(longest, 1)), n_items, dtype=np.int64)
    for i, row in enumerate(shown):
        for a, one in enumerate(row):
            table[i, a, : len(one)] = one
    expected = np.bincount(table.ravel(), minlength=n_items + 1)[:n_items] / n_values
    weights = 1 / (expected + 0.5)
    as_they_are = np.broadcast_to(np.arange(n_values), (1, n, n_values))
    observed = _spread(table, as_they_are, expected, weights)
    # The few counts of a block are what must fit the caches, not its lists.
    block = max(1, BLOCK_BYTES // (8 * n_values * (n_items + 1) + 8 * table.size))
    null = [
        _spread(table, orders[begin : begin + block], expected, weights)
        for orders in relabellings(rng, draws=draws, n=n, labels=n_values)
        for begin in range(0, len(orders), block)
    ]
    return Tested(float(observed[0]), np.concatenate(null))


def _spread(
    table: NDArray[np.int64],
    orders: NDArray[np.intp],
    expected: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The statistic of every relabelling: orders [draws, n, A], table [n, A, k]."""
    draws, n, n_values = orders.shape
    n_items = len(expected)
    # Value a gets the list orders[a] of its probe, as in the tests of tables.
    given = table[np.arange(n)[:, None], orders]
    values = (np.arange(draws)[:, None, None] * n_values + np.arange(n_values)) * (n_items + 1)
    cells = (given + values[..., None]).ravel()
    counts = np.bincount(cells, minlength=draws * n_values * (n_items + 1))
    counts = counts.reshape(draws, n_values, n_items + 1)[:, :, :n_items]
    found: NDArray[np.float64] = ((counts - expected) ** 2 @ weights).sum(axis=1)
    return found


def reask_test(similarities: ArrayLike, *, rng: np.random.Generator, draws: int = 9_999) -> Tested:
    """Does stating a value move lists more than asking again does (T-noise)?

    The statistic is the mean over probes of J(N1, N2) - (J(N1, S) + J(N2, S)) / 2; under the null
    any of the three lists may be the stated one.

    Args:
        similarities: [probes, 3]: J(N1, N2), J(N1, S), J(N2, S), a symmetric similarity.
        rng: generator of the relabellings.
        draws: their number.

    Raises:
        InvalidArgument: not of that shape, no probe, or a number that is not finite.
    """
    table = np.asarray(similarities, dtype=np.float64)
    if table.ndim != 2 or len(table) < 1 or table.shape[1] != 3 or not np.isfinite(table).all():
        raise InvalidArgument(
            f"reask_test got an array of shape {table.shape}. Give three finite similarities per "
            "probe."
        )
    # With list c as the stated one the others' similarity stands against the mean of its own two.
    gaps = 1.5 * table - table.sum(axis=1, keepdims=True) / 2
    n = len(gaps)
    block = max(1, BLOCK_BYTES // (8 * n))
    null = [
        gaps.ravel()
        .take(rng.integers(3, size=(min(block, draws - begin), n)) + np.arange(n) * 3)
        .mean(axis=1)
        for begin in range(0, draws, block)
    ]
    return Tested(float(gaps[:, 0].mean()), np.concatenate(null))


def between_values_test(
    similarities: ArrayLike, *, repeats: int, rng: np.random.Generator, draws: int = 9_999
) -> Tested:
    """Do two lists of one value agree more than lists of two values (T-between)?

    The statistic is the mean similarity of same-value pairs minus that of different-value pairs;
    relabelling permutes all lists of a probe.

    Args:
        similarities: [probes, lists, lists], a symmetric similarity; the lists of a probe stand
            value by value, `repeats` of each.
        repeats: lists per value, at least 2.
        rng: generator of the relabellings.
        draws: their number.

    Raises:
        InvalidArgument: another shape, or fewer than 2 values or repeats.
    """
    table = np.asarray(similarities, dtype=np.float64)
    n_lists = table.shape[-1]
    if table.ndim != 3 or len(table) < 1 or repeats < 2 or n_lists % repeats or n_lists <= repeats:
        raise InvalidArgument(
            f"between_values_test got an array of shape {table.shape} with {repeats} lists per "
            "value. Give at least 2 values with at least 2 lists each."
        )
    n = len(table)
    values = np.arange(n_lists) // repeats
    first, second = np.triu_indices(n_lists, 1)
    same = values[first] == values[second]
    left, right = first[same], second[same]
    n_same, n_pairs = len(left), len(first)
    total = float(table[:, first, second].sum()) / n  # the same under every relabelling
    flat, begin = table.ravel(), np.arange(n)[:, None] * n_lists**2

    def statistic(orders: NDArray[np.intp]) -> NDArray[np.float64]:
        places = begin + orders[:, :, left] * n_lists + orders[:, :, right]
        inside: NDArray[np.float64] = flat.take(places).sum(axis=(1, 2)) / n
        return inside / n_same - (total - inside) / (n_pairs - n_same)

    observed = statistic(np.broadcast_to(np.arange(n_lists), (1, n, n_lists)))
    null = [statistic(o) for o in relabellings(rng, draws=draws, n=n, labels=n_lists)]
    return Tested(float(observed[0]), np.concatenate(null))
