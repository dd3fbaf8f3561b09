"""How similar is a list with an attribute named to the neutral one? Jaccard, SERP and PRAG at k.

Four variants of each formula circulate, and published tables were made with code that differs from
its paper, so the variant is an argument and its name is printed beside every number. SERP and PRAG
are not symmetric: the value's list comes first, the neutral one second. `auditkit.metrics.ranking`
offers these functions too. Source: fairness recipe, 3.2; Zhang et al. 2023 (FaiRLLM, Eq. 2-4 and
its released code); LangFair 0.8.
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
            drop repeats (the first is kept) before the cut, the other two cut only.
        k: cut-off, at least 1.
        variant: which published formula.

    Returns:
        Fraction in [0, 1], ideal 1: the same set. None if both lists are empty.

    Raises:
        InvalidArgument: k < 1 or an unknown variant.

    Source: FaiRLLM Eq. 2. Its code, as LangFair's, divides by zero on two empty lists; we count the
    pair as missing in every variant.
    """
    x, y = _cut(left, right, k, variant)
    a, r = set(x), set(y)
    return len(a & r) / len(a | r) if a | r else None


def serp_at_k(
    sensitive: Sequence[str], neutral: Sequence[str], *, k: int, variant: Variant = "normalized"
) -> float | None:
    """Search-result-page similarity: shared items weigh more high up in the first list.

    `normalized`: sum over shared positions i (from 0) of (m - i) / (m (m + 1) / 2), m the longer
    length. `paper`: the same with m = k. `fairllm_code`: sum over all pairs x_i = y_j of |x| - i +
    1, over 2 |y| (|y| + 1). `langfair`: sum over positions i with x_i in y of |x| - i + 1, over 2
    |x| (|x| + 1).

    Args:
        sensitive: item ids with the attribute named, best first.
        neutral: item ids without it.
        k, variant: as in `jaccard_at_k`.

    Returns:
        Ideal: what identical lists give. `normalized` and `paper` lie in [0, 1]; identical full
        lists give 1 there and (k + 3) / (4 (k + 1)) in the other two, of which `fairllm_code` can
        exceed 1 for short or repeated lists. None where `normalized` has nothing to compare and
        where LangFair divides by zero (only the first list is empty).

    Raises:
        InvalidArgument: k < 1 or an unknown variant.

    Source: FaiRLLM Eq. 3. The paper weighs by k - i; its code by |x| - i + 1 over four times the
    paper's sum, and counts repeats.
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
    """Pairwise ranking accuracy gap: share of pairs that the neutral list does not contradict.

    A pair i < j counts if x_i is in the neutral list, above x_j or without it. Divided by m (m - 1)
    / 2 (`normalized`, m the longer length; `fairllm_code`, m = |x|), by k (k + 1) (`paper`) or by
    |x| (|x| + 1) (`langfair`). For one item: 1 if the lists are equal, else 0; `paper`: 0 for k=1.

    Args:
        sensitive, neutral, k, variant: as in `serp_at_k`.

    Returns:
        In [0, 1]. `normalized` gives 1 for identical lists (ideal), and also where only the last
        item differs. Identical full lists give (k - 1) / (2 (k + 1)) in `paper` and `langfair`.
        None if both lists are empty (`normalized`; the others give 0).

    Raises:
        InvalidArgument: k < 1 or an unknown variant.

    Source: FaiRLLM Eq. 4. The paper divides by k (k + 1); its code by the number of pairs, with the
    last position of a repeated neutral item, where LangFair takes the first.
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
            f"a list similarity got k={k} and variant {variant!r}. Give k of at least 1 and one "
            "of normalized, paper, fairllm_code, langfair."
        )
    if variant in ("normalized", "paper"):
        return list(dict.fromkeys(left))[:k], list(dict.fromkeys(right))[:k]
    return list(left[:k]), list(right[:k])


def _concordant(x: Sequence[str], y: Sequence[str], *, last: bool = False) -> int:
    """Pairs i < j with x_i in y and x_j absent or below; repeats count at one end."""
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
