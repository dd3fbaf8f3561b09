"""Ranking metrics over the full catalog.

Candidates are not sampled, because sampled metrics can order models differently (Krichene & Rendle
2020). Items of equal score get the mean of their ranks, so a constant scorer performs at chance
level.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.metrics.list_similarity import jaccard_at_k, prag_at_k, serp_at_k

__all__ = [
    "chance_of_a_hit",
    "hr_at_k",
    "jaccard_at_k",
    "mean_rank",
    "mrr",
    "ndcg_at_k",
    "ndcg_of_list",
    "prag_at_k",
    "rank_in_list",
    "recall_of_list",
    "serp_at_k",
]


def mean_rank(scores: ArrayLike, target: int, *, masked: ArrayLike = ()) -> float | None:
    """Rank of one item among the unmasked items, from 0.

    The rank is the number of other items with a higher score plus half the number with an equal
    score.

    Args:
        scores: [items], higher is better.
        target: index of the relevant item; it is never masked.
        masked: indices of items that may not be recommended (the history).

    Returns:
        Rank in [0, items - 1], a multiple of 1/2; ideal 0. None if any score is not finite; the
        user then counts as missing.
    """
    values = np.asarray(scores, dtype=np.float64)
    if not np.all(np.isfinite(values)):
        return None
    open_items = np.ones(len(values), dtype=bool)
    open_items[np.asarray(masked, dtype=np.int64)] = False
    open_items[target] = False
    others = values[open_items]
    return float(np.sum(others > values[target]) + np.sum(others == values[target]) / 2)


def rank_in_list(items: Sequence[str], target: str) -> int | None:
    """Rank of an item in a list after removing repeats, from 0; None if it is absent."""
    unique = list(dict.fromkeys(items))
    return unique.index(target) if target in unique else None


def hr_at_k(rank: ArrayLike | None, *, k: int) -> NDArray[np.float64]:
    """Hit rate: 1 if rank < k, else 0, for ranks from 0; None or infinity means absent. Ideal 1."""
    return (_ranks(rank, k) < k).astype(np.float64)


def ndcg_at_k(rank: ArrayLike | None, *, k: int) -> NDArray[np.float64]:
    """NDCG of one relevant item: 1 / log2(rank + 2) if rank < k, else 0. Range [0, 1], ideal 1.

    Args:
        rank: ranks from 0, possibly halves; None or infinity means absent.
        k: cut-off, at least 1.
    """
    ranks = _ranks(rank, k)
    return np.where(ranks < k, 1 / np.log2(ranks + 2), 0.0)


def chance_of_a_hit(n_items: int, n_targets: int, *, k: int) -> float:
    """Probability that the top k of a random ranking contain at least one relevant item.

    Args:
        n_items: number of items to rank, at least 1.
        n_targets: number of relevant items among them.
        k: cut-off, at least 1.

    Returns:
        Probability in [0, 1]: 1 - C(n - t, k) / C(n, k) for t relevant items of n, which is k / n
        for t = 1.

    Raises:
        InvalidArgument: k < 1, or not 0 <= n_targets <= n_items with n_items >= 1.
    """
    _check_k(k)
    if not 0 <= n_targets <= n_items or n_items < 1:
        raise InvalidArgument(
            f"chance_of_a_hit got {n_targets} targets among {n_items} items. Give at least one "
            "item and no more targets than items."
        )
    drawn = min(k, n_items)
    return 1 - math.comb(n_items - n_targets, drawn) / math.comb(n_items, drawn)


def mrr(rank: ArrayLike | None, *, k: int | None = None) -> NDArray[np.float64]:
    """Reciprocal rank of each entry, 1 / (rank + 1) for ranks from 0, without averaging.

    The value is 0 for an item that is not in the list or has a rank of at least k. Range [0, 1],
    ideal 1.
    """
    ranks = _ranks(rank, 1 if k is None else k)
    return np.where(ranks < (np.inf if k is None else k), 1 / (ranks + 1), 0.0)


def recall_of_list(items: Sequence[str], targets: Collection[str], *, k: int) -> float | None:
    """Recall@k: share of the relevant items that are among the first k of a list.

    Args:
        items: item ids, best first; repeats are dropped, then the list is cut.
        targets: ids of the relevant items, in any order; repeats count once.
        k: cut-off, at least 1.

    Returns:
        Fraction of the targets in [0, 1], ideal 1; at most k / t if there are t > k targets. For
        one target it equals HR@k. None without targets, which means that the user is missing.

    Raises:
        InvalidArgument: k < 1.
    """
    _check_k(k)
    relevant = set(targets)
    return len(relevant & set(list(dict.fromkeys(items))[:k])) / len(relevant) if relevant else None


def ndcg_of_list(items: Sequence[str], targets: Collection[str], *, k: int) -> float | None:
    """NDCG@k of a list for one or more equally relevant items.

    NDCG is the sum of 1 / log2(rank + 2) over the targets in the list, divided by this sum for an
    ideal list, which starts with min(k, t) of the t targets.

    Args:
        items, targets, k: as in `recall_of_list`; ranks count from 0.

    Returns:
        Fraction in [0, 1], ideal 1; 0 for an empty list. For one target it equals `ndcg_at_k`. None
        without targets, which means that the user is missing.

    Raises:
        InvalidArgument: k < 1.

    Source: Jarvelin & Kekalainen 2002 with binary gains.
    """
    _check_k(k)
    relevant = set(targets)
    if not relevant:
        return None
    top = list(dict.fromkeys(items))[:k]
    discount = 1 / np.log2(np.arange(max(k, 1)) + 2)
    gain = sum(float(discount[rank]) for rank, item in enumerate(top) if item in relevant)
    return gain / float(discount[: min(k, len(relevant))].sum())


def _check_k(k: int) -> None:
    if k < 1:
        raise InvalidArgument(f"The ranking metric got k={k}. Give a cut-off of at least 1.")


def _ranks(rank: ArrayLike | None, k: int) -> NDArray[np.float64]:
    _check_k(k)
    return np.asarray(np.inf if rank is None else rank, dtype=np.float64)
