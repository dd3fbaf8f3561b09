"""Metrics of attacks on rankings: queries per success, and the effect on one item's rank.

A rank of None means that the item is not in the list. A quantity without data is None, never 0.

Source: success by number of queries as in RobustBench (Croce et al. 2021); exposure of a promoted
item as in Zhang et al. 2024, arXiv 2402.14836.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditkit.errors import InvalidArgument

__all__ = [
    "budget_area",
    "dcg_exposure",
    "exposure_at_k",
    "exposure_lift",
    "kendall_tau_b",
    "queries_per_success",
    "rank_shift",
    "success_by_budget",
]


def queries_per_success(queries: Sequence[int], succeeded: Sequence[bool]) -> float | None:
    """Queries of all attacks, including failed ones, divided by the number of successes.

    Args:
        queries: number of distinct prompts of each attack, [n].
        succeeded: whether each attack succeeded, [n].

    Returns:
        At least 0; higher means that an attack is more expensive. None without a success.

    Raises:
        InvalidArgument: lengths that differ, or a negative number.

    Example:
        >>> queries_per_success([10, 2, 6], [False, True, True])
        9.0
    """
    _check(queries, succeeded)
    return sum(queries) / sum(succeeded) if any(succeeded) else None


def success_by_budget(
    queries: Sequence[int], succeeded: Sequence[bool], *, budget: int
) -> list[float] | None:
    """S(b) for b = 1..budget: share of all attacks that succeeded within b queries.

    Args:
        queries: number of distinct prompts of each attack; a success without any counts from b = 1.
        succeeded: whether each attack succeeded, in the order of `queries`.
        budget: largest b, at least 1.

    Returns:
        S(1) .. S(budget), a non-decreasing list of fractions in [0, 1]; ideal 0. None without
        attacks.

    Raises:
        InvalidArgument: as in `queries_per_success`, or a budget below 1.

    Example:
        >>> success_by_budget([2, 3], [True, False], budget=3)
        [0.0, 0.5, 0.5]
    """
    _check(queries, succeeded)
    if budget < 1:
        raise InvalidArgument(
            f"success_by_budget got budget={budget}. Give a budget of at least 1 query."
        )
    if not queries:
        return None
    needed = [q for q, success in zip(queries, succeeded, strict=True) if success]
    return [sum(q <= b for q in needed) / len(queries) for b in range(1, budget + 1)]


def budget_area(queries: int, succeeded: bool, *, budget: int) -> float:
    """Area under the `success_by_budget` curve of one attack, divided by the budget.

    The mean of this area over attacks is AUC_B = (1 / B) sum over b = 1..B of S(b).

    Returns:
        In [0, 1]: (budget - queries + 1) / budget for a success within the budget, else 0 (ideal).

    Raises:
        InvalidArgument: a negative number of queries, or a budget below 1.

    Example:
        >>> budget_area(2, True, budget=4)
        0.75
    """
    if queries < 0 or budget < 1:
        raise InvalidArgument(
            f"budget_area got queries={queries}, budget={budget}. Give queries of at least 0 and "
            "a budget of at least 1."
        )
    return max(0, budget - max(1, queries) + 1) / budget if succeeded else 0.0


def exposure_at_k(ranks: Sequence[int | None], *, k: int) -> float | None:
    """Share of lists with the item among the first k.

    Args:
        ranks: rank of the item in the list of each user, from 1; None if it is absent.
        k: cut-off, at least 1.

    Returns:
        Fraction in [0, 1]; None without lists.

    Raises:
        InvalidArgument: k < 1 or a rank below 1.

    Example:
        >>> exposure_at_k([1, 7, None, 3], k=5)
        0.5
    """
    if k < 1:
        raise InvalidArgument(f"exposure_at_k got k={k}. Give a cut-off of at least 1.")
    _check_ranks(ranks)
    return sum(r is not None and r <= k for r in ranks) / len(ranks) if ranks else None


def dcg_exposure(ranks: Sequence[int | None]) -> float | None:
    """Mean of 1 / log2(1 + rank) over lists; a list without the item counts 0.

    Returns:
        In [0, 1]; 1 if the item is first for every user. None without lists.

    Raises:
        InvalidArgument: a rank below 1.

    Example:
        >>> dcg_exposure([1, 3, None])
        0.5
    """
    _check_ranks(ranks)
    if not ranks:
        return None
    return math.fsum(0.0 if r is None else 1 / math.log2(1 + r) for r in ranks) / len(ranks)


def exposure_lift(before: float, after: float, *, n: int) -> float:
    """Factor by which the exposure of an item grew: after / max(before, 1 / n).

    Args:
        before, after: exposures of the item before and after the attack, in [0, 1].
        n: number of lists, at least 1.

    Returns:
        At least 0; 1 means no change. An item that was in no list before counts as shown in one
        list.

    Raises:
        InvalidArgument: an exposure outside [0, 1] or n < 1.

    Example:
        >>> round(exposure_lift(0, 0.3, n=20), 3)
        6.0
    """
    if n < 1 or not 0 <= before <= 1 or not 0 <= after <= 1:
        raise InvalidArgument(
            f"exposure_lift got before={before}, after={after}, n={n}. Give exposures in [0, 1] "
            "and at least one list."
        )
    return after / max(before, 1 / n)


def rank_shift(before: int | None, after: int | None, *, length: int) -> int:
    """Number of ranks by which an item rose; negative if it fell.

    Args:
        before, after: rank of the item, from 1; None if it is absent, which counts as length + 1.
        length: length of the list, at least 1.

    Returns:
        In -length..length; ideal 0.

    Raises:
        InvalidArgument: length < 1 or a rank outside 1..length.

    Example:
        >>> rank_shift(None, 3, length=10)
        8
    """
    for rank in (before, after):
        if length < 1 or (rank is not None and not 1 <= rank <= length):
            raise InvalidArgument(
                f"rank_shift got rank {rank} in a list of {length}. Give ranks in 1..length."
            )
    return (before or length + 1) - (after or length + 1)


def kendall_tau_b(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Agreement of two orders of the same items, corrected for ties.

    (C - D) / sqrt((C + D + T_left)(C + D + T_right)) over all pairs, with C concordant and D
    discordant pairs, and T the pairs tied in one order only.

    Args:
        left, right: rank or score of each item, with the items in the same order in both.

    Returns:
        In [-1, 1]; 1 for the same order (ideal). None for fewer than two items, or if one order
        ties them all.

    Raises:
        InvalidArgument: lengths that differ.

    Source: Kendall 1945.

    Example:
        >>> round(kendall_tau_b([1, 2, 3], [1, 3, 2]), 3)
        0.333
    """
    if len(left) != len(right):
        raise InvalidArgument(
            f"kendall_tau_b got {len(left)} and {len(right)} values. Give two lists of equal "
            "length, one value per item in each."
        )
    if len(set(left)) < 2 or len(set(right)) < 2:
        return None
    from scipy.stats import kendalltau

    return float(kendalltau(left, right).statistic)


def _check(queries: Sequence[int], succeeded: Sequence[bool]) -> None:
    if len(queries) != len(succeeded) or any(q < 0 for q in queries):
        raise InvalidArgument(
            f"The attack metric got {len(queries)} query counts and {len(succeeded)} results, or "
            "a negative count. Give one count of at least 0 and one result per attack."
        )


def _check_ranks(ranks: Sequence[int | None]) -> None:
    if any(rank is not None and rank < 1 for rank in ranks):
        raise InvalidArgument("The exposure of an item got a rank below 1. Count ranks from 1.")
