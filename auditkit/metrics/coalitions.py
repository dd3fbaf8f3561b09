"""Tables with the value of every subset of n spans: checks, and the smallest removal sets.

A table has 2^n entries; bit i of the position is set if span i is kept. Entry 0 keeps nothing, the
last entry keeps everything.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument

__all__ = ["RemovalSets", "kept_counts", "minimal_removal_sets", "table_of"]

MOST_SPANS = 20


class RemovalSets(NamedTuple):
    """The smallest known removals that change the top item.

    Attributes:
        sets: spans of each removal, ascending, all of one size; the removals in lexicographic
            order. Empty if no known removal changes the top item.
        searched: largest size s, 0..n, such that the top item is known after every removal of at
            most s spans.
    """

    sets: tuple[tuple[int, ...], ...]
    searched: int

    @property
    def proven(self) -> bool:
        """Whether no smaller removal set exists and all removal sets of this size are listed."""
        return bool(self.sets) and self.searched >= len(self.sets[0])


def minimal_removal_sets(tops: Mapping[int, Hashable], *, n: int) -> RemovalSets:
    """Smallest sets of spans whose removal changes the top item.

    Args:
        tops: the top item by mask; bit i of a mask is set if span i is kept. It contains the mask
            that keeps everything; masks that were not measured are absent. For a table of values
            [2^n, candidates] it is `dict(enumerate(values.argmax(axis=1)))`, which gives ties to
            the lower candidate.
        n: number of spans, 1..20.

    Returns:
        All known sets of the smallest size that changes the top item.

    Raises:
        InvalidArgument: n is outside 1..20, `tops` lacks the whole request, or a mask is out of
            range.

    Source: counterfactual explanations of recommendations, PRINCE (Ghazimatin et al. 2020) and
    ACCENT (Tran et al. 2021), which search greedily; this search proceeds by size, so it proves
    that a set is minimal.
    """
    if not 1 <= n <= MOST_SPANS:
        raise InvalidArgument(
            f"minimal_removal_sets got n={n}. Give 1 to {MOST_SPANS} spans, for example by "
            "joining the oldest history items into one span."
        )
    everything = (1 << n) - 1
    outside = [mask for mask in tops if not 0 <= mask <= everything]
    if everything not in tops or outside:
        raise InvalidArgument(
            f"minimal_removal_sets got no top item of the whole request (mask {everything}), or a "
            f"mask outside 0..{everything}. Measure the whole request, and use masks of {n} spans."
        )
    top, searched = tops[everything], 0
    found: list[tuple[int, ...]] = []
    complete = True
    for size in range(1, n + 1):
        removals = list(combinations(range(n), size)) if complete else _known(tops, n, size)
        masks = [everything ^ sum(1 << span for span in removal) for removal in removals]
        complete = complete and all(mask in tops for mask in masks)
        searched = size if complete else searched
        found = [
            removal
            for removal, mask in zip(removals, masks, strict=True)
            if mask in tops and tops[mask] != top
        ]
        if found:
            break
    return RemovalSets(tuple(found), searched)


def _known(tops: Mapping[int, Hashable], n: int, size: int) -> list[tuple[int, ...]]:
    """Return the measured removals of `size` spans, in lexicographic order."""
    kept = [mask for mask in tops if n - mask.bit_count() == size]
    return sorted(tuple(i for i in range(n) if not mask >> i & 1) for mask in kept)


def table_of(values: ArrayLike, *, name: str) -> tuple[NDArray[np.float64], int]:
    """Check a table of the values of all subsets; return it with its number of spans.

    Args:
        values: v(S) by mask, [2^n].
        name: name of the calling function, for error messages.

    Raises:
        InvalidArgument: the length is not a power of two, n is above 20 or 0, or a value is not
            finite.
    """
    table = np.asarray(values, dtype=np.float64)
    n = table.size.bit_length() - 1
    if table.ndim != 1 or table.size < 2 or table.size != 1 << n or n > MOST_SPANS:
        raise InvalidArgument(
            f"{name} got values of shape {table.shape}. Give one value for each of the 2^n subsets "
            f"of 1 to {MOST_SPANS} spans."
        )
    if not np.isfinite(table).all():
        raise InvalidArgument(
            f"{name} got {int((~np.isfinite(table)).sum())} values that are missing or not "
            "finite. Measure the missing values again, or report the attribution as missing."
        )
    return table, n


def kept_counts(n: int) -> NDArray[np.int64]:
    """Number of kept spans of every mask, [2^n]."""
    counts = np.zeros(1, dtype=np.int64)
    for _ in range(n):
        counts = np.concatenate([counts, counts + 1])
    return counts
