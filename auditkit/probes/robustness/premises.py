"""False premises about a catalog: constraints that no item meets, and facts of other items.

Both are built from the knowledge graph and phrased with the domain pack, so that a response can be
checked without a judge model. A fact counts as false only if the graph is complete enough to deny
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.catalog.linking.bylines import CREATOR_PREDICATES
from auditkit.domains.pack import DomainPack
from auditkit.probes.hallucination.constraint_choices import as_words, constraint_choices
from auditkit.types import Item

__all__ = ["FalseFact", "Premises"]

_TRIES = 200


@dataclass(frozen=True)
class FalseFact:
    """A fact that an item does not have, as text, and the actual values of the item."""

    item: Item
    words: str
    actual: tuple[str, ...]


class Premises:
    """Samples false premises about a catalog.

    Args:
        catalog: catalog with the knowledge graph.
        pack: domain pack with the predicates that a request may name.
    """

    def __init__(self, catalog: Catalog, pack: DomainPack) -> None:
        self._catalog, self._pack = catalog, pack
        self._choices = constraint_choices(catalog, pack)
        self._creators = [name for name in CREATOR_PREDICATES if name in catalog.graph.codes]
        self._n_meeting: dict[tuple[Constraint, ...], int] = {}

    def contradiction(self, rng: np.random.Generator) -> tuple[Constraint, ...] | None:
        """Sample two constraints that no item meets together; None if none are found.

        Some items meet each constraint by itself. The first constraint is a label, the second a
        label of another predicate or a bound.
        """
        labels, others = self._choices.labels, (*self._choices.labels, *self._choices.bounds)
        if not labels:
            return None
        for _ in range(_TRIES):
            first = labels[int(rng.integers(len(labels)))]
            second = others[int(rng.integers(len(others)))]
            alone = self._met(first) and self._met(second)
            if first.predicate != second.predicate and alone and not self._met(first, second):
                return first, second
        return None

    def false_fact(self, rng: np.random.Generator) -> FalseFact | None:
        """Sample a fact of one item that the graph denies for another; None if none is found.

        The fact is a creator, such as a director, or else a label that the pack can phrase as a
        constraint.
        """
        rows = rng.integers(len(self._catalog), size=(_TRIES, 2)).tolist()
        for row, other in rows:
            for name in self._creators:
                if (found := self._denied(row, other, name, rng)) is not None:
                    return FalseFact(found[0], f"by {found[1].value}", found[2])
        worded = sorted({label.predicate for label in self._choices.labels})
        for row, other in rows:
            for name in worded:
                if (found := self._denied(row, other, name, rng)) is not None:
                    return FalseFact(found[0], as_words([found[1]], self._pack), found[2])
        return None

    def _denied(
        self, row: int, other: int, name: str, rng: np.random.Generator
    ) -> tuple[Item, Constraint, tuple[str, ...]] | None:
        """Return an item, a value of another item that the graph denies for it, and its actual
        values.
        """
        graph, items = self._catalog.graph, self._catalog.items
        values = graph.values(items[other].id, name)
        actual = graph.values(items[row].id, name)
        if not values or not actual:
            return None
        claimed = Constraint(name, "=", values[int(rng.integers(len(values)))])
        if graph.constraint_verdict(items[row].id, [claimed]) != "contradicted":
            return None
        return Item(items[row].id, items[row].display_title), claimed, actual

    def _met(self, *constraints: Constraint) -> bool:
        """Whether any item certainly meets the constraints."""
        if constraints not in self._n_meeting:
            self._n_meeting[constraints] = len(self._catalog.graph.select(constraints))
        return self._n_meeting[constraints] > 0
