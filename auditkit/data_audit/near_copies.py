"""Pairs of sets that are nearly equal, in time linear in their elements.

MinHash signatures in bands propose pairs, which are then compared exactly, so that no pair is
reported wrongly. A pair at the similarity .9 is proposed with a probability of .998. Source: Broder
1997, "On the resemblance and containment of documents".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from auditkit.seeding import generator

__all__ = ["near_copies"]

_BANDS, _ROWS = 5, 3
_PRIME = (1 << 31) - 1


def near_copies(
    elements: NDArray[np.int32],
    offsets: NDArray[np.int64],
    *,
    least: int,
    similarity: float,
    seed: int,
) -> list[tuple[int, int]]:
    """Find pairs of nearly equal sets by locality-sensitive hashing. Of many copies of a set, not
    all pairs are returned, but every copy is in a pair.

    Args:
        elements: elements of all sets, one set after another, as non-negative integers.
        offsets: set s has elements[offsets[s] : offsets[s + 1]], [sets + 1].
        least: smallest size of a set that is compared.
        similarity: smallest Jaccard similarity of a pair.
        seed: seed of the hash functions.

    Returns:
        Sorted pairs (a, b) of set indices with a < b.
    """
    sets = np.flatnonzero(np.diff(offsets) >= least)
    if len(sets) < 2:
        return []
    rng = generator(seed, "near copies")
    proposed: set[tuple[int, int]] = set()
    for _ in range(_BANDS):
        key = np.zeros(len(sets), dtype=np.uint64)
        for _ in range(_ROWS):
            factor, shift = (int(n) for n in rng.integers(1, _PRIME, 2))
            smallest = _smallest(elements, offsets, factor, shift)[sets]
            key = key * np.uint64(6364136223846793005) + smallest.astype(np.uint64)
        order = np.argsort(key, kind="stable")
        same = np.flatnonzero(key[order][1:] == key[order][:-1])
        first, second = sets[order[same]], sets[order[same + 1]]
        proposed.update(_pairs(first, second))
    near = [pair for pair in proposed if _jaccard(elements, offsets, *pair) >= similarity]
    return sorted(near)


def _smallest(
    elements: NDArray[np.int32], offsets: NDArray[np.int64], factor: int, shift: int
) -> NDArray[np.int64]:
    """Smallest hash of each set; sets without elements get the largest value."""
    hashed = (elements.astype(np.int64) * factor + shift) % _PRIME
    smallest = np.full(len(offsets) - 1, _PRIME, dtype=np.int64)
    nonempty = np.flatnonzero(np.diff(offsets))
    smallest[nonempty] = np.minimum.reduceat(hashed, offsets[nonempty])
    return smallest


def _pairs(first: NDArray[np.intp], second: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    low, high = np.minimum(first, second), np.maximum(first, second)
    return zip(low.tolist(), high.tolist(), strict=True)


def _jaccard(elements: NDArray[np.int32], offsets: NDArray[np.int64], a: int, b: int) -> float:
    one, other = (set(elements[offsets[s] : offsets[s + 1]].tolist()) for s in (a, b))
    return len(one & other) / len(one | other)
