"""Rows of item-to-item matrices that are too large to store: cosine similarities and transitions.

A dense matrix of 10^6 x 10^6 items takes 8 TB. Rows are therefore computed from the users'
histories when they are needed, or only the values of the nearest items are stored. Every number is
bit-identical to that of the dense matrix, because sums are formed in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["CosineRows", "ItemRow", "TransitionRows", "nearest_items"]

# Co-consumptions that are counted at once; each takes about 20 bytes.
_BLOCK = 1 << 22
_THREADS = 2
Array = NDArray[np.float64]


class ItemRow(NamedTuple):
    """One row of an items x items matrix.

    Attributes:
        items: indices of the nonzero columns, each once. values: values of these columns, above 0.
    """

    items: NDArray[np.int32]
    values: Array


class CosineRows:
    """Cosine similarity of items by common users: C_ij = G_ij / sqrt(G_ii G_jj) with G = X'X and a
    zero diagonal.

    Args:
        train: binary users x items.
    """

    def __init__(self, train: sparse.csr_array) -> None:
        self._by_user = train
        by_item = sparse.csr_array(train.T)
        # Both matrices have as many ones, so they share one array.
        self._by_item = sparse.csr_array(
            (train.data, by_item.indices, by_item.indptr), shape=by_item.shape
        )
        self._norm = np.sqrt(np.diff(self._by_item.indptr).astype(np.float64))

    def column(self, item: int) -> ItemRow:
        """Similarity of every item to one item."""
        together = sparse.csr_array(self._by_item[[item]] @ self._by_user)
        items = together.indices
        values = together.data / self._norm[items] / self._norm[item]
        kept = items != item
        return ItemRow(items[kept], values[kept])

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of rows [begin, end) that take about equally long to compute."""
        lengths = np.diff(self._by_user.indptr)
        work = np.cumsum(self._by_item @ lengths.astype(np.int64), dtype=np.int64)
        begin = 0
        while begin < len(work):
            done = work[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(work, done + _BLOCK, side="right")))
            yield begin, end
            begin = end

    def nearest_of(self, begin: int, end: int, *, neighbors: int) -> _Block:
        """Compute the rows [begin, end) of `nearest_items`."""
        together = sparse.csr_array(self._by_item[begin:end] @ self._by_user)
        sizes = np.diff(together.indptr)
        rows = np.repeat(np.arange(begin, end, dtype=np.int32), sizes)
        values = together.data / self._norm[rows]
        values /= self._norm[together.indices]
        values[together.indices == rows] = 0.0
        kept = values > 0
        for row in np.flatnonzero(sizes > neighbors):
            of_row = slice(together.indptr[row], together.indptr[row + 1])
            last = sizes[row] - neighbors
            kept[of_row] &= values[of_row] >= np.partition(values[of_row], last)[last]
        counts = np.bincount(rows[kept] - begin, minlength=end - begin)
        return _Block(counts, together.indices[kept], values[kept])


def nearest_items(train: sparse.csr_array, *, neighbors: int) -> sparse.csc_array:
    """Return cosine similarities [items, items] with the `neighbors` largest values of every row;
    ties with the smallest of them are included.

    Args:
        train: binary users x items.
        neighbors: at least 1.
    """
    rows, n_items = CosineRows(train), train.shape[1]
    of_block = partial(rows.nearest_of, neighbors=neighbors)
    with ThreadPoolExecutor(_THREADS) as threads:  # scipy and numpy work outside of the lock
        parts = list(threads.map(of_block, *zip(*rows.blocks(), strict=True)))
    del rows, of_block
    counts, items, values = map(list, zip(*parts, strict=True))
    parts.clear()  # each list is freed when its column is joined
    indptr = np.concatenate(([0], np.cumsum(_joined(counts), dtype=np.int64)))
    table = sparse.csr_array((_joined(values), _joined(items), indptr), shape=(n_items, n_items))
    return sparse.csc_array(table)


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Concatenate the arrays and empty the list, to free memory."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


class _Block(NamedTuple):
    """Adjacent rows: the number of items of each row, and the items and values of all rows."""

    counts: NDArray[np.int64]
    items: NDArray[np.int32]
    values: Array


class TransitionRows:
    """Transition counts T[a, b]: the sum of 1/d over every b at distance d = 1..reach after a.

    Args:
        items: histories of all users, one after another, oldest first.
        offsets: user u has the positions offsets[u] up to offsets[u + 1] (exclusive).
        n_items: size of the catalog.
        reach: largest distance that is counted.
    """

    def __init__(
        self, items: NDArray[np.int32], offsets: NDArray[np.int64], *, n_items: int, reach: int
    ) -> None:
        self._items, self._offsets = items, offsets
        self._n_items, self._reach = n_items, reach

    @cached_property
    def _places(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Positions of every item in ascending order, and the bounds of each item's positions."""
        order = np.argsort(self._items, kind="stable").astype(np.int32)
        counts = np.bincount(self._items, minlength=self._n_items)
        return order, np.concatenate(([0], np.cumsum(counts)))

    def row(self, item: int) -> ItemRow:
        """Weighted counts of the items after one item."""
        order, bounds = self._places
        places = order[bounds[item] : bounds[item + 1]].astype(np.int64)
        users = np.searchsorted(self._offsets, places, side="right") - 1
        distances = np.arange(1, self._reach + 1)
        later = places[:, None] + distances
        inside = later < self._offsets[users + 1][:, None]
        if len(users) and not np.all(np.diff(users)):
            # A user has the item twice. The sum is by user, then distance, then position.
            keys = np.broadcast_arrays(places[:, None], distances, users[:, None])
            by = np.lexsort([key.ravel() for key in keys])
        else:
            by = np.arange(later.size)
        chosen = by[inside.ravel()[by]]
        following = self._items[later.ravel()[chosen]]
        weights = np.broadcast_to(1 / distances, later.shape).ravel()[chosen]
        sums = np.asarray(
            np.bincount(following, weights, minlength=self._n_items), dtype=np.float64
        )
        found = np.flatnonzero(sums).astype(np.int32)
        return ItemRow(found, sums[found])
