"""Load your own users, items and interactions from three tables and a file that describes them.

    version: 1
    name: my-shop
    interactions: {file: events.csv, user: user_id, item: item_id, timestamp: ts, rating: stars}
    items: {file: items.csv, id: item_id, title: name, genres: tags, year: year}
    users: {file: users.csv, id: user_id, attributes: [gender, age]}

Paths are relative to that file and do not leave its folder, unless that is allowed. Ratings and
users may be left out. All errors of a table are reported at once, with their lines. A cell that
cannot be read is unknown and counted, as are rows that name no item; `strict: true` makes them
errors. `source: ml-100k` replaces the three tables. `split: {validation_from: SECONDS, test_from:
SECONDS}` holds out the interactions after these times instead of each user's last two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.catalog.graph.builder import is_text
from auditkit.catalog.interactions import Interactions
from auditkit.catalog.sources.cell_values import WrittenNumber
from auditkit.catalog.sources.joins import Join
from auditkit.catalog.sources.table_reader import (
    ATOMIC,
    parse_items,
    raise_line_errors,
    read_rows,
)
from auditkit.catalog.sources.unknown_cells import SENTINELS, UnknownCells
from auditkit.errors import CatalogError
from auditkit.serialization.named_files import resolve_named_files
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = ["load_own_data", "open_dataset"]


_NO_ID = re.compile(r"[\s<>\\]")  # characters that would make an item token ambiguous in a text
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LATEST = 2**53
_LARGEST = float(np.finfo(np.float32).max)  # ratings are stored in this precision


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _InteractionColumns(_Section):
    file: str
    user: str = "user"
    item: str = "item"
    timestamp: str = "timestamp"
    rating: str | None = None


class _ItemColumns(_Section):
    file: str
    id: str = "id"
    title: str = "title"
    genres: str | None = None
    year: str | None = None


class _UserColumns(_Section):
    file: str
    id: str = "id"
    attributes: list[str] = []


class _Cuts(_Section):
    validation_from: int
    test_from: int


class _Described(_Section):
    version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    split: _Cuts | None = None


class _Tables(_Described):
    strict: bool = False
    interactions: _InteractionColumns
    items: _ItemColumns
    users: _UserColumns | None = None


class _Shipped(_Described):
    source: Literal["ml-100k"]


def open_dataset(name: str, *, allow_outside: bool = False) -> Dataset:
    """Open the data set of a recipe: `ml-100k`, or the path of a file that describes your data.

    Args:
        name: the name or the path.
        allow_outside: whether the file may name tables outside its folder.

    Raises:
        CatalogError: data are missing, damaged or not valid.
        ConfigurationError: the description is not valid.
    """
    if name == "ml-100k":
        return load_ml100k(get_dataset(name))
    path = Path(name)
    if path.suffix not in (".yaml", ".yml") and path.exists():
        raise CatalogError(
            f"the data set {name} is not a YAML file. Write a YAML file that names this table and "
            "that of the items, with their columns (docs/how-to/train-your-own.md), and give that."
        )
    if path.suffix not in (".yaml", ".yml"):
        raise CatalogError(
            f"unknown data set {name!r}. Give ml-100k or the YAML file that describes your data."
        )
    return load_own_data(path, allow_outside=allow_outside)


def load_own_data(path: Path, *, allow_outside: bool = False) -> Dataset:
    """Read the data set from the tables that a description file names.

    Args:
        path: the description.
        allow_outside: whether it may name tables outside its folder.

    Raises:
        ConfigurationError: the description is not valid.
        CatalogError: a table is not valid.
    """
    document = load_yaml(path)
    if isinstance(document.data, dict) and "source" in document.data:
        shipped = validate(document, TypeAdapter(_Shipped))
        return _split(open_dataset(shipped.source), shipped.split, path)
    named = [[table, "file"] for table in ("interactions", "items", "users")]
    outside = resolve_named_files(
        document, named, folders=[path.parent], allow_outside=allow_outside
    )
    described = validate(document, TypeAdapter(_Tables), others=outside)
    unknown = UnknownCells(strict=described.strict)
    catalog = _catalog(path.parent, described, unknown)
    notes = unknown.warnings(described.items.file)
    interactions = _interactions(path.parent, described, catalog, notes)
    return _split(Dataset(catalog, interactions, tuple(notes)), described.split, path)


def _split(dataset: Dataset, cuts: _Cuts | None, path: Path) -> Dataset:
    """Apply the temporal split to the data set, if one is described."""
    if cuts is None:
        return dataset
    if cuts.validation_from >= cuts.test_from:
        raise CatalogError(f"{path}: split.validation_from must come before split.test_from.")
    moments = (cuts.validation_from, cuts.test_from)
    divided = replace(dataset.interactions, cuts=moments)
    if not len(divided.split().test):
        raise CatalogError(
            f"{path}: no user has interactions both before and after {cuts.test_from} seconds. "
            "Choose another split.test_from."
        )
    return replace(dataset, interactions=divided)


def _catalog(folder: Path, described: _Tables, unknown: UnknownCells) -> Catalog:
    columns = described.items
    given = {"id": columns.id, "title": columns.title, "genres": columns.genres}
    named = {**given, "year": columns.year}
    atomic = Path(columns.file).suffix.lower() in ATOMIC

    def rename(row: Mapping[str, object]) -> Mapping[str, object]:
        item_id = _id(row, columns.id)
        if _NO_ID.search(item_id):
            raise ValueError(f"the id {item_id!r} holds a blank, <, > or a backslash")
        found = {ours: row.get(theirs) for ours, theirs in named.items() if theirs is not None}
        genres = found.get("genres")
        if atomic and isinstance(genres, str):  # RecBole separates the values of a cell by blanks
            found["genres"] = genres.split()
        return {**found, "id": item_id}

    required = [[theirs] for theirs in named.values() if theirs is not None]
    items = parse_items(folder / columns.file, required=required, unknown=unknown, rename=rename)
    return Catalog(items, name=described.name)


def _interactions(
    folder: Path, described: _Tables, catalog: Catalog, notes: list[str]
) -> Interactions:
    """Read the interactions; rows without a known item, time or rating are counted and left out."""
    columns, path = described.interactions, folder / described.interactions.file
    required = [columns.user, columns.item, columns.timestamp]
    required += [columns.rating] if columns.rating else []
    faults: list[str] = []
    unknown = UnknownCells(strict=described.strict)
    items = Join(path.name, described.items.file, "items", strict=described.strict)
    times = _Times()
    users: dict[str, int] = {}
    table: list[tuple[int, int, int, float]] = []
    for line, row in read_rows(path, faults, required=[[name] for name in required]):
        try:
            user, item_id = _id(row, columns.user), _id(row, columns.item)
            item = items.find(catalog.index, item_id, line)
            numbers = _time_and_rating(row, columns, unknown, line, times)
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        if item is not None and numbers is not None:
            table.append((users.setdefault(user, len(users)), item, *numbers))
    raise_line_errors(path, faults)
    left_out = [items.report(catalog.index), *unknown.warnings(path.name)]
    notes += [*left_out, *times.notes(path.name)]
    if not table:
        why = "; ".join(filter(None, left_out)) or "it has no line below the header"
        raise CatalogError(f"{path} has no usable interaction: {why}. Give at least one line.")
    user_index, item_index, timestamp, rating_column = zip(*table, strict=True)
    return Interactions.from_rows(
        user_index,
        item_index,
        timestamp=timestamp,
        rating=np.asarray(rating_column, dtype=np.float32),
        user_ids=list(users),
        item_ids=[item.id for item in catalog.items],
        attributes=_attributes(folder, described, users, notes),
    )


def _time_and_rating(
    row: Mapping[str, object],
    columns: _InteractionColumns,
    unknown: UnknownCells,
    line: int,
    times: _Times,
) -> tuple[int, float] | None:
    """Time in seconds and rating of an interaction; None if one of them is unknown.

    Raises:
        ValueError: a cell cannot be read, and `unknown` is strict.
    """
    found: list[float] = []
    for column in filter(None, (columns.timestamp, columns.rating)):
        if _is_unknown(row.get(column)):
            unknown.sentinel(column)
            return None
        try:
            read = times.seconds if column == columns.timestamp else _number
            found.append(read(row, column))
            if abs(found[0]) > _LATEST:
                raise ValueError(f"{columns.timestamp} {found[0]:.0f} is not a time in seconds")
        except ValueError as error:
            unknown.unreadable(column, str(error), line=line)
            return None
    return int(found[0]), found[1] if columns.rating else 1.0


class _Times:
    """Reads times in seconds and ISO dates, and counts the dates without a time zone."""

    def __init__(self) -> None:
        self._without_zone = 0

    def seconds(self, row: Mapping[str, object], column: str) -> float:
        """Seconds since 1970.

        Raises:
            ValueError: the cell is neither a number nor an ISO date.
        """
        text = str(row.get(column)).strip()
        if not _ISO_DATE.match(text):
            try:
                return _number(row, column)
            except ValueError as error:
                raise ValueError(f"{error} of seconds and no ISO date such as 2024-03-01") from None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{column} {text[:40]!r} is not a valid ISO date") from None
        if moment.tzinfo is None:
            self._without_zone += 1
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()

    def notes(self, name: str) -> list[str]:
        """A note on the dates that were read as UTC, if there are any."""
        if not self._without_zone:
            return []
        return [f"{name}: {self._without_zone} dates without a time zone are read as UTC"]


def _is_unknown(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip() in {"", *SENTINELS})


def _attributes(
    folder: Path, described: _Tables, users: Mapping[str, int], notes: list[str]
) -> list[Mapping[str, str]]:
    """One attribute mapping per user; a missing value is "unknown"."""
    columns = described.users
    if columns is None:
        return [{} for _ in users]
    found = [dict.fromkeys(columns.attributes, "unknown") for _ in users]
    path, faults = folder / columns.file, list[str]()
    unknown = UnknownCells(strict=described.strict)
    read: dict[str, int] = {}
    required = [[columns.id], *([name] for name in columns.attributes)]
    for line, row in read_rows(path, faults, required=required):
        try:
            user = _id(row, columns.id)
            if user in users and user in read:
                raise ValueError(f"user {user!r} occurs twice")
            read.setdefault(user, line)
            if user in users:
                found[users[user]] = {
                    name: _attribute(row.get(name), name, unknown, line)
                    for name in columns.attributes
                }
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    raise_line_errors(path, faults)
    join = Join(described.interactions.file, columns.file, "users")
    for user in users:
        join.find(read, user, 0)
    notes += [join.report(read), *unknown.warnings(path.name)]
    return list[Mapping[str, str]](found)


def _attribute(cell: object, name: str, unknown: UnknownCells, line: int) -> str:
    """The value of an attribute; "unknown" for an empty cell, a sentinel, a list or an object.

    Raises:
        ValueError: a list or an object, and `unknown` is strict.
    """
    if isinstance(cell, list | dict):
        unknown.unreadable(name, "a list or an object", line=line)
        return "unknown"
    text = "" if cell is None else " ".join(str(cell).split())
    if text in SENTINELS:
        unknown.sentinel(name)
        return "unknown"
    return text or "unknown"


def _id(row: Mapping[str, object], column: str) -> str:
    value = row.get(column)
    if isinstance(value, list | dict):
        raise ValueError(f"{column} is a list or an object, not an id")
    if isinstance(value, WrittenNumber):
        value = value.text
    elif isinstance(value, float) and value.is_integer():
        value = int(value)  # Parquet files of pandas have floats if a cell is empty
    text = "" if value is None or isinstance(value, bool) else str(value).strip()
    if not text:
        raise ValueError(f"empty {column}")
    if not is_text(text):
        raise ValueError(f"{column} has an unpaired surrogate")
    return text


def _number(row: Mapping[str, object], column: str) -> float:
    text = str(row.get(column)).strip()
    try:
        if "_" in text:  # 1_000 is a number for Python only
            raise ValueError
        number = float(text)
    except ValueError:
        raise ValueError(f"{column} {text[:40]!r} is not a number") from None
    if not math.isfinite(number) or abs(number) > _LARGEST:
        raise ValueError(f"{column} is not finite or too large")
    return number
