"""Similarity of a list before and after an edit of the request.

Source: Webber, Moffat & Zobel 2010 (rank-biased overlap).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from auditkit.errors import InvalidArgument

__all__ = ["area_under_rates", "breaking_count", "p_for", "rbo_ext", "replaced"]


def rbo_ext(
    left: Sequence[str], right: Sequence[str], *, k: int, p: float | None = None
) -> float | None:
    """Extrapolated rank-biased overlap: agreement of two lists with more weight on the first ranks.

    (X_d / d) p^d + ((1 - p) / p) sum over j = 1..d of (X_j / j) p^j, with X_j the overlap of the
    first j items and d the length of the shorter cut list.

    Args:
        left, right: item ids, best first; repeats are dropped, then the list is cut at k.
        k: cut-off, at least 1.
        p: persistence in (0, 1); by default `p_for(k)`.

    Returns:
        Fraction in [0, 1]; 1 for identical lists (ideal), 0 for disjoint lists or if one is empty.
        None if both are empty.

    Raises:
        InvalidArgument: k < 1 or p outside (0, 1).

    Source: Webber et al. 2010, Eq. 30, for lists of equal length; lists of unequal length are
    compared up to the shorter one.
    """
    persistence = p_for(k) if p is None else p
    if not 0 < persistence < 1:
        raise InvalidArgument(f"rbo_ext got p={persistence}. Give a persistence between 0 and 1.")
    a, b = _top(left, k), _top(right, k)
    depth = min(len(a), len(b))
    if depth == 0:
        return None if not a and not b else 0.0
    agreement = [len(set(a[:d]) & set(b[:d])) / d for d in range(1, depth + 1)]
    weighted = sum(share * persistence**d for d, share in enumerate(agreement, start=1))
    value = agreement[-1] * persistence**depth + (1 - persistence) / persistence * weighted
    return min(1.0, value)


def replaced(left: Sequence[str], right: Sequence[str], *, k: int) -> int:
    """Number of items in which two top-k lists differ: max(|A|, |B|) - |A n B|.

    Args:
        left, right: item ids, best first; repeats are dropped, then the list is cut at k.
        k: cut-off, at least 1.

    Returns:
        Number of items in 0..k; ideal 0.

    Raises:
        InvalidArgument: k < 1.
    """
    a, b = (set(top) for top in (_top(left, k), _top(right, k)))
    return max(len(a), len(b)) - len(a & b)


def breaking_count(k: int) -> int:
    """Smallest number of replaced items in the top k that counts as a broken list: ceil(k / 3)."""
    return math.ceil(k / 3)


def area_under_rates(rates: Sequence[float], values: Sequence[float]) -> float:
    """Mean height of a curve over noise rates, by the trapezoid rule.

    Args:
        rates: at least two noise rates, in increasing order.
        values: height of the curve at each rate, in [0, 1].

    Returns:
        Value in [0, 1]; ideal 1, for a list that no noise changes.

    Raises:
        InvalidArgument: fewer than two rates, rates that do not increase, or a number of values
            other than the number of rates.

    Source: area under the noise-rate curve, docs/explain/robustness.md.
    """
    if len(rates) < 2 or len(rates) != len(values) or any(a >= b for a, b in pairwise(rates)):
        raise InvalidArgument(
            f"area_under_rates got the rates {list(rates)} and {len(values)} values. Give at least "
            "two increasing rates and one value for each."
        )
    area = sum(
        (right - left) * (a + b) / 2
        for (left, right), (a, b) in zip(pairwise(rates), pairwise(values), strict=True)
    )
    return area / (rates[-1] - rates[0])


def p_for(k: int) -> float:
    """Persistence of rank-biased overlap: .8 for k up to 5, .9 for k from 10, .85 in between.

    Raises:
        InvalidArgument: k < 1.
    """
    if k < 1:
        raise InvalidArgument(f"p_for got k={k}. Give a cut-off of at least 1.")
    return 0.9 if k >= 10 else 0.8 if k <= 5 else 0.85


def _top(items: Sequence[str], k: int) -> list[str]:
    if k < 1:
        raise InvalidArgument(f"The list comparison got k={k}. Give a cut-off of at least 1.")
    return list(dict.fromkeys(items))[:k]
