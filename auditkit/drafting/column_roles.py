"""Choose the columns that are ids, titles, times and attributes.

Names alone do not decide: the id of items is the column of unique values to which the events refer,
and an attribute of users is a column with few values and enough users per value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import as_file, files

from pydantic import TypeAdapter

from auditkit.drafting.table_profile import ColumnProfile, TableProfile
from auditkit.errors import CatalogError
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = [
    "attribute_fault", "joined_columns", "rating_column", "time_column", "title_column",
    "user_column", "year_column",
]  # fmt: skip

LEAST_USERS = 20  # of a group, as in `fairness.group_utility`
_MOST_GROUPS = 12
_MOST_RATINGS = 21
_FIRST_SECOND = 100_000_000  # 1973; smaller integers are not times
_YEARS = range(1000, 2101)
_LONGEST_TITLE = 200  # characters


@cache
def _names() -> dict[str, list[str]]:
    with as_file(files("auditkit.drafting") / "column_names.yaml") as path:
        return validate(load_yaml(path), TypeAdapter(dict[str, list[str]]))


def _is_named(column: ColumnProfile, role: str) -> bool:
    return column.name.casefold() in _names()[role]


def joined_columns(described: TableProfile, events: TableProfile, role: str) -> tuple[str, str]:
    """Find the id column of a table of items or users, and the column of the events that refers to
    it.

    Args:
        role: `item_id` or `user_id`.

    Raises:
        CatalogError: no column of unique values contains the values of a column of the events.
    """
    other = "user_id" if role == "item_id" else "item_id"
    found: list[tuple[float, str, str]] = []
    for own in described.columns.values():
        if not own.is_unique:
            continue
        for column in events.columns.values():
            shared = sum(value in own.counts for value in column.counts)
            if not shared:
                continue
            # Small integers are shared by chance, as the numbers of users and items; names decide.
            named = _is_named(own, role) + _is_named(column, role) - 2 * _is_named(column, other)
            same = own.name.casefold() == column.name.casefold()
            found.append((named + 2 * same + shared / len(column.counts), own.name, column.name))
    if found:
        return max(found)[1:]
    raise CatalogError(
        f"no column of {described.path} with unique values contains the values of a column of "
        f"{events.path}. Columns: {', '.join(described.columns)}; and "
        f"{', '.join(events.columns)}. Give tables with common ids."
    )


def title_column(items: TableProfile, taken: Sequence[str]) -> str:
    """Find the column of titles: a column with a usual name or else the text column with the most
    distinct values.

    Raises:
        CatalogError: no column contains texts.
    """
    texts = [
        column
        for column in _free(items, taken)
        if column.kind == "text"
        and not column.has_addresses
        and column.mean_length <= _LONGEST_TITLE
        and any(any(map(str.isalpha, value)) for value in column.counts)
    ]
    if not texts:
        raise CatalogError(
            f"{items.path} has no column of texts that could be titles. Columns: "
            f"{', '.join(items.columns)}. Add a column named title."
        )
    return max(texts, key=lambda one: (_is_named(one, "title"), len(one.counts))).name


def user_column(events: TableProfile, taken: Sequence[str]) -> str:
    """Find the column of users if there is no table of users: a column with a usual name or else a
    column of repeated ids.

    Raises:
        CatalogError: there is none.
    """
    return _required(
        events,
        taken,
        "user_id",
        lambda one: one.kind in ("integer", "text") and len(one.counts) < one.n_filled,
    )


def time_column(events: TableProfile, taken: Sequence[str]) -> str:
    """Find the column of times: dates, or seconds or milliseconds since 1970.

    Raises:
        CatalogError: there is none.
    """
    return _required(events, taken, "timestamp", _are_times)


def rating_column(events: TableProfile, taken: Sequence[str]) -> str | None:
    """Find the column of ratings; None if there is none."""
    for column in _free(events, taken):
        few = len(column.counts) <= _MOST_RATINGS and column.kind in ("integer", "real")
        if few and _is_named(column, "rating"):
            return column.name
    return None


def year_column(items: TableProfile, taken: Sequence[str]) -> str | None:
    """Find the column with the year of an item; None if there is none."""
    for column in _free(items, taken):
        named = column.kind == "integer" and _is_named(column, "year")
        if named and all(int(value) in _YEARS for value in column.counts):
            return column.name
    return None


def attribute_fault(column: ColumnProfile) -> str | None:
    """Why the users cannot be compared by groups of this column; None if they can."""
    if len(column.counts) > _MOST_GROUPS:
        return (
            f"has {len(column.counts):,} values; group them into at most {_MOST_GROUPS} bins first"
        )
    large = [count for count in column.counts.values() if count >= LEAST_USERS]
    if len(large) < 2:
        return f"fewer than two values have {LEAST_USERS} users"
    return None


def _are_times(column: ColumnProfile) -> bool:
    if column.kind == "integer":
        return all(int(value) >= _FIRST_SECOND for value in column.counts)
    return column.kind == "date"


def _free(table: TableProfile, taken: Sequence[str]) -> list[ColumnProfile]:
    return [one for one in table.columns.values() if one.name not in taken and one.n_filled]


def _required(
    table: TableProfile, taken: Sequence[str], role: str, fits: Callable[[ColumnProfile], bool]
) -> str:
    fitting = [one for one in _free(table, taken) if fits(one)]
    if fitting:
        return max(fitting, key=lambda one: _is_named(one, role)).name
    usual = ", ".join(_names()[role][:3])
    raise CatalogError(
        f"{table.path} has no column that looks like a {role.removesuffix('_id')} column. "
        f"Columns: {', '.join(table.columns)}. Rename the right column to a usual name, such as "
        f"{usual}."
    )
