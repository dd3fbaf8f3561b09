"""Collect triples of texts and encode them as integers, with a few bytes and no object per triple.

Terms are numbered by kind, then by number or text, so the codes depend on the facts and on the
order of the items, not on the order in which the facts were read.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.graph.array_store import OBJECT_BITS, PREDICATE_BITS, pack
from auditkit.catalog.graph.query_validation import Shape
from auditkit.catalog.graph.schema import KINDS, Kind, Predicate
from auditkit.catalog.graph.typed_values import number_of
from auditkit.errors import CatalogError

__all__ = ["EncodedGraph", "GraphBuilder", "is_text"]

_CHUNK = 1 << 17
_NUMBERED: tuple[Kind, ...] = ("number", "date")


def is_text(text: str) -> bool:
    """Whether a text can be encoded as UTF-8, that is, has no unpaired surrogate."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


class EncodedGraph(NamedTuple):
    """A graph as triples of codes, with the tables that decode them.

    Attributes:
        keys: packed triples, ascending and unique.
        starts: first code of each kind of term in `KINDS`, then the number of terms.
        texts: texts of all terms after the items.
        numbers: values of all terms that are numbers or dates, in the order of their codes.
        predicates: predicates in the order of their codes; a functional predicate with two values
            for one item was changed to closed.
        warnings: one message for each predicate that was changed to closed.
    """

    keys: NDArray[np.int64]
    starts: tuple[int, ...]
    texts: list[str]
    numbers: NDArray[np.float64]
    predicates: tuple[Predicate, ...]
    warnings: tuple[str, ...]

    @property
    def shape(self) -> Shape:
        """Sizes of the graph."""
        return Shape(self.starts[1], self.starts[3], len(self.predicates), self.starts[-1])

    def counts(self) -> list[tuple[int, int]]:
        """Return (number of triples, number of subjects) for each predicate, in the order of
        codes.
        """
        n = len(self.predicates)
        triples, subjects = np.zeros((2, n), dtype=np.int64)
        for begin in range(0, len(self.keys), _CHUNK):
            # The row before the chunk shows whether its first pair is new.
            pairs = self.keys[max(begin - 1, 0) : begin + _CHUNK] >> OBJECT_BITS
            first = np.ones(len(pairs), dtype=bool)
            first[1:] = pairs[1:] != pairs[:-1]
            codes = pairs & ((1 << PREDICATE_BITS) - 1)
            own = slice(min(begin, 1), None)
            triples += np.bincount(codes[own], minlength=n)
            subjects += np.bincount(codes[own][first[own]], minlength=n)
        return list(zip(triples.tolist(), subjects.tolist(), strict=True))


class GraphBuilder:
    """Collects facts about items one by one.

    `row` is the position of an item in the catalog. Values must be canonical
    (`typed_values.canonical`).
    """

    def __init__(self) -> None:
        self.predicates: list[Predicate] = []
        self._codes: dict[str, int] = {}
        self._terms: dict[Kind, dict[str, int]] = {kind: {} for kind in KINDS[1:]}
        self._n_terms = 0
        self._s, self._p, self._o = array("i"), array("B"), array("i")

    def predicate(self, predicate: Predicate) -> int:
        """Return the code of a predicate, which is added if its name is new.

        Raises:
            CatalogError: a predicate of this name has another type or world, or the name is not
                valid text.
        """
        if not is_text(predicate.name):
            raise CatalogError(
                f"the predicate {predicate.name!r} has an unpaired surrogate. Rename it."
            )
        code = self._codes.setdefault(predicate.name, len(self.predicates))
        if code == len(self.predicates):
            if code > 254:
                raise CatalogError(
                    "the graph has over 255 predicates. Select fewer with a mapping."
                )
            self.predicates.append(predicate)
        elif self.predicates[code] != predicate:
            raise CatalogError(
                f"the predicate {predicate.name!r} is defined twice, as "
                f"{self.predicates[code].world} {self.predicates[code].type} and as "
                f"{predicate.world} {predicate.type}. Rename it in one of the mappings."
            )
        return code

    def add(self, row: int, predicate: int, value: str) -> None:
        """Add one fact.

        Raises:
            ValueError: the value is not valid text.
        """
        self._add(row, predicate, self.predicates[predicate].kind, value)

    def _add(self, row: int, predicate: int, kind: Kind, value: str) -> None:
        terms = self._terms[kind]
        number = terms.get(value)
        if number is None:
            if not is_text(value):
                raise ValueError(f"{value[:80]!r} has an unpaired surrogate")
            number = terms[value] = self._n_terms
            self._n_terms += 1
        self._s.append(row)
        self._p.append(predicate)
        self._o.append(number)

    def add_nameless(self, row: int, predicate: int, value: str) -> None:
        """Add one fact whose object is an entity that is known only by its id `value`, such as a
        URI without a label.

        Raises:
            ValueError: the value is not valid text.
        """
        self._add(row, predicate, "id", value)

    def add_item(self, row: int, predicate: int, other: int) -> None:
        """Add one fact whose object is the item in row `other`."""
        self._s.append(row)
        self._p.append(predicate)
        self._o.append(-1 - other)

    def facts_of(self, predicate: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the item row and the provisional object number of every fact of one predicate
        added so far.
        """
        kept = np.frombuffer(self._p, dtype=np.uint8) == predicate
        s, o = (np.frombuffer(column, dtype=np.int32)[kept] for column in (self._s, self._o))
        return s, o

    def __len__(self) -> int:
        """Number of facts so far, including duplicates."""
        return len(self._s)

    def encode(self, n_items: int) -> EncodedGraph:
        """Assign the final codes and sort the triples; the builder is empty afterwards."""
        code_of = np.empty(self._n_terms, dtype=np.int64)
        starts, texts, numbers = [0, n_items], list[str](), list[float]()
        for kind in KINDS[1:]:
            terms = self._terms[kind]
            ordered: list[str] = sorted(terms)
            if kind in _NUMBERED:
                by_text = {text: number_of(text, date=kind == "date") for text in ordered}
                ordered.sort(key=by_text.__getitem__)
                numbers += [by_text[text] for text in ordered]
            for code, text in enumerate(ordered, start=starts[-1]):
                code_of[terms[text]] = code
            texts += ordered
            starts.append(starts[-1] + len(ordered))
            terms.clear()
        predicates, keys = self.predicates, self._packed(code_of)
        doubled = _with_two_values(keys, predicates)
        return EncodedGraph(
            keys=keys,
            starts=tuple(starts),
            texts=texts,
            numbers=np.asarray(numbers, dtype=np.float64),
            predicates=tuple(
                replace(p, world="closed") if p.name in doubled else p for p in predicates
            ),
            warnings=tuple(
                f"{name} has two values for one item and is therefore treated as closed instead "
                "of functional"
                for name in doubled
            ),
        )

    def _packed(self, code_of: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pack all triples into sorted, unique keys, and free the facts."""
        keys = np.empty(len(self._s), dtype=np.int64)
        for begin in range(0, len(keys), _CHUNK):
            s, p, o = (
                np.frombuffer(column, dtype=kind)[begin : begin + _CHUNK].astype(np.int64)
                for column, kind in ((self._s, np.int32), (self._p, np.uint8), (self._o, np.int32))
            )
            other = o < 0
            objects = np.where(other, -1 - o, 0)
            if len(code_of):
                objects[~other] = code_of[o[~other]]
            keys[begin : begin + _CHUNK] = pack(s, p, objects)
        self.__init__()  # type: ignore[misc]  # frees the encoded facts
        keys.sort()
        first = np.ones(len(keys), dtype=bool)
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        return keys if first.all() else keys[first]


def _with_two_values(keys: NDArray[np.int64], predicates: Sequence[Predicate]) -> tuple[str, ...]:
    """Names of the functional predicates that have two values for one item."""
    codes: set[int] = set()
    for begin in range(0, len(keys), _CHUNK):
        pairs = keys[begin : begin + _CHUNK + 1] >> OBJECT_BITS
        twice = pairs[1:][pairs[1:] == pairs[:-1]] & ((1 << PREDICATE_BITS) - 1)
        codes.update(np.unique(twice).tolist())
    return tuple(
        p.name for code, p in enumerate(predicates) if p.world == "functional" and code in codes
    )
