"""Edit distance of two words, and similarity ratio of two titles.

The distance is optimal string alignment: Levenshtein with transpositions of adjacent letters. The
ratio is twice the longest common subsequence divided by the total number of letters, in percent.
rapidfuzz (extra `graph`) computes both; without it, Python code gives the same results slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

__all__ = [
    "damerau_counter",
    "damerau_in_python",
    "osa_counter",
    "osa_in_python",
    "ratio_counter",
    "ratio_in_python",
]


def osa_in_python(left: str, right: str, limit: int) -> int:
    """Edit distance of two words (optimal string alignment); `limit` + 1 if it exceeds `limit`.

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
    """Return the fastest installed function that computes edit distances of pairs of words.

    Returns:
        Function (lefts, rights, limit) -> distances; `limit` + 1 means any larger distance.
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


def damerau_in_python(left: str, right: str, limit: int) -> int:
    """Edit distance as in `osa_in_python`, but swapped letters may be edited again.

    The distance between `nian` and `ninja` is two (one deletion, then one swap), but three by
    optimal string alignment, which never edits a letter twice.

    Source: Lowrance and Wagner (1975).
    """
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    far = len(left) + len(right)
    table = [[far] * (len(right) + 2) for _ in range(len(left) + 2)]
    for i in range(len(left) + 1):
        table[i + 1][1] = i
    for j in range(len(right) + 1):
        table[1][j + 1] = j
    last_row: dict[str, int] = {}
    for i, letter in enumerate(left, start=1):
        last_column = 0
        for j, other in enumerate(right, start=1):
            k, m = last_row.get(other, 0), last_column
            if letter == other:
                last_column = j
            table[i + 1][j + 1] = min(
                table[i][j] + (letter != other),
                table[i + 1][j] + 1,
                table[i][j + 1] + 1,
                table[k][m] + (i - k - 1) + 1 + (j - m - 1),
            )
        last_row[letter] = i
    return min(table[-1][-1], limit + 1)


@cache
def damerau_counter() -> Callable[[Sequence[str], Sequence[str], int], list[int]]:
    """Return the fastest installed function that computes the distances of `damerau_in_python`.

    Returns:
        Function (lefts, rights, limit) -> distances; `limit` + 1 means any larger distance.
    """
    try:
        from rapidfuzz.distance import DamerauLevenshtein
    except ImportError:
        return lambda lefts, rights, limit: [
            damerau_in_python(left, right, limit) for left, right in zip(lefts, rights, strict=True)
        ]

    def count(lefts: Sequence[str], rights: Sequence[str], limit: int) -> list[int]:
        # Optimal string alignment is faster and needs at most one edit more for each swap of two
        # letters with another edit between, which has at least two edits itself.
        rough = osa_counter()(lefts, rights, limit + limit // 2)
        return [
            DamerauLevenshtein.distance(left, right, score_cutoff=limit)
            if distance <= limit + limit // 2
            else limit + 1
            for left, right, distance in zip(lefts, rights, rough, strict=True)
        ]

    return count


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
    """Return the fastest installed function that computes the similarity ratio."""
    try:
        from rapidfuzz.fuzz import ratio
    except ImportError:
        return ratio_in_python
    return lambda left, right: float(ratio(left, right))
