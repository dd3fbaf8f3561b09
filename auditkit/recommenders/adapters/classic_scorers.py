"""Classic recommenders without a neural network, as baselines for every model.

Each function fits on training rows only and returns a scorer, which maps a history (item indices,
oldest first) to scores over the catalog. Higher is better; an item without training rows scores 0.
A model that ranks worse than the transition counts has learned less than these counts contain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from auditkit.errors import InvalidArgument

__all__ = ["Scorer", "ease", "item_knn", "item_knn_recent", "popularity", "transition_counts"]

Scorer = Callable[[ArrayLike], NDArray[np.float64]]


def popularity(train: sparse.csr_array) -> Scorer:
    """Score items by the column sums of the binary users x items matrix, equal for every user."""
    counts = np.asarray(train.sum(axis=0), dtype=np.float64).ravel()

    def score(history: ArrayLike) -> NDArray[np.float64]:
        return counts.copy()

    return score


def item_knn(train: sparse.csr_array, *, neighbors: int = 20) -> Scorer:
    """Score items by cosine similarity to the history, using the nearest items of each candidate.

    C_ij = G_ij / sqrt(G_ii G_jj) with G = X'X and a zero diagonal; row i keeps its `neighbors`
    largest values (ties at the last one are kept); score_i = sum of C_ij over the history.

    Args:
        train: binary users x items.
        neighbors: number of nearest items used for a candidate, at least 1.

    Raises:
        InvalidArgument: neighbors < 1.
    """
    if neighbors < 1:
        raise InvalidArgument(f"item_knn got neighbors={neighbors}. Give at least 1.")
    gram = np.asarray((train.T @ train).todense(), dtype=np.float64)
    norm = np.sqrt(np.diagonal(gram))
    cosine = (
        gram / np.where(norm == 0, 1.0, norm)[:, None] / np.where(norm == 0, 1.0, norm)[None, :]
    )
    np.fill_diagonal(cosine, 0.0)
    if neighbors < len(cosine):
        smallest_kept = np.partition(cosine, -neighbors, axis=1)[:, -neighbors]
        cosine[cosine < smallest_kept[:, None]] = 0.0

    def score(history: ArrayLike) -> NDArray[np.float64]:
        columns: NDArray[np.float64] = cosine[:, np.asarray(history, dtype=np.int64)]
        return np.asarray(columns.sum(axis=1))

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
    score = item_knn(train, neighbors=train.shape[1])
    return lambda history: score(np.asarray(history, dtype=np.int64)[-recent:])


def ease(train: sparse.csr_array, *, regularization: float = 100.0) -> Scorer:
    """EASE^R: the linear item-to-item model with zero diagonal, in closed form (Steck 2019).

    P = (X'X + lambda I)^-1, B_ij = -P_ij / P_jj, B_jj = 0; scores are the sum of B_i over the
    history.

    Args:
        train: binary users x items.
        regularization: lambda, above 0.

    Raises:
        InvalidArgument: regularization <= 0.
    """
    if not regularization > 0:
        raise InvalidArgument(f"ease got regularization={regularization}. Give more than 0.")
    gram = np.asarray((train.T @ train).todense(), dtype=np.float64)
    precision = np.linalg.inv(gram + regularization * np.eye(len(gram)))
    weights = -precision / np.diagonal(precision)[None, :]
    np.fill_diagonal(weights, 0.0)

    def score(history: ArrayLike) -> NDArray[np.float64]:
        rows: NDArray[np.float64] = weights[np.asarray(history, dtype=np.int64)]
        return np.asarray(rows.sum(axis=0))

    return score


def transition_counts(
    histories: Sequence[ArrayLike], n_items: int, *, reach: int = 5, recent: int = 5
) -> Scorer:
    """Score items by first-order transition counts from the latest items.

    T[a, b] += 1/d for every b at distance d = 1..reach after a in a training history; the score of
    b is the sum of T[a, b] / j over the j-th latest item a of the history, j = 1..recent.

    Args:
        histories: item indices per user, oldest first, without any held-out item.
        n_items: size of the catalog.
        reach: largest distance that is counted.
        recent: number of latest items to use.
    """
    counts = np.zeros((n_items, n_items))
    for history in histories:
        items = np.asarray(history, dtype=np.int64)
        for distance in range(1, min(reach, len(items) - 1) + 1):
            np.add.at(counts, (items[:-distance], items[distance:]), 1 / distance)

    def score(history: ArrayLike) -> NDArray[np.float64]:
        latest = np.asarray(history, dtype=np.int64)[::-1][:recent]
        return np.asarray((1 / np.arange(1, len(latest) + 1)) @ counts[latest], dtype=np.float64)

    return score
