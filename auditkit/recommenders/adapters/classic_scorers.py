"""Recommenders that need no neural network, to stand beside every model.

Each function fits on training rows alone and returns a scorer: history (item indices, oldest first)
-> scores over the catalog, higher is better, 0 for an item that training never saw. A model that
ranks below the transition counts has learned less than counting. Source: engine and training
recipe, B5.
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
    """Column sums of the binary users x items matrix; every user gets the same scores."""
    counts = np.asarray(train.sum(axis=0), dtype=np.float64).ravel()

    def score(history: ArrayLike) -> NDArray[np.float64]:
        return counts.copy()

    return score


def item_knn(train: sparse.csr_array, *, neighbours: int = 20) -> Scorer:
    """Cosine similarity to the history, each candidate keeping its nearest items.

    C_ij = G_ij / sqrt(G_ii G_jj) with G = X'X and a zero diagonal; row i keeps its `neighbours`
    largest values (ties at the last one are kept); score_i = sum of C_ij over the history.

    Args:
        train: binary users x items.
        neighbours: nearest items that count for a candidate, at least 1.

    Raises:
        InvalidArgument: neighbours < 1.
    """
    if neighbours < 1:
        raise InvalidArgument(f"item_knn got neighbours={neighbours}. Give at least 1.")
    gram = np.asarray((train.T @ train).todense(), dtype=np.float64)
    norm = np.sqrt(np.diagonal(gram))
    cosine = (
        gram / np.where(norm == 0, 1.0, norm)[:, None] / np.where(norm == 0, 1.0, norm)[None, :]
    )
    np.fill_diagonal(cosine, 0.0)
    if neighbours < len(cosine):
        smallest_kept = np.partition(cosine, -neighbours, axis=1)[:, -neighbours]
        cosine[cosine < smallest_kept[:, None]] = 0.0

    def score(history: ArrayLike) -> NDArray[np.float64]:
        columns: NDArray[np.float64] = cosine[:, np.asarray(history, dtype=np.int64)]
        return np.asarray(columns.sum(axis=1))

    return score


def item_knn_recent(train: sparse.csr_array, *, recent: int = 3) -> Scorer:
    """Cosine similarity to the latest items of the history alone, all neighbours kept.

    Args:
        train: binary users x items.
        recent: how many of the latest items are looked at, at least 1.

    Raises:
        InvalidArgument: recent < 1.
    """
    if recent < 1:
        raise InvalidArgument(f"item_knn_recent got recent={recent}. Give at least 1.")
    score = item_knn(train, neighbours=train.shape[1])
    return lambda history: score(np.asarray(history, dtype=np.int64)[-recent:])


def ease(train: sparse.csr_array, *, regularisation: float = 100.0) -> Scorer:
    """EASE^R: the linear item-to-item model with zero diagonal, in closed form (Steck 2019).

    P = (X'X + lambda I)^-1, B_ij = -P_ij / P_jj, B_jj = 0; scores are the sum of B_i over the
    history.

    Args:
        train: binary users x items.
        regularisation: lambda, above 0.

    Raises:
        InvalidArgument: regularisation <= 0.
    """
    if not regularisation > 0:
        raise InvalidArgument(f"ease got regularisation={regularisation}. Give more than 0.")
    gram = np.asarray((train.T @ train).todense(), dtype=np.float64)
    precision = np.linalg.inv(gram + regularisation * np.eye(len(gram)))
    weights = -precision / np.diagonal(precision)[None, :]
    np.fill_diagonal(weights, 0.0)

    def score(history: ArrayLike) -> NDArray[np.float64]:
        rows: NDArray[np.float64] = weights[np.asarray(history, dtype=np.int64)]
        return np.asarray(rows.sum(axis=0))

    return score


def transition_counts(
    histories: Sequence[ArrayLike], n_items: int, *, reach: int = 5, recent: int = 5
) -> Scorer:
    """First-order transitions: what tends to follow the latest items?

    T[a, b] += 1/d for every b at distance d = 1..reach behind a in a training history; the score of
    b is the sum of T[a, b] / j over the j-th latest item a of the history, j = 1..recent.

    Args:
        histories: item indices per user, oldest first, without any held-out item.
        n_items: size of the catalog.
        reach: largest distance that counts.
        recent: how many of the latest items are looked at.
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
