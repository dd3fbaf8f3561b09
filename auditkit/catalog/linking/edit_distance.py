"""Edit distance of two words, and similarity ratio of two titles.

The distance is optimal string alignment: Levenshtein with transpositions of adjacent letters. The
ratio is twice the longest common subsequence divided by the total number of letters, in percent.
rapidfuzz (extra `graph`) computes both; without it, Python code gives the same results slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

__all__ = ["osa_counter", "osa_in_python", "ratio_counter", "ratio_in_python"]


def osa_in_python(left: str, right: str, limit: int) -> int:
    """Edit distance of two words, or `limit` + 1 if it is larger than `limit`.

    Args:
        limit: largest distance that is computed exactly, at least 0.
    """
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    far = limit + 1
    before: list[int] = []
    row = [min(j, far) for j in range(len(right) + 1)]
    for i, letter in enumerate(left, start=1):
        before, last, row = row, before, [min(i, far)] + [far] * len(right)
        for j in range(max(1, i - limit), min(len(right), i + limit) + 1):
            other = right[j - 1]
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other), far)
            if i > 1 and j > 1 and letter == right[j - 2] and left[i - 2] == other:
                row[j] = min(row[j], last[j - 2] + 1)
    return row[-1]


@cache
def osa_counter() -> Callable[[Sequence[str], Sequence[str], int], list[int]]:
    """The fastest installed function for the edit distances of many pairs of words.

    Returns:
        (lefts, rights, limit) -> distances, `limit` + 1 where they are larger.
    """
    try:
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import cpdist
    except ImportError:
        return lambda lefts, rights, limit: [
            osa_in_python(left, right, limit) for left, right in zip(lefts, rights, strict=True)
        ]
    return lambda lefts, rights, limit: cpdist(
        lefts, rights, scorer=OSA.distance, score_cutoff=limit, dtype=np.int64
    ).tolist()


def ratio_in_python(left: str, right: str) -> float:
    """Similarity ratio of two texts in percent; 100 for equal texts.

    Source: bit-parallel longest common subsequence, Hyyro (2004).
    """
    if not left and not right:
        return 100.0
    places: dict[str, int] = {}
    for i, letter in enumerate(left):
        places[letter] = places.get(letter, 0) | 1 << i
    free = (1 << len(left)) - 1
    for letter in right:
        hit = free & places.get(letter, 0)
        free = ((free + hit) | (free - hit)) & ((1 << len(left)) - 1)
    common = len(left) - free.bit_count()
    return 200.0 * common / (len(left) + len(right))


@cache
def ratio_counter() -> Callable[[str, str], float]:
    """The fastest installed function for the similarity ratio."""
    try:
        from rapidfuzz.fuzz import ratio
    except ImportError:
        return ratio_in_python
    return lambda left, right: float(ratio(left, right))
