"""Permutation tests for differences between lists that a range of similarities (SNSR) misses.

Two values may be equally far from the neutral list and still get opposite items (steering), and all
values may shift the list equally. Each test has its own statistic and its own permutation within a
probe: T-item and T-between permute the lists of the values, and T-noise permutes the three lists of
a probe whose neutral request is sent twice. T-noise and T-between are one-sided. Both also react to
harmless sensitivity to wording, which the placebo controls for. Source: docs/explain/fairness.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.stats.relabeling import BLOCK_BYTES, Tested, relabelings

__all__ = ["between_values_test", "item_exposure_test", "repeat_request_test"]


def item_exposure_test(
    lists: Sequence[Sequence[Sequence[str]]], *, rng: np.random.Generator, draws: int = 9_999
) -> Tested:
    """Test whether items are shown to some values more often than to others (T-item).

    The statistic is the sum over items and values of (c_ia - mean c_i)^2 / (mean c_i + 1/2), where
    c_ia is the number of probes in which the list of value a contains item i.

    Args:
        lists: [probes][values] of item ids (or item groups), complete probes only; repeats count
            once.
        rng: generator for the permutations of the values inside probes.
        draws: number of permutations.

    Raises:
        InvalidArgument: no probes, fewer than 2 values, or rows of unequal length.
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
    # Blocks are sized so that the counts and lists of a block fit into the processor cache.
    block = max(1, BLOCK_BYTES // (8 * n_values * (n_items + 1) + 8 * table.size))
    null = [
        _spread(table, orders[begin : begin + block], expected, weights)
        for orders in relabelings(rng, draws=draws, n=n, labels=n_values)
        for begin in range(0, len(orders), block)
    ]
    return Tested(float(observed[0]), np.concatenate(null))


def _spread(
    table: NDArray[np.int64],
    orders: NDArray[np.intp],
    expected: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Statistic of T-item for every permutation, [draws]; orders are [draws, n, A], the table is
    [n, A, k].
    """
    draws, n, n_values = orders.shape
    n_items = len(expected)
    # Value a gets list orders[a] of its probe, as in `list_shift_tests`.
    given = table[np.arange(n)[:, None], orders]
    values = (np.arange(draws)[:, None, None] * n_values + np.arange(n_values)) * (n_items + 1)
    cells = (given + values[..., None]).ravel()
    counts = np.bincount(cells, minlength=draws * n_values * (n_items + 1))
    counts = counts.reshape(draws, n_values, n_items + 1)[:, :, :n_items]
    found: NDArray[np.float64] = ((counts - expected) ** 2 @ weights).sum(axis=1)
    return found


def repeat_request_test(
    similarities: ArrayLike, *, rng: np.random.Generator, draws: int = 9_999
) -> Tested:
    """Test whether stating a value changes lists more than repeating the request does (T-noise).

    The statistic is the mean over probes of J(N1, N2) - (J(N1, S) + J(N2, S)) / 2, where N1 and N2
    are the two neutral lists and S is the list with the stated value. Under the null hypothesis the
    three lists are exchangeable.

    Args:
        similarities: J(N1, N2), J(N1, S) and J(N2, S) of a symmetric similarity, [probes, 3].
        rng: generator for the permutations.
        draws: number of permutations.

    Raises:
        InvalidArgument: the shape is not [probes, 3], there are no probes, or a number is not
            finite.
    """
    table = np.asarray(similarities, dtype=np.float64)
    if table.ndim != 2 or len(table) < 1 or table.shape[1] != 3 or not np.isfinite(table).all():
        raise InvalidArgument(
            f"repeat_request_test got an array of shape {table.shape}. Give three finite "
            "similarities per probe."
        )
    # Column c is the statistic if the list outside pair c is taken as the stated one.
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
    """Test whether lists of the same value agree more than lists of two values (T-between).

    The statistic is the mean similarity of same-value pairs minus the mean similarity of
    different-value pairs. All lists of a probe are permuted.

    Args:
        similarities: symmetric similarities, [probes, lists, lists]; the lists of a probe are
            ordered by value, with `repeats` lists per value.
        repeats: lists per value, at least 2.
        rng: generator for the permutations.
        draws: number of permutations.

    Raises:
        InvalidArgument: the shape is not [probes, lists, lists], or there are fewer than 2 values
            or repeats.
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
    total = float(table[:, first, second].sum()) / n  # the same under every permutation
    flat, begin = table.ravel(), np.arange(n)[:, None] * n_lists**2

    def statistic(orders: NDArray[np.intp]) -> NDArray[np.float64]:
        places = begin + orders[:, :, left] * n_lists + orders[:, :, right]
        inside: NDArray[np.float64] = flat.take(places).sum(axis=(1, 2)) / n
        return inside / n_same - (total - inside) / (n_pairs - n_same)

    observed = statistic(np.broadcast_to(np.arange(n_lists), (1, n, n_lists)))
    null = [statistic(o) for o in relabelings(rng, draws=draws, n=n, labels=n_lists)]
    return Tested(float(observed[0]), np.concatenate(null))
