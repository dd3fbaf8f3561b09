"""The catalog's knowledge graph: values of items by name, and verdicts on claims.

One class serves all stores. A store implements the calls objects, check, has, select and paths on
integer codes; this class adds names, worlds and verdicts. A verdict depends on the world assumption
of the predicate: a missing value of an *open* predicate is unknown, a *closed* one lists all values
of an item if it lists any, and a *functional* one has a single value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.catalog.graph.array_store import TripleKeys
from auditkit.catalog.graph.builder import EncodedGraph, GraphBuilder
from auditkit.catalog.graph.claim_evaluation import conditions_of, judge, meets, merged
from auditkit.catalog.graph.memory_terms import MemoryTerms
from auditkit.catalog.graph.schema import (
    Condition,
    Constraint,
    LinkState,
    Objects,
    Paths,
    Predicate,
    Terms,
    TripleStore,
    Verdict,
    World,
)
from auditkit.catalog.graph.typed_values import canonical
from auditkit.catalog.graph.verdict_rules import Judgment, every, negation_of, some
from auditkit.errors import CatalogError, did_you_mean

__all__ = ["Constraint", "KnowledgeGraph", "Objects", "Predicate", "Verdict", "World"]


class KnowledgeGraph:
    """Facts about the items of one catalog.

    Args:
        store: the triples.
        terms: texts and numeric values of the terms, by code.
        predicates: predicates in the order of their codes.
        warnings: warnings of the builder.
        link: status of the link to an external graph.

    Attributes:
        worlds: world assumption of each predicate, by name.
        codes: code of each predicate, by name.
    """

    def __init__(
        self,
        store: TripleStore,
        terms: Terms,
        predicates: Sequence[Predicate],
        *,
        warnings: Sequence[str] = (),
        link: LinkState = "none",
    ) -> None:
        self.store, self.terms, self.link = store, terms, link
        self.predicates, self.warnings = tuple(predicates), tuple(warnings)
        self.worlds: Mapping[str, World] = {p.name: p.world for p in self.predicates}
        self.codes: Mapping[str, int] = {
            predicate.name: code for code, predicate in enumerate(self.predicates)
        }
        self._labels: dict[str, tuple[str, ...]] = {}

    @classmethod
    def from_triples(
        cls,
        item_ids: Sequence[str],
        predicates: Sequence[Predicate],
        triples: Iterable[tuple[str, str, str]],
        *,
        item_triples: Iterable[tuple[str, str, str]] = (),
        warnings: Sequence[str] = (),
        link: LinkState = "none",
    ) -> KnowledgeGraph:
        """Build a graph in memory.

        Args:
            item_ids: item ids in catalog order, which are the subjects and may be objects
                (`sequel`).
            predicates: all predicates of the triples.
            triples: (item id, predicate name, value).
            item_triples: (item id, predicate name, item id), for relations between items.
            warnings, link: as in the class.

        Raises:
            CatalogError: an item or predicate is unknown, a value is not of its predicate's type,
                or there are more terms than fit into a key.
        """
        builder, rows = GraphBuilder(), {item: row for row, item in enumerate(item_ids)}
        codes = {predicate.name: builder.predicate(predicate) for predicate in predicates}

        def row_of(item_id: str) -> int:
            return _known(rows, item_id, "the graph names item {}, which is not in the catalog.")

        def code_of(name: str) -> int:
            return _known(codes, name, "the graph has no predicate {}.")

        for s, name, o in triples:
            p = code_of(name)
            try:
                value = canonical(o, builder.predicates[p].type)
            except ValueError as error:
                raise CatalogError(
                    f"{name} of item {s!r}: {error}. Correct the value or the predicate's type."
                ) from None
            builder.add(row_of(s), p, value)
        for s, name, o in item_triples:
            builder.add_item(row_of(s), code_of(name), row_of(o))
        encoded = builder.encode(len(item_ids))
        return cls.of_encoded(item_ids, encoded, warnings=warnings, link=link)

    @classmethod
    def of_encoded(
        cls,
        item_ids: Sequence[str],
        encoded: EncodedGraph,
        *,
        warnings: Sequence[str] = (),
        link: LinkState = "none",
    ) -> KnowledgeGraph:
        """Build a graph in memory from an encoded graph."""
        return cls(
            TripleKeys(encoded.keys, encoded.shape),
            MemoryTerms(item_ids, encoded),
            encoded.predicates,
            warnings=(*warnings, *encoded.warnings),
            link=link,
        )

    def __len__(self) -> int:
        return len(self.store)

    # ---- names ----

    def row(self, item_id: str) -> int:
        """Row of an item in the catalog, which is its code.

        Raises:
            CatalogError: the item is not in the catalog.
        """
        row = next((c for c in self.terms.codes(item_id) if c < self.terms.starts[1]), None)
        if row is None:
            raise CatalogError(
                f"the graph was queried for item {item_id!r}, which is not in the catalog. Add "
                "the item to the catalog or drop the query."
            )
        return row

    def predicate(self, name: str) -> int:
        """Code of a predicate.

        Raises:
            CatalogError: the graph has no predicate of this name.
        """
        return _known(self.codes, name, "the graph has no predicate {}.")

    def term(self, label: str) -> int | None:
        """Code of a value such as "Sci-Fi"; None if no triple has this value."""
        return next((c for c in self.terms.codes(label) if c >= self.terms.starts[1]), None)

    def label(self, code: int) -> str:
        """Item id, name or value of a term code."""
        return self.terms.texts([code])[0]

    def labels(self, predicate: str) -> tuple[str, ...]:
        """All values of one predicate in the order of their codes: numbers ascending, texts
        alphabetically.

        Raises:
            CatalogError: unknown predicate.
        """
        code = self.predicate(predicate)
        if predicate not in self._labels:
            codes = self.store.objects_of(code).tolist()
            self._labels[predicate] = tuple(self.terms.texts(codes))
        return self._labels[predicate]

    def values(self, item_id: str, predicate: str) -> tuple[str, ...]:
        """Values of a predicate for one item; for relations between items, item ids.

        Raises:
            CatalogError: unknown item or predicate.
        """
        found = self.store.objects([self.row(item_id)], [self.predicate(predicate)])
        return tuple(self.terms.texts(found.values.tolist()))

    # ---- the five calls ----

    def objects(self, s: ArrayLike, p: ArrayLike) -> Objects:
        """All objects of each (subject, predicate) pair, as one ragged array."""
        return self.store.objects(s, p)

    def check(self, s: ArrayLike, p: ArrayLike, o: ArrayLike) -> NDArray[np.bool_]:
        """Whether each triple (s[i], p[i], o[i]) of codes is in the graph, bool [triples]."""
        return self.store.check(s, p, o)

    def has(self, s: ArrayLike, p: ArrayLike) -> NDArray[np.bool_]:
        """Whether each subject s[i] has any value of predicate p[i], bool [pairs]."""
        return self.store.has(s, p)

    def select(self, constraints: Sequence[Constraint]) -> NDArray[np.int64]:
        """Return the catalog rows of the items that certainly meet every constraint (verdict
        `supported`).
        """
        conditions: list[Condition] = []
        certain = True
        for constraint in constraints:
            found = conditions_of(self, constraint)
            certain = certain and found is not None
            conditions += found or ()
        if not certain:
            return np.empty(0, dtype=np.int64)
        return self.store.select(merged(conditions, self.predicates))

    def paths(
        self,
        a: ArrayLike,
        b: ArrayLike,
        *,
        max_hops: int = 2,
        predicates: Sequence[str] | None = None,
        max_degree: int = 500,
    ) -> Paths:
        """Paths between the items in rows a[i] and b[i], for every i; see `TripleStore.paths`."""
        named = None if predicates is None else [self.predicate(name) for name in predicates]
        return self.store.paths(a, b, max_hops=max_hops, predicates=named, max_degree=max_degree)

    # ---- verdicts ----

    def verdict(
        self, item_id: str | Sequence[str], predicate: str, value: str, *, negated: bool = False
    ) -> Verdict:
        """Verdict on the claim that an item has a value.

        The verdict is `unverifiable` if the graph does not have the predicate, if the item has no
        values, or if a value is an id without a name.

        Args:
            item_id: one id, or the ids of all items that may be meant.
            predicate: name of a predicate; or `same:NAME` or `sequel_of`, for which `value` is the
                id of another item. `same:NAME` claims that both items share a value of NAME, and
                `sequel_of` that the item is a sequel to the other item.
            value: the claimed value; for numbers also a range such as `=1995`, `<1970`, `>1979` or
                `>1989<2000` (exclusive bounds).
            negated: whether the claim is negated.

        Raises:
            CatalogError: an item is not in the catalog.
        """
        return self.judge(item_id, predicate, value, negated=negated).verdict

    def judge(
        self, item_id: str | Sequence[str], predicate: str, value: str, *, negated: bool = False
    ) -> Judgment:
        """Return the verdict and its evidence. For several items, the evidence is that of the first
        item with this verdict.
        """
        ids = [item_id] if isinstance(item_id, str) else item_id
        judged = [judge(self, self.row(one), predicate, value) for one in ids]
        if negated:
            judged = [Judgment(negation_of(found), shown) for found, shown in judged]
        verdict = some(found for found, _ in judged)
        return next((j for j in judged if j.verdict == verdict), Judgment(verdict))

    def constraint_verdict(self, item_id: str, constraints: Sequence[Constraint]) -> Verdict:
        """Verdict on whether the item meets all constraints.

        Raises:
            CatalogError: the item is not in the catalog.
            InvalidArgument: an order comparison has a value that is not a number or date.
        """
        row = self.row(item_id)
        return every(meets(self, row, constraint) for constraint in constraints)


def _known(codes: Mapping[str, int], name: str, message: str) -> int:
    try:
        return codes[name]
    except KeyError:
        hint = (did_you_mean(name, codes) if len(codes) < 1000 else "") or " Add or drop it."
        raise CatalogError(message.format(repr(name)) + hint) from None
