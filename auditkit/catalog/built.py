"""Open a catalog that `auditkit catalog build` wrote: its items at once, its graph when asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from auditkit.catalog.catalog import Catalog, CatalogItem
from auditkit.catalog.file_terms import FileTerms, TableFile
from auditkit.catalog.graph import KnowledgeGraph
from auditkit.catalog.graph_types import KINDS, LinkState, Predicate, TripleStore, ValueType, World
from auditkit.catalog.linking import Linking
from auditkit.catalog.sqlite_graph import SqliteFile, SqliteTriples
from auditkit.catalog.triple_codes import Shape
from auditkit.errors import CatalogError

if TYPE_CHECKING:
    from auditkit.catalog.duckdb_graph import DuckdbFile

__all__ = ["built_by", "open_built", "open_graph"]

_SQLITE = b"SQLite format 3\0"
_DUCKDB = b"DUCK"


def built_by(path: Path) -> Literal["sqlite", "duckdb"] | None:
    """Which engine wrote this file; None if it is no file of either (or cannot be read)."""
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError:
        return None
    if head == _SQLITE:
        return "sqlite"
    return "duckdb" if head[8:12] == _DUCKDB else None


def open_built(path: Path) -> Catalog:
    """The catalog in a built file; an item's genres are in alphabetical order.

    Raises:
        CatalogError: the file is damaged or of another version.
    """
    file = _open(path)
    meta = _Meta(file)
    return Catalog(
        _items(file, meta.predicates),
        name=path.name,
        build_graph=partial(_graph_of, path=path),
        linking=meta.linking,
        content_sha256=meta.content_sha256,
        index_folder=path.with_name(f"{path.name}.index"),
    )


def open_graph(path: Path) -> KnowledgeGraph:
    """Only the knowledge graph of a built file.

    Raises:
        CatalogError: the file is damaged or of another version.
    """
    file = _open(path)
    meta = _Meta(file)
    starts = meta.starts
    shape = Shape(starts[1], starts[3], len(meta.predicates), starts[-1])
    store: TripleStore
    if isinstance(file, SqliteFile):
        store = SqliteTriples(file, shape, meta.n_triples)
    else:
        from auditkit.catalog.duckdb_graph import DuckdbTriples

        store = DuckdbTriples(file, shape, meta.n_triples)
    return KnowledgeGraph(
        store,
        FileTerms(file, starts),
        meta.predicates,
        warnings=meta.warnings,
        link=meta.link,
    )


def _graph_of(_: Sequence[CatalogItem], *, path: Path) -> KnowledgeGraph:
    return open_graph(path)


def _open(path: Path) -> SqliteFile | DuckdbFile:
    if built_by(path) == "duckdb":
        from auditkit.catalog.duckdb_graph import DuckdbFile

        return DuckdbFile(path)
    return SqliteFile(path)


class _Meta:
    """What a file says about itself, checked.

    Raises:
        CatalogError: something is missing or is not what it should be.
    """

    def __init__(self, file: TableFile) -> None:
        try:
            said = {str(key): str(value) for key, value in file.rows("SELECT key, value FROM meta")}
            self.content_sha256 = said["content_sha256"]
            self.link = _one_of(said["link"], LinkState)
            self.linking = _one_of(said["linking"], Linking)
            self.warnings = [str(text) for text in json.loads(said["warnings"])]
            self.n_triples = int(said["triples"])
            self.starts = tuple(int(start) for start in json.loads(said["starts"]))
            self.predicates = tuple(
                Predicate(
                    str(name),
                    _one_of(world, World),
                    label is not None,
                    _one_of(kind, ValueType),
                    None if inverse_of is None else str(inverse_of),
                )
                for name, label, world, kind, inverse_of in file.rows(
                    "SELECT name, label, world, type, inverse_of FROM predicates ORDER BY id"
                )
            )
        except (KeyError, ValueError, TypeError) as error:
            raise _damaged(file, str(error)) from None
        if len(self.starts) != len(KINDS) + 1 or list(self.starts) != sorted(self.starts):
            raise _damaged(file, "its terms are not numbered by kind")


def _one_of(value: object, choices: Any) -> Any:
    if value not in get_args(choices):
        raise ValueError(f"{value!r} is none of {', '.join(get_args(choices))}")
    return value


def _items(file: TableFile, predicates: Sequence[Predicate]) -> tuple[CatalogItem, ...]:
    """All items; equal genre lists share one tuple."""
    genre = next((code for code, p in enumerate(predicates) if p.name == "genre"), -1)
    names = {
        code: str(text)
        for code, text in file.rows(
            "SELECT id, text FROM terms WHERE id IN (SELECT DISTINCT o FROM triples WHERE p = ?)",
            (genre,),
        )
    }
    lists: dict[tuple[str, ...], tuple[str, ...]] = {}
    genres: dict[object, tuple[str, ...]] = {}
    of_items = file.rows("SELECT s, o FROM triples WHERE p = ? ORDER BY s, o", (genre,))
    for row, pairs in groupby(of_items, key=lambda pair: pair[0]):
        found = tuple(names[code] for _, code in pairs if code in names)
        genres[row] = lists.setdefault(found, found)
    aliases: dict[object, list[str]] = {}
    for row, text in file.rows("SELECT row, text FROM aliases"):
        aliases.setdefault(row, []).append(str(text))
    items = []
    for place, (row, item_id, title, year) in enumerate(
        file.rows("SELECT row, item_id, title, year FROM items ORDER BY row")
    ):
        if row != place or not (year is None or isinstance(year, int)):
            raise _damaged(file, f"item {item_id!r} is out of order or its year is no number")
        others = tuple(aliases.get(row, ()))
        items.append(CatalogItem(str(item_id), str(title), year, genres.get(row, ()), others))
    return tuple(items)


def _damaged(file: TableFile, what: str) -> CatalogError:
    return CatalogError(
        f"{file.path} cannot be read as a catalog ({what}). Build it again with: auditkit catalog "
        "build"
    )
