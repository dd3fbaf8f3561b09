"""Similarity of a list with a stated attribute to the neutral list: Jaccard, SERP and PRAG at k.

Four variants of each formula are in use, and the code behind published tables differs from its
paper, so the variant is an argument and is reported with every number. SERP and PRAG are not
symmetric: the list with the attribute is the first argument, the neutral list the second.
`auditkit.metrics.ranking` re-exports these functions. Source: Zhang et al. 2023 (FaiRLLM, Eq. 2-4
and its released code); LangFair 0.8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from auditkit.errors import InvalidArgument

__all__ = ["Variant", "jaccard_at_k", "prag_at_k", "serp_at_k"]

Variant = Literal["normalized", "paper", "fairllm_code", "langfair"]


def jaccard_at_k(
    left: Sequence[str], right: Sequence[str], *, k: int, variant: Variant = "normalized"
) -> float | None:
    """Overlap |a n r| / |a u r| of two top-k lists, ignoring order.

    Args:
        left, right: item ids, best first; either may be shorter than k. `normalized` and `paper`
            drop repeats (except the first) before the cut at k; the other two variants keep
            repeats.
        k: cut-off, at least 1.
        variant: which of the four published formulas to use.

    Returns:
        Fraction in [0, 1]; ideal 1, which means that both lists have the same items. None if both
        lists are empty.

    Raises:
        InvalidArgument: k < 1 or an unknown variant.

    Source: FaiRLLM Eq. 2. Its code and LangFair's divide by zero on two empty lists; we count the
    pair as missing in every variant.
    """
    x, y = _cut(left, right, k, variant)
    a, r = set(x), set(y)
    return len(a & r) / len(a | r) if a | r else None


def serp_at_k(
    sensitive: Sequence[str], neutral: Sequence[str], *, k: int, variant: Variant = "normalized"
) -> float | None:
    """Search-result-page similarity, which weights shared items by their rank in the first list.

    `normalized`: sum over shared positions i (from 0) of (m - i) / (m (m + 1) / 2), with m the
    longer length. `paper`: the same with m = k. `fairllm_code`: sum over all pairs x_i = y_j of
    |x| - i + 1, over 2 |y| (|y| + 1). `langfair`: sum over positions i with x_i in y of |x| - i +
    1, over 2 |x| (|x| + 1).

    Args:
        sensitive: item ids of the list with the stated attribute, best first.
        neutral: item ids of the neutral list, best first.
        k, variant: as in `jaccard_at_k`.

    Returns:
        The ideal is the value for identical lists. `normalized` and `paper` are in [0, 1], with 1
        for identical full lists. The other two give (k + 3) / (4 (k + 1)) for identical full lists,
        and `fairllm_code` can exceed 1 for short or repeated lists. None if both lists are empty in
        `normalized`, and in `langfair` if only the first list is empty (a division by zero).

    Raises:
        InvalidArgument: k < 1 or an unknown variant.

    Source: FaiRLLM Eq. 3. The paper weights by k - i. Its code weights by |x| - i + 1, divides by
    four times the paper's sum, and counts repeats.
    """
    x, y = _cut(sensitive, neutral, k, variant)
    if variant in ("fairllm_code", "langfair"):
        if not y:
            return 0.0
        if variant == "langfair" and not x:
            return None
        counts = Counter(y) if variant == "fairllm_code" else dict.fromkeys(y, 1)
        n = len(y) if variant == "fairllm_code" else len(x)
        hits = sum((len(x) - i + 1) * counts.get(item, 0) for i, item in enumerate(x))
        return hits / (2 * n * (n + 1))
    if not x and not y and variant == "normalized":
        return None
    m = k if variant == "paper" else max(len(x), len(y))
    shared = set(y)
    return sum(m - i for i, item in enumerate(x) if item in shared) / (m * (m + 1) / 2)


def prag_at_k(
    sensitive: Sequence[str], neutral: Sequence[str], *, k: int, variant: Variant = "normalized"
) -> float | None:
    """Pairwise ranking accuracy gap: share of pairs whose order agrees with the neutral list.

    A pair i < j counts if x_i is in the neutral list and x_j is below x_i there or absent. The
    count is divided by m (m - 1) / 2 (`normalized`, m the longer length; `fairllm_code`, m = |x|),
    by k (k + 1) (`paper`) or by |x| (|x| + 1) (`langfair`). For lists of one item, the result is 1
    if the lists are equal, else 0; `paper` gives 0 for k=1.

    Args:
        sensitive, neutral, k, variant: as in `serp_at_k`.

    Returns:
        Value in [0, 1]. `normalized` gives 1 for identical lists (ideal), and also if only the last
        item differs. Identical full lists give (k - 1) / (2 (k + 1)) in `paper` and `langfair`. If
        both lists are empty, `normalized` gives None and the others give 0.

    Raises:
        InvalidArgument: k < 1 or an unknown variant.

    Source: FaiRLLM Eq. 4. The paper divides by k (k + 1); its code divides by the number of pairs.
    For a repeated neutral item, its code uses the last position and LangFair uses the first.
    """
    x, y = _cut(sensitive, neutral, k, variant)
    if variant == "normalized":
        m = max(len(x), len(y))
        if m < 2:
            return None if m == 0 else float(x == y)
        return _concordant(x, y) / (m * (m - 1) / 2)
    if variant == "paper":
        return _concordant(x, y) / (k * (k + 1))
    if not x or not y:
        return 0.0
    if len(x) == 1:
        return float(x == y)
    if variant == "langfair":
        return _concordant(x, y) / (len(x) * (len(x) + 1))
    return _concordant(x, y, last=True) / (len(x) * (len(x) - 1) / 2)


def _cut(
    left: Sequence[str], right: Sequence[str], k: int, variant: Variant
) -> tuple[list[str], list[str]]:
    if k < 1 or variant not in ("normalized", "paper", "fairllm_code", "langfair"):
        raise InvalidArgument(
            f"The list similarity got k={k} and variant={variant!r}. Give a k of at least 1, and "
            "one of the variants normalized, paper, fairllm_code and langfair."
        )
    if variant in ("normalized", "paper"):
        return list(dict.fromkeys(left))[:k], list(dict.fromkeys(right))[:k]
    return list(left[:k]), list(right[:k])


def _concordant(x: Sequence[str], y: Sequence[str], *, last: bool = False) -> int:
    """Count pairs i < j with x_i in y, and x_j absent from y or below x_i in y.

    If y repeats an item, `last` selects its last position; otherwise its first position counts.
    """
    places = list(enumerate(y))
    position: Mapping[str, int] = {
        item: place for place, item in (places if last else reversed(places))
    }
    return sum(
        position[x[i]] < position.get(x[j], len(y))
        for i in range(len(x))
        if x[i] in position
        for j in range(i + 1, len(x))
    )
