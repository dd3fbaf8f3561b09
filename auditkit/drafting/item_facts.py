"""Choose the columns of items that become facts of the catalog, with their types and worlds.

Only columns that the domain pack knows get a closed or functional world, in which other values are
false, because only claims about these predicates are read from texts. Other columns with few values
are kept as open facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditkit.catalog.graph.schema import ValueType, World
from auditkit.catalog.linking.variants import is_variant_column
from auditkit.domains.pack import DomainPack, PackPredicate
from auditkit.drafting.table_profile import ColumnProfile, TableProfile

__all__ = ["FactColumns", "ItemFact", "fact_columns"]

_LONGEST_VALUE = 60  # characters
_FEW_VALUES = 0.1  # of the rows
_SEPARATOR = "|"
_COMPLETE = 0.9  # of the rows have a value
_NOT_IN_NAMES = re.compile(r"[\s:<>=!]+")
_RESERVED = ("year", "decade")


@dataclass(frozen=True)
class ItemFact:
    """A fact column of the drafted mapping, with its predicate."""

    name: str
    column: str
    type: ValueType
    world: World


@dataclass(frozen=True)
class FactColumns:
    """The drafted facts, the columns of variants, and the reason for each column that is not
    used.
    """

    facts: tuple[ItemFact, ...]
    variants: tuple[str, ...]
    left_out: dict[str, str]


def fact_columns(items: TableProfile, taken: Sequence[str], pack: DomainPack) -> FactColumns:
    """Choose the columns that become facts of the items.

    Args:
        taken: columns that already have a role.
        pack: the domain pack, whose predicates provide types.
    """
    facts: dict[str, ItemFact] = {}
    variants: list[str] = []
    left_out: dict[str, str] = {}
    for column in items.columns.values():
        if column.name in taken:
            continue
        if fault := _fault(column):
            left_out[column.name] = fault
            continue
        known = _known(column.name, pack)
        if known is None and len(column.counts) > _FEW_VALUES * column.n_rows:
            left_out[column.name] = (
                f"has {len(column.counts):,} distinct values, which claims are unlikely to state"
            )
            continue
        fact = _fact(column, known)
        if fact.name in facts:
            left_out[column.name] = f"the column {facts[fact.name].column} has the same meaning"
            continue
        facts[fact.name] = fact
        if pack.name == "products" and is_variant_column(column.name):
            variants.append(column.name)
    return FactColumns(tuple(facts.values()), tuple(variants), left_out)


def _fault(column: ColumnProfile) -> str | None:
    """Why a column contains no facts; None if it may contain facts."""
    if not column.n_filled:
        return "empty"
    if column.kind == "object":
        return "contains objects; name their keys in the mapping, such as details.Brand"
    if column.has_addresses:
        return "web addresses"
    if column.mean_length > _LONGEST_VALUE and column.kind != "list":
        return "long texts"
    if len(column.counts) == 1:
        return "all items have the same value"
    return None


def _known(name: str, pack: DomainPack) -> tuple[str, PackPredicate] | None:
    """The pack's predicate of a column."""
    spelled = _spelled(name)
    return next(
        (
            (ours, predicate)
            for ours, predicate in pack.predicates.items()
            if spelled == ours.casefold() or spelled in (n.casefold() for n in predicate.names)
        ),
        None,
    )


def _fact(column: ColumnProfile, known: tuple[str, PackPredicate] | None) -> ItemFact:
    if known is None:
        return ItemFact(_free(_spelled(column.name)), column.name, "string", "open")
    name, predicate = known
    type_ = next(_types(column, predicate))
    if type_ in ("integer", "real"):
        return ItemFact(_free(name), column.name, type_, "functional")
    several = column.kind == "list" or any(_SEPARATOR in value for value in column.counts)
    complete = column.filled >= _COMPLETE and not several
    return ItemFact(_free(name), column.name, type_, "closed" if complete else "open")


def _types(column: ColumnProfile, predicate: PackPredicate) -> Iterator[ValueType]:
    if column.kind == "integer":
        yield "integer"
    if column.kind == "real":
        yield "real"
    if column.kind == "date":
        yield "date"
    yield "entity" if predicate.type == "entity" else "string"


def _spelled(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name.strip().casefold()).strip("_") or "column"


def _free(name: str) -> str:
    """Make a predicate name that the catalog does not reserve."""
    return f"{name}_value" if name in _RESERVED else name
