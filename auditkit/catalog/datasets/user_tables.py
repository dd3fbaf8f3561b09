"""Load your own users, items and interactions from three tables and a file that describes them.

    version: 1
    name: my-shop
    interactions: {file: events.csv, user: user_id, item: item_id, timestamp: ts, rating: stars}
    items: {file: items.csv, id: item_id, title: name, genres: tags, year: year}
    users: {file: users.csv, id: user_id, attributes: [gender, age]}

Paths are relative to that file. Ratings and users may be left out. All errors of a table are
reported at once, with their lines. `source: ml-100k` replaces the three tables. `split:
{validation_from: SECONDS, test_from: SECONDS}` holds out the interactions after these times instead
of each user's last two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.catalog.interactions import Interactions
from auditkit.catalog.sources.table_reader import parse_items, raise_line_errors, read_rows
from auditkit.errors import CatalogError
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = ["load_own_data", "open_dataset"]


_NO_ID = re.compile(r"[\s<>\\]")  # characters that would make an item token ambiguous in a text
_LATEST = 2**53


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
    interactions: _InteractionColumns
    items: _ItemColumns
    users: _UserColumns | None = None


class _Shipped(_Described):
    source: Literal["ml-100k"]


def open_dataset(name: str) -> Dataset:
    """Open the data set of a recipe: `ml-100k`, or the path of a file that describes your data.

    Raises:
        CatalogError: data are missing, damaged or not valid.
        ConfigurationError: the description is not valid.
    """
    if name == "ml-100k":
        return load_ml100k(get_dataset(name))
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        raise CatalogError(
            f"unknown data set {name!r}. Give ml-100k or the YAML file that describes your data."
        )
    return load_own_data(path)


def load_own_data(path: Path) -> Dataset:
    """Read the data set from the tables that a description file names.

    Raises:
        ConfigurationError: the description is not valid.
        CatalogError: a table is not valid.
    """
    document = load_yaml(path)
    if isinstance(document.data, dict) and "source" in document.data:
        shipped = validate(document, TypeAdapter(_Shipped))
        return _split(open_dataset(shipped.source), shipped.split, path)
    described = validate(document, TypeAdapter(_Tables))
    catalog = _catalog(path.parent, described)
    whole = Dataset(catalog, _interactions(path.parent, described, catalog))
    return _split(whole, described.split, path)


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
    return Dataset(dataset.catalog, divided)


def _catalog(folder: Path, described: _Tables) -> Catalog:
    columns = described.items
    given = {"id": columns.id, "title": columns.title, "genres": columns.genres}
    named = {**given, "year": columns.year}

    def rename(row: Mapping[str, object]) -> Mapping[str, object]:
        item_id = _id(row, columns.id)
        if _NO_ID.search(item_id):
            raise ValueError(f"the id {item_id!r} holds a blank, <, > or a backslash")
        found = {ours: row.get(theirs) for ours, theirs in named.items() if theirs is not None}
        return {**found, "id": item_id}

    required = [[theirs] for theirs in named.values() if theirs is not None]
    items = parse_items(folder / columns.file, required=required, rename=rename)
    return Catalog(items, name=described.name)


def _interactions(folder: Path, described: _Tables, catalog: Catalog) -> Interactions:
    columns, path = described.interactions, folder / described.interactions.file
    required = [columns.user, columns.item, columns.timestamp]
    required += [columns.rating] if columns.rating else []
    faults: list[str] = []
    users: dict[str, int] = {}
    table: list[tuple[int, int, int, float]] = []
    for line, row in read_rows(path, faults, required=[[name] for name in required]):
        try:
            item = catalog.index.get(_id(row, columns.item))
            if item is None:
                raise ValueError(f"item {_id(row, columns.item)!r} is not in the items table")
            time = int(_number(row, columns.timestamp))
            if abs(time) > _LATEST:
                raise ValueError(f"{columns.timestamp} {time} is not a time in seconds")
            rating = _number(row, columns.rating) if columns.rating else 1.0
            user = users.setdefault(_id(row, columns.user), len(users))
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        table.append((user, item, time, rating))
    raise_line_errors(path, faults)
    if not table:
        raise CatalogError(f"{path} holds no interactions. Give at least one line.")
    user_index, item_index, timestamp, rating_column = zip(*table, strict=True)
    return Interactions.from_rows(
        user_index,
        item_index,
        timestamp=timestamp,
        rating=np.asarray(rating_column, dtype=np.float32),
        user_ids=list(users),
        item_ids=[item.id for item in catalog.items],
        attributes=_attributes(folder, described, users),
    )


def _attributes(
    folder: Path, described: _Tables, users: Mapping[str, int]
) -> list[Mapping[str, str]]:
    """One attribute mapping per user; a missing value is "unknown"."""
    columns = described.users
    if columns is None:
        return [{} for _ in users]
    found = [dict.fromkeys(columns.attributes, "unknown") for _ in users]
    path, faults, seen = folder / columns.file, list[str](), set[int]()
    required = [[columns.id], *([name] for name in columns.attributes)]
    for line, row in read_rows(path, faults, required=required):
        try:
            place = users.get(_id(row, columns.id))
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        if place is not None:
            if place in seen:
                faults.append(f"line {line}: user {_id(row, columns.id)!r} occurs twice")
            seen.add(place)
            values = {name: " ".join(str(row.get(name) or "").split()) for name in found[place]}
            found[place] = {name: value or "unknown" for name, value in values.items()}
    raise_line_errors(path, faults)
    return list[Mapping[str, str]](found)


def _id(row: Mapping[str, object], column: str) -> str:
    value = row.get(column)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # tables convert whole numbers to floats if a cell is empty
    text = "" if value is None or isinstance(value, bool) else str(value).strip()
    if not text:
        raise ValueError(f"empty {column}")
    return text


def _number(row: Mapping[str, object], column: str) -> float:
    try:
        number = float(str(row.get(column)).strip())
    except ValueError:
        raise ValueError(f"{column} {row.get(column)!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{column} is not finite")
    return number
