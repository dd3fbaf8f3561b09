"""Metrics of responses about one item at a time: likes, ratings and likelihoods.

Each function returns the number of users and a statistic that a bootstrap applies to resampled
users, because items of one user are not independent. Source: Mann & Whitney 1947 (AUC).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument

__all__ = ["auc_over_users", "mae_over_users", "perplexity_over_users", "rmse_over_users"]

Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]


def auc_over_users(users: ArrayLike, scores: ArrayLike, labels: ArrayLike) -> tuple[int, Statistic]:
    """AUC of all examples together, as a function of resampled users.

    AUC is the probability that a liked example scores above a disliked one; ties count 1/2.

    Args:
        users: user of each example, [n].
        scores: finite scores, higher for liked, [n].
        labels: 1 for liked, else 0, [n].

    Returns:
        Number n of distinct users, and a function from resampled user positions [block, n], each
        in 0 .. n - 1, to the AUC of each resample, [block] in [0, 1], ideal 1; NaN for a resample
        with only one class.
    """
    owner, n = _numbered(users)
    x, liked = _finite(scores, len(owner)), np.asarray(labels, dtype=bool)
    above = x[liked][:, None] - x[~liked][None, :]
    wins = (above > 0) + 0.5 * (above == 0)

    def statistic(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        weights = _weights(rows, n)[:, owner]
        own, other = weights[:, liked], weights[:, ~liked]
        pairs = own.sum(axis=1) * other.sum(axis=1)
        won = ((own @ wins) * other).sum(axis=1)
        return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1.0), np.nan)

    return n, statistic


def rmse_over_users(users: ArrayLike, errors: ArrayLike) -> tuple[int, Statistic]:
    """Root mean squared error over examples, in the unit of the errors; ideal 0.

    Returns:
        Number of users, and the statistic, as in `auc_over_users`.
    """
    n, mean = _mean_over_users(users, np.square(np.asarray(errors, dtype=np.float64)))
    return n, lambda rows: np.sqrt(mean(rows))


def mae_over_users(users: ArrayLike, errors: ArrayLike) -> tuple[int, Statistic]:
    """Mean absolute error over examples, in the unit of the errors; ideal 0.

    Returns:
        Number of users, and the statistic, as in `auc_over_users`.
    """
    return _mean_over_users(users, np.abs(np.asarray(errors, dtype=np.float64)))


def perplexity_over_users(nats: ArrayLike, tokens: ArrayLike) -> tuple[int, Statistic]:
    """Perplexity exp(sum of nats / sum of tokens) over the texts of n users; at least 1, ideal 1.

    Args:
        nats: negative log-likelihood of each user's text, at least 0, [n].
        tokens: number of tokens of each user's text, at least 1, [n].
    """
    cost, count = np.asarray(nats, dtype=np.float64), np.asarray(tokens, dtype=np.float64)

    def statistic(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(np.exp(cost[rows].sum(axis=1) / count[rows].sum(axis=1)))

    return len(cost), statistic


def _mean_over_users(users: ArrayLike, values: NDArray[np.float64]) -> tuple[int, Statistic]:
    owner, n = _numbered(users)
    values = _finite(values, len(owner))

    def statistic(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        weights = _weights(rows, n)[:, owner]
        return np.asarray(weights @ values / weights.sum(axis=1))

    return n, statistic


def _numbered(users: ArrayLike) -> tuple[NDArray[np.int64], int]:
    """Index of each example's user, from 0, and the number of users."""
    names, numbers = np.unique(np.asarray(users), return_inverse=True)
    return numbers.reshape(-1), len(names)


def _weights(rows: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Count how often each resample contains each user, [block, n]."""
    counts = np.zeros((len(rows), n))
    np.add.at(counts, (np.arange(len(rows))[:, None], rows), 1.0)
    return counts


def _finite(values: ArrayLike, n: int) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=np.float64)
    if x.shape != (n,) or not np.all(np.isfinite(x)):
        raise InvalidArgument(
            "A metric of responses about one item got values that are not finite, or not one per "
            "example. Leave out examples without a finite value."
        )
    return x
