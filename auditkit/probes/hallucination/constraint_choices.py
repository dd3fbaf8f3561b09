"""Constraints that a domain pack allows for a catalog: labels of predicates, and bounds.

A bound on years is the beginning of a decade; a bound on any other number is a quantile of the
catalog's values, rounded to two digits, so that about a fifth of the items are below the lowest
bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.catalog.graph.schema import Operator
from auditkit.domains.pack import DomainPack, PackConstraint

__all__ = ["ConstraintChoices", "as_words", "constraint_choices"]

_QUANTILES = (0.2, 0.4, 0.6, 0.8)
_MOST_LABELS = 1_000  # of one predicate
_NUMERIC = ("integer", "real")


@dataclass(frozen=True)
class ConstraintChoices:
    """Possible constraints: with `=` on a label, and with `<` or `>` on a number."""

    labels: tuple[Constraint, ...]
    bounds: tuple[Constraint, ...]


def constraint_choices(catalog: Catalog, pack: DomainPack) -> ConstraintChoices:
    """Return all constraints on predicates that both the pack and the catalog's graph have."""
    types = {p.name: p.type for p in catalog.graph.predicates if p.labeled}
    labels: list[Constraint] = []
    bounds: list[Constraint] = []
    for allowed in pack.constraints:
        kind = types.get(allowed.predicate)
        if kind is None:
            continue
        if allowed.equal is not None:
            known = catalog.graph.labels(allowed.predicate)[:_MOST_LABELS]
            labels += [Constraint(allowed.predicate, "=", str(label)) for label in known]
        if kind in _NUMERIC:
            bounds += _bounds(catalog, allowed)
    return ConstraintChoices(tuple(labels), tuple(bounds))


def as_words(constraints: Sequence[Constraint], pack: DomainPack) -> str:
    """Phrase constraints with the words of the pack, as in "of the genre Comedy and released after
    1980".
    """
    forms = {
        (allowed.predicate, operator): form
        for allowed in pack.constraints
        for operator, form in (("=", allowed.equal), ("<", allowed.below), (">", allowed.above))
        if form is not None
    }
    return " and ".join(
        forms[constraint.predicate, constraint.operator].replace("{value}", constraint.value)
        for constraint in constraints
    )


def _bounds(catalog: Catalog, allowed: PackConstraint) -> Iterator[Constraint]:
    operators = [
        operator
        for operator, form in (("<", allowed.below), (">", allowed.above))
        if form is not None
    ]
    for value in _thresholds(catalog, allowed.predicate):
        for operator in operators:
            yield Constraint(allowed.predicate, cast(Operator, operator), value)


def _thresholds(catalog: Catalog, predicate: str) -> list[str]:
    """Return the bounds for a predicate, ascending."""
    if predicate == "year":
        decades = {year // 10 * 10 for year in set(catalog.years) if year is not None}
        return [str(decade) for decade in sorted(decades)]
    values = np.array([float(label) for label in catalog.graph.labels(predicate)])
    chosen = (
        {float(f"{value:.2g}") for value in np.quantile(values, _QUANTILES)} if len(values) else {}
    )
    return [f"{value:g}" for value in sorted(chosen)]
