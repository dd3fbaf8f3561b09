"""Validation of the arguments of a store's calls, shared by all stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.catalog.graph.schema import Paths
from auditkit.errors import InvalidArgument

__all__ = [
    "Shape",
    "TripleQuery",
    "paths_of_rows",
    "validated_pairs",
    "validated_paths",
    "validated_triples",
]

Codes = NDArray[np.int64]


class Shape(NamedTuple):
    """Numbers of items, subjects (items, entities and ids), predicates and terms of a graph."""

    items: int
    subjects: int
    predicates: int
    terms: int


class TripleQuery(NamedTuple):
    """Flat code arrays s, p and o of equal length, and a mask of the triples whose codes are all in
    range.
    """

    s: Codes
    p: Codes
    o: Codes
    possible: NDArray[np.bool_]
    shape: tuple[int, ...]


def validated_triples(shape: Shape, s: ArrayLike, p: ArrayLike, o: ArrayLike) -> TripleQuery:
    """Broadcast s, p and o to flat arrays, and compute the mask of triples with valid codes."""
    arrays = np.broadcast_arrays(*(np.asarray(code, dtype=np.int64) for code in (s, p, o)))
    s, p, o = (array.ravel() for array in arrays)
    inside = (s >= 0) & (s < shape.subjects) & (p >= 0) & (p < shape.predicates)
    return TripleQuery(s, p, o, inside & (o >= 0) & (o < shape.terms), arrays[0].shape)


def validated_pairs(shape: Shape, s: ArrayLike, p: ArrayLike) -> tuple[Codes, Codes]:
    """Broadcast subjects and predicates to flat arrays.

    Raises:
        InvalidArgument: a code is out of range.
    """
    s, p = np.broadcast_arrays(
        np.atleast_1d(np.asarray(s, np.int64)), np.atleast_1d(np.asarray(p, np.int64))
    )
    if s.size:
        _require_in_range(s, shape.subjects, "subject")
        _require_in_range(p, shape.predicates, "predicate")
    return s.ravel(), p.ravel()


def validated_paths(
    shape: Shape,
    a: ArrayLike,
    b: ArrayLike,
    *,
    max_hops: int,
    predicates: Sequence[int] | None,
) -> tuple[Codes, Codes]:
    """Check and convert the arguments of `paths`; return a and b as flat arrays.

    Raises:
        InvalidArgument: a code is out of range, or `max_hops` is not 1 or 2.
    """
    if max_hops not in (1, 2):
        raise InvalidArgument(f"paths got max_hops={max_hops}. Give 1 or 2.")
    if predicates is not None and len(predicates):
        _require_in_range(np.asarray(predicates, np.int64), shape.predicates, "predicate")
    a, b = np.broadcast_arrays(
        np.atleast_1d(np.asarray(a, np.int64)), np.atleast_1d(np.asarray(b, np.int64))
    )
    if a.size:
        _require_in_range(a, shape.subjects, "subject")
        _require_in_range(b, shape.subjects, "subject")
    return a.ravel(), b.ravel()


def _require_in_range(codes: Codes, limit: int, what: str) -> None:
    low, high = int(codes.min()), int(codes.max())
    if low < 0 or high >= limit:
        raise InvalidArgument(
            f"the {what} code {low if low < 0 else high} is out of range. Give codes from 0 to "
            f"{limit - 1}."
        )


def paths_of_rows(n_pairs: int, pair: Codes, hops: Codes, predicate: Codes, value: Codes) -> Paths:
    """Build `Paths` from columns with one row per path; sorts the paths and drops duplicates."""
    if len(pair):
        rows = np.unique(np.stack((pair, hops, predicate, value)), axis=1)
        pair, hops, predicate, value = rows
    counts = np.bincount(pair, minlength=n_pairs)
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return Paths(indptr, hops, predicate, value)
