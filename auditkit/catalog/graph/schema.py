"""Types of the knowledge graph, and the protocol of its triple stores.

Terms are integer codes. Items are numbered first, in catalog order, so an item's row is its code.
Entities and then values follow, each kind ordered by number or text. Therefore a range of years is
a range of codes, and the same content has the same codes in every store. The kind `id` is an entity
without a name; it is separate, because it must never contradict a name.
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
    """A relation between an item and its values.

    Attributes:
        name: name in claims and constraints.
        world: meaning of a missing value. *open*: unknown; *closed*: an item that has values has no
            others; *functional*: an item has one value.
        labeled: whether its values have names (Freebase ids have none).
        type: type of its values; `item` if values may be items of the catalog.
        inverse_of: name of the inverse relation, if the source has both.
    """

    name: str
    world: World = "open"
    labeled: bool = True
    type: ValueType = "string"
    inverse_of: str | None = None

    @property
    def kind(self) -> Kind:
        """Kind of the terms that encode its values; for type `item`, the kind of values that are
        not catalog items.
        """
        if self.type in ("entity", "item"):
            return "entity" if self.labeled else "id"
        return KIND_OF_TYPE[self.type] if self.labeled else "id"


@dataclass(frozen=True)
class Constraint:
    """Constraint of a request on the recommended items, such as `year < 1970` or `genre = Comedy`.

    Raises:
        InvalidArgument: the operator is not one of = != < <= > >=.
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
    """The condition that a subject has an object of predicate `p` whose code is in one of `ranges`.

    Ranges are [begin, end). If `present` is False, the subject must have no such object.
    """

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
        hops: 1 for a direct triple between a and b, 2 for a value that a and b share.
        predicate: code of the predicate of the path.
        value: for 2 hops the shared object; for 1 hop the object of the triple, which is a or b.
            The rows of a pair are in ascending order of hops, predicate and value.
    """

    indptr: NDArray[np.int64]
    hops: NDArray[np.int64]
    predicate: NDArray[np.int64]
    value: NDArray[np.int64]


class TripleStore(Protocol):
    """Vectorized queries over triples of codes; all stores return equal results.

    Array arguments are broadcast, so p may be one code or an array.
    """

    def __len__(self) -> int:
        """Number of triples."""
        ...

    def check(self, s: ArrayLike, p: ArrayLike, o: ArrayLike) -> NDArray[np.bool_]:
        """Whether each triple (s[i], p[i], o[i]) is in the graph, bool [triples]; False for a code
        out of range.
        """
        ...

    def has(self, s: ArrayLike, p: ArrayLike) -> NDArray[np.bool_]:
        """Whether each subject s[i] has any value of predicate p[i], bool [pairs].

        Raises:
            InvalidArgument: a code is out of range.
        """
        ...

    def objects(self, s: ArrayLike, p: ArrayLike) -> Objects:
        """All objects of each (subject, predicate) pair, as one ragged array.

        Raises:
            InvalidArgument: a code is out of range.
        """
        ...

    def select(self, conditions: Sequence[Condition]) -> NDArray[np.int64]:
        """Return the catalog rows of the items that meet all conditions, ascending."""
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
        """Paths of one or two hops between a[i] and b[i], for every pair i.

        Args:
            a, b: subjects, arrays of equal length.
            max_hops: 1 for direct triples only, 2 also for shared objects of one predicate.
            predicates: codes of the predicates to follow; None for all.
            max_degree: objects with more subjects than this are ignored in paths of two hops,
                unless `predicates` is given.

        Raises:
            InvalidArgument: a code is out of range, or `max_hops` is not 1 or 2.
        """
        ...

    def objects_of(self, p: int) -> NDArray[np.int64]:
        """Codes of the distinct objects of one predicate, ascending."""
        ...


class Terms(Protocol):
    """Texts and numeric values of the terms, by code."""

    @property
    def starts(self) -> tuple[int, ...]:
        """First code of each kind of term in `KINDS`, then the total number of terms."""
        ...

    def codes(self, text: str) -> list[int]:
        """Codes of all terms of any kind with this text, ascending."""
        ...

    def texts(self, codes: Sequence[int]) -> list[str]:
        """Item id, name or value of each code."""
        ...

    def numbers(self, codes: Sequence[int]) -> list[float | None]:
        """Numeric value of each code, a date as YYYYMMDD; None if the term is not a number."""
        ...


class Triples(Protocol):
    """The part of a knowledge graph that claims and constraints are evaluated on.

    Attributes:
        store: the triples.
        terms: texts and numeric values of the terms, by code.
        predicates: predicates in the order of their codes.
        codes: code of each predicate, by name.
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
