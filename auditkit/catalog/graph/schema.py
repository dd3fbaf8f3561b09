"""The words of the knowledge graph, and what every store of triples can answer.

Everything is a code. Items are numbered first, in catalog order, so an item's row is its code;
behind them come entities, then values, each kind in the order of its number or text. So a range of
years is a range of codes, and the same content has the same codes in every store. Source:
hallucination recipe 4.3; it lists five kinds, `id` is ours: an entity without a name must never
contradict a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument

__all__ = [
    "KINDS", "KIND_OF_TYPE", "OPERATORS", "Condition", "Constraint", "Kind", "LinkState",
    "Objects", "Operator", "Paths", "Predicate", "Terms", "TripleStore", "Triples", "ValueType",
    "Verdict", "World",
]  # fmt: skip

World = Literal["open", "closed", "functional"]
Verdict = Literal["supported", "contradicted", "unverifiable"]
LinkState = Literal["checked", "refused", "unchecked", "none"]
ValueType = Literal["entity", "string", "integer", "real", "date", "item"]
Kind = Literal["item", "entity", "id", "string", "number", "date"]
Operator = Literal["=", "!=", "<", "<=", ">", ">="]
OPERATORS: tuple[Operator, ...] = ("=", "!=", "<", "<=", ">", ">=")
# In the order of their codes; items, entities and ids may be subjects.
KINDS: tuple[Kind, ...] = ("item", "entity", "id", "string", "number", "date")
KIND_OF_TYPE: dict[ValueType, Kind] = {
    "entity": "entity", "string": "string", "integer": "number", "real": "number",
    "date": "date", "item": "item",
}  # fmt: skip


@dataclass(frozen=True)
class Predicate:
    """A relation.

    Attributes:
        name: as claims and constraints name it.
        world: what its silence means. *open*: nothing; *closed*: an item that has values has no
            others; *functional*: an item has one value.
        labelled: whether its values have names (Freebase ids have none).
        type: what its values are; `item` where they may be items of the catalog.
        inverse_of: name of the same relation read the other way, where the source has both.
    """

    name: str
    world: World = "open"
    labelled: bool = True
    type: ValueType = "string"
    inverse_of: str | None = None

    @property
    def kind(self) -> Kind:
        """Kind of its values; what is no item of the catalog is an entity or an id."""
        if self.type in ("entity", "item"):
            return "entity" if self.labelled else "id"
        return KIND_OF_TYPE[self.type] if self.labelled else "id"


@dataclass(frozen=True)
class Constraint:
    """What a request asks of an item: `year < 1970`, `genre = Comedy`.

    Raises:
        InvalidArgument: an operator other than = != < <= > >=.
    """

    predicate: str
    operator: Operator
    value: str

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise InvalidArgument(
                f"a constraint on {self.predicate!r} has the operator {self.operator!r}. "
                f"Give one of {' '.join(OPERATORS)}."
            )


class Condition(NamedTuple):
    """A constraint in codes: has a subject an object of `p` in one of the ranges [begin, end)?"""

    p: int
    ranges: tuple[tuple[int, int], ...]
    present: bool = True


class Objects(NamedTuple):
    """Objects of many pairs (s, p): pair i has values[indptr[i] : indptr[i + 1]], ascending."""

    indptr: NDArray[np.int64]
    values: NDArray[np.int64]


class Paths(NamedTuple):
    """Connections of many pairs (a, b): pair i has the rows indptr[i] : indptr[i + 1].

    Attributes:
        indptr: int64 [pairs + 1].
        hops: 1 for a direct triple, 2 for a value that both have.
        predicate: code of the relation.
        value: 2 hops: the shared object; 1 hop: the object of the triple, a or b itself. Rows are
            in ascending order of hops, predicate and value.
    """

    indptr: NDArray[np.int64]
    hops: NDArray[np.int64]
    predicate: NDArray[np.int64]
    value: NDArray[np.int64]


class TripleStore(Protocol):
    """Five vectorised calls over triples of codes; every store gives the same answers.

    Arguments broadcast; p may be one code or an array.
    """

    def __len__(self) -> int:
        """Number of triples."""
        ...

    def check(self, s: ArrayLike, p: ArrayLike, o: ArrayLike) -> NDArray[np.bool_]:
        """Is each triple in the graph? A code out of range is in none."""
        ...

    def has(self, s: ArrayLike, p: ArrayLike) -> NDArray[np.bool_]:
        """Does each subject have any value of the predicate?

        Raises:
            InvalidArgument: a code out of range.
        """
        ...

    def objects(self, s: ArrayLike, p: ArrayLike) -> Objects:
        """All objects of each (subject, predicate) pair, as one ragged array.

        Raises:
            InvalidArgument: a code out of range.
        """
        ...

    def select(self, conditions: Sequence[Condition]) -> NDArray[np.int64]:
        """Rows of the items that fulfil all conditions, ascending."""
        ...

    def paths(
        self,
        a: ArrayLike,
        b: ArrayLike,
        *,
        max_hops: int = 2,
        predicates: Sequence[int] | None = None,
        max_degree: int = 500,
    ) -> Paths:
        """What connects the subjects of each pair.

        Args:
            a, b: arrays of equal length.
            max_hops: 1 for direct triples only, 2 also for shared objects of one predicate.
            predicates: only these; all by default.
            max_degree: a value with more subjects connects nobody, unless its predicate is named.

        Raises:
            InvalidArgument: a code out of range, or other than 1 or 2 hops.
        """
        ...

    def objects_of(self, p: int) -> NDArray[np.int64]:
        """Distinct objects of one predicate, ascending."""
        ...


class Terms(Protocol):
    """Codes and what they stand for."""

    @property
    def starts(self) -> tuple[int, ...]:
        """First code of each of `KINDS`, and behind them the number of terms."""
        ...

    def codes(self, text: str) -> list[int]:
        """Codes of all terms with this text, of whatever kind; ascending."""
        ...

    def texts(self, codes: Sequence[int]) -> list[str]:
        """Item id, name or value of each code."""
        ...

    def numbers(self, codes: Sequence[int]) -> list[float | None]:
        """Number of each code: dates as YYYYMMDD, None where the term is no number."""
        ...


class Triples(Protocol):
    """A knowledge graph as claims and constraints are evaluated on it.

    Attributes:
        store: the triples. terms: names of the codes.
        predicates: in the order of their codes.
        codes: of each predicate, by name.
    """

    store: TripleStore
    terms: Terms
    predicates: tuple[Predicate, ...]
    codes: Mapping[str, int]

    def row(self, item_id: str) -> int:
        """Row of an item in the catalog, which is its code.

        Raises:
            CatalogError: the item is not in the catalog.
        """
        ...
