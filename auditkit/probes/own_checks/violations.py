"""Violations of one check in one response, with an example."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.catalog.graph.typed_values import constrained_range
from auditkit.errors import did_you_mean
from auditkit.probes.base import User
from auditkit.probes.own_checks.check import OwnCheck
from auditkit.types import RankedItem, Response

__all__ = ["MOST_CHARACTERS", "Violations", "not_assessable", "violations_in"]

MOST_CHARACTERS = 4_000  # of a text that a check reads; patterns take longer on longer texts
_NUMERIC = ("integer", "real", "date")


@dataclass(frozen=True)
class Violations:
    """Result of a check on one response.

    Attributes:
        n: number of violations.
        of: number of items or texts that could be judged.
        undecided: number of listed items that could not be judged, because they are not in the
            catalog or have no value.
        example: description of a violation for the evidence; empty without a violation.
    """

    n: int
    of: int
    undecided: int = 0
    example: str = ""

    @property
    def share(self) -> float | None:
        """Fraction of violations in [0, 1]; None if nothing could be judged."""
        return self.n / self.of if self.of else None


def not_assessable(check: OwnCheck, catalog: Catalog) -> str | None:
    """Return why a check could never find a violation in this catalog; None if it could.

    A misspelled attribute or value must not result in a rate of 0.
    """
    if check.attribute is None:
        return None
    graph = catalog.graph
    if check.attribute not in graph.codes:
        return (
            f"the catalog has no attribute {check.attribute!r}."
            f"{did_you_mean(check.attribute, graph.codes)} Its attributes are "
            f"{', '.join(graph.codes)}"
        )
    kind = graph.predicates[graph.codes[check.attribute]].type
    operator, value = check.comparison
    if kind in _NUMERIC or operator in ("<", ">"):
        try:
            constrained_range(operator, value, kind)
        except ValueError as error:
            return f"{check.attribute} {operator} {value!r} cannot be checked: {error}"
        return None
    labels = graph.labels(check.attribute)
    if value in labels:
        return None
    near = did_you_mean(value, labels) if len(labels) < 1_000 else ""
    return f"no item of the catalog has the {check.attribute} {value!r}.{near}"


def violations_in(
    check: OwnCheck, response: Response, user: User, catalog: Catalog, text: str
) -> Violations:
    """Count the violations of a check in a response.

    Args:
        user: the user for whom the list was requested.
        check: the check.
        response: the response.
        text: text of the response, or the listed titles for a recommender that returns no text.
    """
    if check.on == "items":
        return _in_items(check, response, user, catalog)
    if check.fewer_than is not None:
        n = len(response.items)
        return Violations(int(n < check.fewer_than), 1, example=f"{n} items are listed")
    return _in_text(check, text[:MOST_CHARACTERS])


def _in_items(check: OwnCheck, response: Response, user: User, catalog: Catalog) -> Violations:
    linked = [item for item in response.items if item.item_id in catalog.index]
    decide = _known_to(user) if check.in_history else _by_attribute(check, catalog)
    judged = [(item, decide(item.item_id or "")) for item in linked]
    decided = [(item, found) for item, found in judged if found is not None]
    wrong = [item for item, found in decided if found]
    example = _described(check, wrong[0], catalog) if wrong else ""
    undecided = len(response.items) - len(decided)
    return Violations(len(wrong), len(decided), undecided, example)


def _known_to(user: User) -> Callable[[str], bool | None]:
    known = {item.id for item in user.history}
    return lambda item_id: item_id in known


def _by_attribute(check: OwnCheck, catalog: Catalog) -> Callable[[str], bool | None]:
    operator, value = check.comparison
    constraint = Constraint(check.attribute or "", operator, value)
    decided: dict[str, bool | None] = {"supported": True, "contradicted": False}

    def decide(item_id: str) -> bool | None:
        return decided.get(catalog.graph.constraint_verdict(item_id, [constraint]))

    return decide


def _described(check: OwnCheck, item: RankedItem, catalog: Catalog) -> str:
    if check.attribute is None:
        return f'"{item.raw}" is in the history'
    values = ", ".join(catalog.graph.values(item.item_id or "", check.attribute)[:5])
    return f'"{item.raw}" has {check.attribute} {values}'


def _in_text(check: OwnCheck, text: str) -> Violations:
    if check.matches is not None:
        found = re.search(check.matches, text)
        shown = f'contains "{found[0][:80]}"' if found else ""
        return Violations(int(found is not None), 1, example=shown)
    words: Sequence[str] = check.contains or check.lacks or ()
    folded = text.casefold()
    present = [word for word in words if word.casefold() in folded]
    if check.lacks is not None:
        lacking = not present
        return Violations(int(lacking), 1, example=f"lacks {' and '.join(words)}" * lacking)
    shown = f'contains "{present[0]}"' if present else ""
    return Violations(int(bool(present)), 1, example=shown)
