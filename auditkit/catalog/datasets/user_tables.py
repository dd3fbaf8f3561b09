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

import contextlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets.column_values import id_text
from auditkit.catalog.datasets.data_description import Cuts, ShippedData, TableDescription
from auditkit.catalog.datasets.download import cache_dir, get_dataset
from auditkit.catalog.datasets.event_table import read_events
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.catalog.datasets.stored_data import DATA_FORMAT_VERSION, open_stored, store
from auditkit.catalog.datasets.user_attributes import read_attributes
from auditkit.catalog.interactions import Interactions
from auditkit.catalog.sources.table_batches import ATOMIC
from auditkit.catalog.sources.table_reader import parse_items
from auditkit.catalog.sources.unknown_cells import UnknownCells
from auditkit.errors import CatalogError
from auditkit.serialization.atomic_files import sha256_file
from auditkit.serialization.canonical_json import sha256_json
from auditkit.serialization.named_files import resolve_named_files
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = ["load_own_data", "open_dataset"]

_NO_ID = re.compile(r"[\s<>\\]")  # characters that would make an item token ambiguous in a text


def open_dataset(name: str, *, allow_outside: bool = False) -> Dataset:
    """Open the data set of a recipe: `ml-100k`, or the path of a file that describes your data.

    Args:
        name: `ml-100k`, or the path of the file.
        allow_outside: whether the file may name tables outside its folder.

    Raises:
        CatalogError: the data are missing, damaged or not valid.
        ConfigurationError: the description is not valid.
    """
    if name == "ml-100k":
        return load_ml100k(get_dataset(name))
    path = Path(name)
    if path.suffix not in (".yaml", ".yml") and path.exists():
        raise CatalogError(
            f"{name} is a table, not a data set. Write a YAML file that names this table, the "
            "table of the items, and their columns (docs/how-to/train-your-own.md), and give the "
            "YAML file."
        )
    if path.suffix not in (".yaml", ".yml"):
        raise CatalogError(
            f"unknown data set {name!r}. Give ml-100k or the YAML file that describes your data."
        )
    return load_own_data(path, allow_outside=allow_outside)


def load_own_data(path: Path, *, allow_outside: bool = False) -> Dataset:
    """Read the data set from the tables that a description file names.

    The tables are read once. A memory-mapped copy is cached under the hash of the description and
    the tables, so a later start with unchanged files reads no table.

    Args:
        path: path of the description file.
        allow_outside: whether the description may name tables outside its folder.

    Raises:
        ConfigurationError: the description is not valid.
        CatalogError: a table is not valid.
    """
    document = load_yaml(path)
    if isinstance(document.data, dict) and "source" in document.data:
        shipped = validate(document, TypeAdapter(ShippedData))
        return _split(open_dataset(shipped.source), shipped.split, path)
    named = [[table, "file"] for table in ("interactions", "items", "users")]
    outside = resolve_named_files(
        document, named, folders=[path.parent], allow_outside=allow_outside
    )
    described = validate(document, TypeAdapter(TableDescription), others=outside)
    entry = _entry(path.parent, described)
    kept = None if entry is None else open_stored(entry)
    if kept is not None:
        return kept
    dataset = _split(_read(path.parent, described), described.split, path)
    if entry is None:
        return dataset
    with contextlib.suppress(OSError):  # without a cache, the tables are read at every start
        shutil.rmtree(entry, ignore_errors=True)  # a damaged entry is replaced
        store(dataset, entry)
    return open_stored(entry) or dataset


def _entry(folder: Path, described: TableDescription) -> Path | None:
    """Folder of the cache for these tables, named by a hash of their content; None if one cannot
    be read.
    """
    try:
        tables = [sha256_file(folder / name) for name in described.files]
    except OSError:
        return None
    key = sha256_json([described.model_dump(mode="json"), tables])
    return cache_dir() / "datasets" / f"{key[:32]}-{DATA_FORMAT_VERSION}"


def _read(folder: Path, described: TableDescription) -> Dataset:
    """Read the tables."""
    unknown = UnknownCells(strict=described.strict)
    catalog = _catalog(folder, described, unknown)
    notes = unknown.warnings(described.items.file)
    events = read_events(
        folder / described.interactions.file,
        described.interactions,
        catalog,
        items_file=described.items.file,
        strict=described.strict,
        notes=notes,
    )
    attributes: list[Mapping[str, str]] = [{}] * len(events.user_ids)
    if described.users is not None:
        attributes = read_attributes(
            folder / described.users.file,
            described.users,
            events.user_ids,
            events_file=described.interactions.file,
            strict=described.strict,
            notes=notes,
        )
    interactions = Interactions.from_rows(
        events.user_index,
        events.item_index,
        timestamp=events.timestamp,
        rating=events.rating,
        user_ids=events.user_ids,
        item_ids=catalog.ids,
        attributes=attributes,
    )
    return Dataset(catalog, interactions, tuple(notes))


def _split(dataset: Dataset, cuts: Cuts | None, path: Path) -> Dataset:
    """Apply the temporal split to the data set, if one is described."""
    if cuts is None:
        return dataset
    if cuts.validation_from >= cuts.test_from:
        raise CatalogError(f"{path}: split.validation_from must come before split.test_from.")
    moments = (cuts.validation_from, cuts.test_from)
    divided = replace(dataset.interactions, cuts=moments)
    if not len(divided.split().test):
        raise CatalogError(
            f"{path}: no user has interactions both before and after the time {cuts.test_from} "
            "(seconds since 1970). Choose another split.test_from."
        )
    return replace(dataset, interactions=divided)


def _catalog(folder: Path, described: TableDescription, unknown: UnknownCells) -> Catalog:
    columns = described.items
    given = {"id": columns.id, "title": columns.title, "genres": columns.genres}
    named = {**given, "year": columns.year}
    atomic = Path(columns.file).suffix.lower() in ATOMIC

    def rename(row: Mapping[str, object]) -> Mapping[str, object]:
        item_id = id_text(row.get(columns.id), columns.id)
        if _NO_ID.search(item_id):
            raise ValueError(f"the id {item_id!r} contains a space, <, > or a backslash")
        found = {ours: row.get(theirs) for ours, theirs in named.items() if theirs is not None}
        genres = found.get("genres")
        if atomic and isinstance(genres, str):  # RecBole separates the values of a cell by blanks
            found["genres"] = genres.split()
        return {**found, "id": item_id}

    required = [[theirs] for theirs in named.values() if theirs is not None]
    items = parse_items(folder / columns.file, required=required, unknown=unknown, rename=rename)
    return Catalog(items, name=described.name)
