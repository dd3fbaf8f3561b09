"""Open a catalog that `auditkit catalog build` wrote; the graph is opened on first use."""

from __future__ import annotations

import contextlib
import json
import os
from array import array
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, overload

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.file_terms import FileTerms, TableFile
from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.catalog.graph.query_validation import Shape
from auditkit.catalog.graph.schema import TripleStore
from auditkit.catalog.graph.sqlite_store import APPLICATION_ID, SqliteFile, SqliteTriples
from auditkit.catalog.items import CatalogItem
from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import TitleLinker
from auditkit.catalog.quality.linker_evaluation import Checkable
from auditkit.catalog.storage.metadata import (
    FileMeta,
    aliases_of,
    checked_item,
    damaged,
    item_rows,
)
from auditkit.errors import CatalogError

if TYPE_CHECKING:
    from auditkit.catalog.graph.duckdb_store import DuckdbFile

__all__ = [
    "built_by", "index_folder", "index_titles", "is_ours", "open_built", "open_for_check",
    "open_graph",
]  # fmt: skip

_SQLITE = b"SQLite format 3\0"
_DUCKDB = b"DUCK"


def built_by(path: Path) -> Literal["sqlite", "duckdb"] | None:
    """Format of this catalog file; None if it is not a catalog or cannot be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError:
        return None
    if head == _SQLITE:
        return "sqlite"
    return "duckdb" if head[8:12] == _DUCKDB else None


def is_ours(path: Path) -> bool:
    """Whether auditkit wrote this file, even if it is damaged or of another version."""
    try:
        if built_by(path) == "sqlite":
            with path.open("rb") as stream:
                return stream.read(72)[68:] == APPLICATION_ID.to_bytes(4, "big")
        return built_by(path) == "duckdb" and bool(_open(path))
    except (OSError, CatalogError):
        return False


def index_folder(path: Path) -> Path | None:
    """Folder of a file's title index; None if a folder that auditkit did not write is there."""
    folder = path.with_name(f"{path.name}.index")
    try:
        said = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        return folder if isinstance(said, dict) and {"recipe", "source"} <= said.keys() else None
    except (OSError, ValueError, RecursionError):
        return folder if _is_free(folder) else None


def _is_free(folder: Path) -> bool:
    """Whether the path does not exist or is an empty folder."""
    try:
        return not os.path.lexists(folder) or not any(folder.iterdir())
    except OSError:
        return False


def open_built(path: Path) -> Catalog:
    """Open the catalog of a built file; the genres of an item are in alphabetical order.

    Raises:
        CatalogError: the file is damaged or of another version.
    """
    file = _open(path)
    meta = FileMeta(file)
    return Catalog(
        _items(file, meta),
        name=path.name,
        build_graph=partial(_graph_of, path=path),
        linking=meta.linking,
        content_sha256=meta.content_sha256,
        index_folder=index_folder(path),
    )


def index_titles(path: Path) -> None:
    """Build the title index of a file and store it next to the file.

    No object per item is created. If a folder that auditkit did not write is in its place, it is
    not replaced, and the index is built at every use.

    Raises:
        CatalogError: the file is damaged or of another version.
    """
    file = _open(path)
    titles: list[str] = []
    years = array("h")
    meta = FileMeta(file)
    for _, title, year in item_rows(file):
        titles.append(title)
        years.append(year or 0)
    index = TitleIndex.build(titles, years, aliases_of(file, meta))
    folder = index_folder(path)
    if folder is not None:
        # If the folder is not writable, the index is only built again at every use.
        with contextlib.suppress(OSError):
            index.save(folder, source=meta.content_sha256)


def open_for_check(path: Path) -> Checkable:
    """Open a built file for the check of the title linker, without an object per item.

    Raises:
        CatalogError: the file is damaged or of another version.
    """
    file = _open(path)
    meta = FileMeta(file)
    folder = index_folder(path)
    index = TitleIndex.open(folder, source=meta.content_sha256) if folder else None
    if index is None:
        return open_built(path)
    ids = [item_id for item_id, _, _ in item_rows(file)]
    if len(set(ids)) != len(ids):
        raise damaged(file, "an item id occurs twice")
    linker = TitleLinker(ids, index, linking=meta.linking)
    return _OfFile(_FileItems(file, len(ids)), linker, meta.content_sha256)


class _OfFile(NamedTuple):
    items: Sequence[CatalogItem]
    linker: TitleLinker
    fingerprint: str


class _FileItems(Sequence[CatalogItem]):
    """Items with id, title and year only, which are read from the file on access."""

    def __init__(self, file: TableFile, n: int) -> None:
        self._file, self._n = file, n

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, row: int) -> CatalogItem: ...
    @overload
    def __getitem__(self, row: slice) -> list[CatalogItem]: ...
    def __getitem__(self, row: int | slice) -> CatalogItem | list[CatalogItem]:
        if isinstance(row, slice):
            return [self[place] for place in range(*row.indices(self._n))]
        query = "SELECT row, item_id, title, year FROM items WHERE row = ?"
        found = self._file.rows(query, (int(row),))
        if not found:
            raise IndexError(row)
        return CatalogItem(*checked_item(self._file, int(row), *found[0]))


def open_graph(path: Path) -> KnowledgeGraph:
    """Open only the knowledge graph of a built file.

    Raises:
        CatalogError: the file is damaged or of another version.
    """
    file = _open(path)
    meta = FileMeta(file)
    starts = meta.starts
    shape = Shape(starts[1], starts[3], len(meta.predicates), starts[-1])
    store: TripleStore
    if isinstance(file, SqliteFile):
        store = SqliteTriples(file, shape, meta.n_triples)
    else:
        from auditkit.catalog.graph.duckdb_store import DuckdbTriples

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
        from auditkit.catalog.graph.duckdb_store import DuckdbFile

        return DuckdbFile(path)
    return SqliteFile(path)


def _items(file: TableFile, meta: FileMeta) -> tuple[CatalogItem, ...]:
    """Read all items; equal genre lists share one tuple."""
    genre = next((code for code, p in enumerate(meta.predicates) if p.name == "genre"), -1)
    names = {
        code: text
        for code, text in file.rows(
            "SELECT id, text FROM terms WHERE id IN (SELECT DISTINCT o FROM triples WHERE p = ?)",
            (genre,),
        )
        if isinstance(text, str)
    }
    lists: dict[tuple[str, ...], tuple[str, ...]] = {}
    genres: dict[object, tuple[str, ...]] = {}
    of_items = file.iterate("SELECT s, o FROM triples WHERE p = ? ORDER BY s, o", (genre,))
    for row, pairs in groupby(of_items, key=lambda pair: pair[0]):
        found = tuple(names[code] for _, code in pairs if code in names)
        genres[row] = lists.setdefault(found, found)
    aliases = aliases_of(file, meta)
    return tuple(
        CatalogItem(item_id, title, year, genres.get(row, ()), aliases.get(row, ()))
        for row, (item_id, title, year) in enumerate(item_rows(file))
    )
