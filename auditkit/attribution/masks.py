"""Random masks for estimators, as integers: bit i is set if span i is kept.

Masks come in complementary pairs (z, not z), because the difference of a pair's values depends only
on the odd part of the value function, the part that a linear attribution can describe; the even
part cancels. Source: paired sampling of Covert & Lee 2021, section 4, for uniform masks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument

__all__ = ["bits_of", "every_mask", "mask_of", "paired_masks", "uniform_masks"]

_ATTEMPTS = 1000


def bits_of(masks: Sequence[int], n: int) -> NDArray[np.float64]:
    """Convert masks to a matrix with 1 for kept and 0 for removed spans, [masks, n]."""
    rows = [[mask >> i & 1 for i in range(n)] for mask in masks]
    return np.array(rows, dtype=np.float64).reshape(len(masks), n)


def mask_of(kept: Collection[int]) -> int:
    """Return the mask that keeps the spans at the given positions."""
    return sum(1 << i for i in set(kept))


def every_mask(n: int) -> tuple[int, ...]:
    """Return all 2^n masks in ascending order."""
    return tuple(range(1 << n))


def uniform_masks(
    n: int, m: int, rng: np.random.Generator, *, without: Collection[int] = (), min_kept: int = 0
) -> tuple[int, ...]:
    """Sample distinct masks in which every span is kept with probability 1/2.

    Args:
        n: number of spans.
        m: number of masks; fewer are returned if fewer exist.
        without: masks that must not be returned.
        min_kept: smallest number of kept spans.
    """
    barred, found = set(without), dict[int, None]()
    if n <= 16 and 1 << n <= 8 * (m + len(barred)):
        able = [z for z in range(1 << n) if z not in barred and z.bit_count() >= min_kept]
        order = rng.permutation(len(able))[:m]
        return tuple(able[int(i)] for i in order)
    for _ in range(_ATTEMPTS * m):
        if len(found) == m:
            break
        mask = _draw(n, rng)
        if mask not in barred and mask.bit_count() >= min_kept:
            found[mask] = None
    return tuple(found)


def paired_masks(n: int, m: int, rng: np.random.Generator, *, min_kept: int = 0) -> tuple[int, ...]:
    """Sample m/2 distinct pairs (z, not z) whose design has full rank, listed pair by pair.

    Args:
        n: number of spans.
        m: number of masks, at least 2(n + 1); an odd number is rounded down.
        min_kept: smallest number of kept spans in both masks of a pair.

    Raises:
        InvalidArgument: there are no such pairs.
    """
    whole, n_pairs = (1 << n) - 1, m // 2
    for _ in range(_ATTEMPTS):
        pairs: dict[int, int] = {}
        for _ in range(_ATTEMPTS * n_pairs):
            if len(pairs) == n_pairs:
                break
            mask = _draw(n, rng)
            fewest = min(mask.bit_count(), n - mask.bit_count())
            if mask not in pairs and whole ^ mask not in pairs and fewest >= min_kept:
                pairs[mask] = whole ^ mask
        else:
            break
        if np.linalg.matrix_rank(bits_of(tuple(pairs), n) - 0.5) == n:
            return tuple(mask for pair in pairs.items() for mask in pair)
    raise InvalidArgument(
        f"paired_masks did not find {n_pairs} pairs of masks of {n} spans that keep at least "
        f"{min_kept}. Give a smaller min_kept, or a budget of at least 2(n + 1)."
    )


def _draw(n: int, rng: np.random.Generator) -> int:
    return mask_of([int(i) for i in np.flatnonzero(rng.integers(0, 2, size=n))])
