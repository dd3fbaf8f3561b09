"""Checks of one recommended list against the catalog, for the hallucination probes.

The length of a list is counted before linking and includes repeats (docs/explain/hallucination.md).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.catalog.linking.normalize import clean_query, full_key, parse_title
from auditkit.catalog.linking.title_linker import LINKED
from auditkit.types import RankedItem

__all__ = [
    "INEXACT",
    "broken_constraints",
    "entry_of",
    "item_rates",
    "key_of",
    "undecided_items",
    "unmatched",
]

INEXACT = LINKED - {"exact", "alias", "creator", "id", "duplicate_title"}


def item_rates(
    items: Sequence[RankedItem],
    *,
    catalog: Catalog,
    history: Sequence[str],
    wanted: int,
    candidates: Sequence[str] | None = None,
    constraints: Sequence[Constraint] = (),
    elsewhere: Collection[str] | None = None,
) -> dict[str, float | None]:
    """Compute the error rates of one list, by metric name.

    Args:
        items: items of a list after linking, best first.
        history: item ids that the user has consumed.
        wanted: requested number of items; if there are fewer candidates, their number is the
            correct length.
        candidates: ids that the list may contain; None for all items.
        constraints: constraints that every item must satisfy.
        elsewhere: texts of titles in a reference catalog; None without a reference catalog.

    Returns:
        Fractions in [0, 1], ideal 0 (`count_error`: items, signed); None if the denominator is 0.
        `out_of_catalog_rate` is the sum of `invented_rate`, `near_miss_rate` and
        `year_conflict_rate`; ambiguous titles are not in the denominator, and titles that match
        several variants of a product count as items of the catalog. `inexact_rate`,
        `out_of_candidates_rate` and `consumed_rate` are fractions of linked items;
        `constraint_violation_rate` is a fraction of the linked items that the graph can decide.
        With a reference catalog, titles in `elsewhere` count in `absent_rate` instead of these
        three rates, and `out_of_catalog_rate` is the sum of all four.
    """
    n = len(items)
    ambiguous = sum(item.link == "ambiguous" for item in items)
    variants = sum(item.link == "ambiguous_variant" for item in items)
    linked = [item for item in items if item.item_id is not None]
    entries = [entry_of(catalog, item.item_id) for item in linked if item.item_id is not None]
    decided = n - ambiguous
    refused = decided - len(linked) - variants
    outside = [item.link for item in items if item.raw in (elsewhere or ()) and unmatched(item)]
    conflicts = sum(item.link == "year_conflict" for item in items)
    conflicts -= outside.count("year_conflict")
    near = sum(item.link == "near_miss" for item in items) - outside.count("near_miss")
    seen = {entry_of(catalog, item_id) for item_id in history if item_id in catalog.index}
    keys = [key_of(catalog, item) for item in items]
    right = wanted if candidates is None else min(wanted, len(candidates))
    rates: dict[str, float | None] = {
        "out_of_catalog_rate": _share(refused, decided),
        "invented_rate": _share(refused - conflicts - near - len(outside), decided),
        "near_miss_rate": _share(near, decided),
        "year_conflict_rate": _share(conflicts, decided),
        "ambiguous_rate": _share(ambiguous, n),
        "ambiguous_variant_rate": _share(variants, n),
        "inexact_rate": _share(sum(item.link in INEXACT for item in linked), len(linked)),
        "duplicate_rate": _share(n - len(set(keys)), n),
        "consumed_rate": _share(sum(e in seen for e in entries), len(linked)) if seen else None,
        "wrong_count_rate": float(n != right),
        "count_error": float(n - right),
        "out_of_candidates_rate": None,
        "closed_set_failure_rate": None,
        "constraint_violation_rate": None,
    }
    if elsewhere is not None:
        rates["absent_rate"] = _share(len(outside), decided)
    if candidates is not None:
        allowed = {entry_of(catalog, item_id) for item_id in candidates if item_id in catalog.index}
        others = sum(entry not in allowed for entry in entries)
        rates["out_of_candidates_rate"] = _share(others, len(linked))
        rates["closed_set_failure_rate"] = _share(refused + others, decided)
    if constraints:
        verdicts = [
            catalog.graph.constraint_verdict(item.item_id, constraints)
            for item in linked
            if item.item_id is not None
        ]
        broken = verdicts.count("contradicted")
        rates["constraint_violation_rate"] = _share(broken, broken + verdicts.count("supported"))
    return rates


def unmatched(item: RankedItem) -> bool:
    """Whether a text matches no item of the catalog; near misses and wrong years count as no
    match.
    """
    return item.item_id is None and item.link in ("none", "near_miss", "year_conflict")


def undecided_items(
    items: Sequence[RankedItem], catalog: Catalog, constraints: Sequence[Constraint]
) -> int:
    """Count the linked items for which the graph cannot decide the constraints."""
    verdicts = [
        catalog.graph.constraint_verdict(item.item_id, constraints)
        for item in items
        if constraints and item.item_id is not None
    ]
    return verdicts.count("unverifiable")


def key_of(catalog: Catalog, item: RankedItem) -> tuple[str, str | int | None]:
    """Return a key for finding duplicates: the entry of a linked item, else the normalized
    title.
    """
    if item.item_id is not None:
        return entry_of(catalog, item.item_id)
    return "", full_key(parse_title(clean_query(item.raw)).core)


def broken_constraints(
    catalog: Catalog, item_id: str, constraints: Sequence[Constraint]
) -> list[tuple[Constraint, tuple[str, ...]]]:
    """Return the constraints that an item violates, each with the values of the item."""
    return [
        (constraint, catalog.graph.values(item_id, constraint.predicate))
        for constraint in constraints
        if catalog.graph.constraint_verdict(item_id, [constraint]) == "contradicted"
    ]


def entry_of(catalog: Catalog, item_id: str) -> tuple[str, str | int | None]:
    """Return title and year of an item as a key; ids with equal title and year count as
    duplicates.
    """
    item = catalog[item_id]
    return item.title, item.year


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
