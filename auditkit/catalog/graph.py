"""The catalog knowledge graph: (subject, predicate, object) as one sorted array of 63-bit keys.

A triple is packed as s (26 bits) | p (8 bits) | o (29 bits); `check` and `objects` are binary
searches over whole batches. Items are the first terms, in catalog order, so an item's row is its
subject code. A verdict depends on the predicate's world: what an *open* predicate does not say is
unknown, a *closed* one lists all values of an item if it lists any, a *functional* one has one
value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import CatalogError, InvalidArgument
from auditkit.registry import did_you_mean

__all__ = ["KnowledgeGraph", "Objects", "Predicate", "Verdict", "World"]

World = Literal["open", "closed", "functional"]
Verdict = Literal["supported", "contradicted", "unverifiable"]
SUBJECT_BITS, PREDICATE_BITS, OBJECT_BITS = 26, 8, 29


@dataclass(frozen=True)
class Predicate:
    """A relation, its world, and whether its values have names (Freebase ids are none)."""

    name: str
    world: World = "open"
    labelled: bool = True


class Objects(NamedTuple):
    """Objects of many pairs (s, p): pair i has values[indptr[i] : indptr[i + 1]], ascending."""

    indptr: NDArray[np.int64]
    values: NDArray[np.int64]


class KnowledgeGraph:
    """Triples about catalog items.

    Args:
        item_ids: ids in catalog order; they are subjects and may be objects (`sequel`).
        predicates: every relation that `triples` names.
        triples: (item id, predicate name, value); a value is the graph's own label such as "Sci-Fi"
            or "1995".
        item_triples: (item id, predicate name, item id), for relations between items.
        warnings: what the builder has to say; functional predicates with two values for one item
            are added.
        link: `checked`, `refused`, `unchecked` or `none`: what became of the link to a foreign
            graph.

    Raises:
        CatalogError: an unknown item or predicate, or more terms than a key can hold.
    """

    def __init__(
        self,
        item_ids: Sequence[str],
        predicates: Sequence[Predicate],
        triples: Iterable[tuple[str, str, str]],
        *,
        item_triples: Iterable[tuple[str, str, str]] = (),
        warnings: Sequence[str] = (),
        link: Literal["checked", "refused", "unchecked", "none"] = "none",
    ) -> None:
        self.item_ids = tuple(item_ids)
        self.predicates = tuple(predicates)
        self.link = link
        self._rows = {item: row for row, item in enumerate(self.item_ids)}
        self._codes = {predicate.name: code for code, predicate in enumerate(self.predicates)}
        self._labels: dict[str, int] = {}
        packed = [
            (
                self._subject(s),
                self.predicate(p),
                self._labels.setdefault(o, len(self.item_ids) + len(self._labels)),
            )
            for s, p, o in triples
        ]
        packed += [
            (self._subject(s), self.predicate(p), self._subject(o)) for s, p, o in item_triples
        ]
        n_terms = len(self.item_ids) + len(self._labels)
        if (
            len(self.item_ids) >= 1 << SUBJECT_BITS
            or len(self.predicates) > 1 << PREDICATE_BITS
            or n_terms >= 1 << OBJECT_BITS
        ):
            raise CatalogError(
                f"{len(self.item_ids)} items, {len(self.predicates)} predicates and {n_terms} "
                "terms do not fit the "
                f"graph's key of {SUBJECT_BITS}, {PREDICATE_BITS} and {OBJECT_BITS} bits. Split "
                "the catalog."
            )
        columns = np.asarray(packed, dtype=np.int64).reshape(-1, 3)
        self._keys = np.unique(_pack(columns[:, 0], columns[:, 1], columns[:, 2]))
        self._terms = (*self.item_ids, *self._labels)
        doubled = self._functional_with_two_values()
        self.warnings = (
            *warnings,
            *(f"{name} has two values for one item and is read as closed" for name in doubled),
        )
        self.worlds: Mapping[str, World] = {
            predicate.name: "closed" if predicate.name in doubled else predicate.world
            for predicate in self.predicates
        }

    def __len__(self) -> int:
        return len(self._keys)

    def _subject(self, item_id: str) -> int:
        try:
            return self._rows[item_id]
        except KeyError:
            raise CatalogError(
                f"the graph names item {item_id!r}, which is not in the catalog. Add or drop it."
            ) from None

    def _functional_with_two_values(self) -> tuple[str, ...]:
        pairs, counts = np.unique(self._keys >> OBJECT_BITS, return_counts=True)
        codes = {int(code) for code in np.unique(pairs[counts > 1] & ((1 << PREDICATE_BITS) - 1))}
        return tuple(
            predicate.name
            for code, predicate in enumerate(self.predicates)
            if predicate.world == "functional" and code in codes
        )

    def predicate(self, name: str) -> int:
        """Code of a predicate.

        Raises:
            CatalogError: unknown name.
        """
        try:
            return self._codes[name]
        except KeyError:
            raise CatalogError(
                f"the graph has no predicate {name!r}.{did_you_mean(name, self._codes)}"
            ) from None

    def term(self, label: str) -> int | None:
        """Code of a value such as "Sci-Fi"; None if no triple holds it."""
        return self._labels.get(label)

    def label(self, code: int) -> str:
        """Item id or value of a term code."""
        return self._terms[code]

    def labels(self, predicate: str) -> tuple[str, ...]:
        """All values of one predicate, in ascending code."""
        of_predicate = (self._keys >> OBJECT_BITS) & ((1 << PREDICATE_BITS) - 1) == self.predicate(
            predicate
        )
        codes = np.unique(self._keys[of_predicate] & ((1 << OBJECT_BITS) - 1))
        return tuple(self._terms[code] for code in codes.tolist())

    def check(self, s: ArrayLike, p: ArrayLike, o: ArrayLike) -> NDArray[np.bool_]:
        """Is each triple of codes in the graph? Arrays broadcast; a negative code is in none."""
        s, p, o = np.broadcast_arrays(*(np.asarray(code, dtype=np.int64) for code in (s, p, o)))
        keys = _pack(s, p, o)
        at = np.searchsorted(self._keys, keys)
        hit = np.zeros(keys.shape, dtype=bool)
        inside = at < len(self._keys)
        hit[inside] = self._keys[at[inside]] == keys[inside]
        return hit & (s >= 0) & (p >= 0) & (o >= 0)

    def has(self, s: ArrayLike, p: ArrayLike) -> NDArray[np.bool_]:
        """Does each subject have any value of the predicate?"""
        begin, end = self._range(s, p)
        return np.asarray(end > begin)

    def objects(self, s: ArrayLike, p: ArrayLike) -> Objects:
        """All objects of each (subject, predicate) pair, as one ragged array."""
        begin, end = self._range(s, p)
        counts = end - begin
        indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        rows = np.arange(indptr[-1]) + np.repeat(begin - indptr[:-1], counts)
        return Objects(indptr, self._keys[rows] & ((1 << OBJECT_BITS) - 1))

    def _range(self, s: ArrayLike, p: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        s, p = np.broadcast_arrays(
            np.atleast_1d(np.asarray(s, np.int64)), np.atleast_1d(np.asarray(p, np.int64))
        )
        if np.any((s < 0) | (s >= len(self.item_ids)) | (p < 0) | (p >= len(self.predicates))):
            raise InvalidArgument(
                "a subject or predicate code is out of range. Codes are item rows and "
                "`predicate()`."
            )
        first = _pack(s, p, np.zeros_like(s))
        return np.searchsorted(self._keys, first), np.searchsorted(
            self._keys, first + (1 << OBJECT_BITS)
        )

    def values(self, item_id: str, predicate: str) -> tuple[str, ...]:
        """The values that one item has, as labels; relations between items give item ids."""
        found = self.objects(self._subject(item_id), self.predicate(predicate))
        return tuple(self._terms[code] for code in found.values.tolist())

    def verdict(self, item_id: str, predicate: str, value: str) -> Verdict:
        """Does the graph support that the item has this value?

        A predicate that the graph does not know, a value without a name that people use, and an
        item without values can contradict nothing: `unverifiable`.

        Raises:
            CatalogError: the item is not in the catalog.
        """
        subject = self._subject(item_id)
        code = self._codes.get(predicate)
        if code is None:
            return "unverifiable"
        terms = [
            term for term in (self._labels.get(value), self._rows.get(value)) if term is not None
        ]
        if terms and bool(self.check(subject, code, terms).any()):
            return "supported"
        if self.worlds[predicate] == "open" or not bool(self.has(subject, code)[0]):
            return "unverifiable"
        return "contradicted" if terms or self.predicates[code].labelled else "unverifiable"


def _pack(s: NDArray[np.int64], p: NDArray[np.int64], o: NDArray[np.int64]) -> NDArray[np.int64]:
    return (s << (PREDICATE_BITS + OBJECT_BITS)) | (p << OBJECT_BITS) | o
