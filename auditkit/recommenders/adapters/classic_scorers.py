"""Classic recommenders without a neural network, as baselines for every model.

Each function fits on training rows only and returns a scorer, which maps a history (item indices,
oldest first) to scores over the catalog. Higher is better; an item without training rows scores 0.
A model that ranks worse than the transition counts has learned less than these counts contain.
Memory and time grow with the interactions, not with the square of the catalog; only EASE needs a
dense items x items matrix, and rejects large catalogs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from auditkit.errors import InvalidArgument
from auditkit.recommenders.adapters.item_rows import (
    CosineRows,
    ItemRow,
    TransitionRows,
    nearest_items,
)

__all__ = [
    "MOST_EASE_ITEMS",
    "Scorer",
    "best_rows",
    "ease",
    "item_knn",
    "item_knn_recent",
    "popularity",
    "transition_counts",
]

Scorer = Callable[[ArrayLike], NDArray[np.float64]]
MOST_EASE_ITEMS = 5_000  # its matrix is inverted in seconds; the time grows with the third power
_ROWS_KEPT = 64  # rows of popular items, which many histories need; up to 12 bytes per item each


def popularity(train: sparse.csr_array) -> Scorer:
    """Score items by the column sums of the binary users x items matrix; all users get equal
    scores.
    """
    counts = np.asarray(train.sum(axis=0), dtype=np.float64).ravel()

    def score(history: ArrayLike) -> NDArray[np.float64]:
        return counts.copy()

    return score


def item_knn(train: sparse.csr_array, *, neighbors: int = 20) -> Scorer:
    """Score items by cosine similarity to the history, using the nearest items of each candidate.

    C_ij = G_ij / sqrt(G_ii G_jj) with G = X'X and a zero diagonal; only the `neighbors` largest
    values of row i are used, and ties with the smallest of them; score_i = sum of C_ij over the
    items j of the history.

    Args:
        train: binary users x items.
        neighbors: number of nearest items used for a candidate, at least 1.

    Raises:
        InvalidArgument: neighbors < 1.
    """
    if neighbors < 1:
        raise InvalidArgument(f"item_knn got neighbors={neighbors}. Give at least 1.")
    nearest, n_items = nearest_items(train, neighbors=neighbors), train.shape[1]

    def score(history: ArrayLike) -> NDArray[np.float64]:
        bounds = [nearest.indptr[item : item + 2] for item in np.asarray(history, dtype=np.int64)]
        rows = (ItemRow(nearest.indices[a:b], nearest.data[a:b]) for a, b in bounds)
        return _weighted_sum(n_items, ((1.0, row) for row in rows))

    return score


def item_knn_recent(train: sparse.csr_array, *, recent: int = 3) -> Scorer:
    """Score items by cosine similarity to the latest items only, without a neighbor limit.

    Args:
        train: binary users x items.
        recent: number of latest items to use, at least 1.

    Raises:
        InvalidArgument: recent < 1.
    """
    if recent < 1:
        raise InvalidArgument(f"item_knn_recent got recent={recent}. Give at least 1.")
    n_items, column = train.shape[1], lru_cache(maxsize=_ROWS_KEPT)(CosineRows(train).column)

    def score(history: ArrayLike) -> NDArray[np.float64]:
        latest = np.asarray(history, dtype=np.int64)[-recent:].tolist()
        return _weighted_sum(n_items, ((1.0, column(item)) for item in latest))

    return score


def ease(train: sparse.csr_array, *, regularization: float = 100.0) -> Scorer:
    """EASE^R: the linear item-to-item model with zero diagonal, in closed form (Steck 2019).

    P = (X'X + lambda I)^-1, B_ij = -P_ij / P_jj, B_jj = 0; the scores are the sum of the rows B_i
    over the items i of the history.

    Args:
        train: binary users x items.
        regularization: lambda, above 0.

    Raises:
        InvalidArgument: regularization <= 0, or the catalog has more than 5,000 items.
    """
    if not regularization > 0:
        raise InvalidArgument(f"ease got regularization={regularization}. Give more than 0.")
    if train.shape[1] > MOST_EASE_ITEMS:
        raise InvalidArgument(
            f"EASE inverts a dense matrix of items x items and is fitted for up to "
            f"{MOST_EASE_ITEMS:,} items; this catalog has {train.shape[1]:,}. Use item-knn."
        )
    gram = np.asarray((train.T @ train).todense(), dtype=np.float64)
    gram[np.diag_indices_from(gram)] += regularization
    precision = np.linalg.inv(gram)
    del gram
    scale = np.diagonal(precision).copy()
    weights = np.negative(precision, out=precision)
    weights /= scale[None, :]
    np.fill_diagonal(weights, 0.0)

    def score(history: ArrayLike) -> NDArray[np.float64]:
        rows: NDArray[np.float64] = weights[np.asarray(history, dtype=np.int64)]
        return np.asarray(rows.sum(axis=0))

    return score


def transition_counts(
    items: ArrayLike, offsets: ArrayLike, *, n_items: int, reach: int = 5, recent: int = 5
) -> Scorer:
    """Score items by first-order transition counts from the latest items.

    T[a, b] += 1/d for every b at distance d = 1..reach after a in a training history; the score of
    b is the sum of T[a, b] / j over the j-th latest item a of the history, j = 1..recent.

    Args:
        items: histories of all users, one after another, oldest first, without any held-out item.
        offsets: user u has items[offsets[u] : offsets[u + 1]].
        n_items: size of the catalog.
        reach: largest distance that is counted.
        recent: number of latest items to use.
    """
    counts = TransitionRows(
        np.asarray(items, dtype=np.int32),
        np.asarray(offsets, dtype=np.int64),
        n_items=n_items,
        reach=reach,
    )
    row = lru_cache(maxsize=_ROWS_KEPT)(counts.row)

    def score(history: ArrayLike) -> NDArray[np.float64]:
        latest = np.asarray(history, dtype=np.int64)[::-1][:recent].tolist()
        return _weighted_sum(n_items, ((1 / j, row(a)) for j, a in enumerate(latest, start=1)))

    return score


def _weighted_sum(n_items: int, rows: Iterable[tuple[float, ItemRow]]) -> NDArray[np.float64]:
    """Sum of weighted rows, [items]; rows are added in the given order."""
    scores = np.zeros(n_items)
    for weight, row in rows:
        scores[row.items] += weight * row.values
    return scores


def best_rows(scores: NDArray[np.float64], *, k: int, without: Sequence[int]) -> NDArray[np.int64]:
    """Return the rows of the k highest scores, best first, in linear time; ties keep their order.

    If at least k rows have a positive score, only these are compared: most scores of a large
    catalog are 0, and partitioning so many equal values is about 100 times slower.

    Args:
        scores: [items]. without: rows to exclude.
    """
    allowed = np.ones(len(scores), dtype=bool)
    allowed[list(without)] = False
    positive = np.flatnonzero(allowed & (scores > 0))
    rows = positive if len(positive) >= k else np.flatnonzero(allowed)
    k = min(k, len(rows))
    if not k:
        return np.empty(0, dtype=np.int64)
    own = scores[rows]
    last = np.partition(own, len(own) - k)[len(own) - k]
    above, equal = np.flatnonzero(own > last), np.flatnonzero(own == last)
    best = np.sort(np.concatenate((above, equal[: k - len(above)])))
    return np.asarray(rows[best[np.argsort(-own[best], kind="stable")]])
