"""Open a catalog that `auditkit catalog build` wrote; the graph is opened on first use."""

from __future__ import annotations

import contextlib
import json
import os
from array import array
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.file_terms import FileTerms, TableFile
from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.catalog.graph.query_validation import Shape
from auditkit.catalog.graph.schema import TripleStore
from auditkit.catalog.graph.sqlite_store import APPLICATION_ID, SqliteFile, SqliteTriples
from auditkit.catalog.items import CatalogItem, ItemColumns
from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import TitleLinker
from auditkit.catalog.quality.linker_evaluation import Checkable
from auditkit.catalog.storage.metadata import (
    FileMeta,
    aliases_of,
    damaged,
    item_rows,
    variant_values,
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
    """Storage format of a catalog file; None if it is not a catalog or cannot be read."""
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
    """Folder for a file's title index; None if its path is taken by a folder that auditkit did not
    write.
    """
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
    """Open the catalog of a built file, in which the genres of an item are sorted alphabetically.

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
        variants=meta.variants,
        domain=meta.domain,
    )


def index_titles(path: Path) -> None:
    """Build the title index of a file and store it next to the file.

    No object per item is created. If a folder that auditkit did not write has the path of the
    index, that folder is not replaced, and the index is rebuilt at every use.

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
    index = TitleIndex.build(titles, years, aliases_of(file, meta), variant_values(file, meta))
    folder = index_folder(path)
    if folder is not None:
        # If the folder is not writable, the index is only built again at every use.
        with contextlib.suppress(OSError):
            index.save(folder, source=meta.content_sha256)


def open_for_check(path: Path) -> Checkable:
    """Open a built file to evaluate its title linker, without creating an object per item.

    Raises:
        CatalogError: the file is damaged or of another version.
    """
    file = _open(path)
    meta = FileMeta(file)
    folder = index_folder(path)
    index = TitleIndex.open(folder, source=meta.content_sha256) if folder else None
    if index is None:
        return open_built(path)
    items = ItemColumns(*_columns(file))
    if len(set(items.ids)) != len(items):
        raise damaged(file, "an item id occurs twice")
    linker = TitleLinker(items.ids, index, linking=meta.linking)
    return _OfFile(items, linker, meta.content_sha256)


class _OfFile(NamedTuple):
    items: Sequence[CatalogItem]
    linker: TitleLinker
    fingerprint: str


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


def _columns(file: TableFile) -> tuple[list[str], list[str], list[int | None]]:
    """Ids, titles and years of all items."""
    rows = list(item_rows(file))
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def _items(file: TableFile, meta: FileMeta) -> ItemColumns:
    ids, titles, years = _columns(file)
    return ItemColumns(ids, titles, years, _Genres(file, meta), aliases_of(file, meta))


class _Genres:
    """The genres of a row, in alphabetical order; all are read at the first call."""

    def __init__(self, file: TableFile, meta: FileMeta) -> None:
        self._file, self._n_items = file, meta.n_items
        self._genre = next((i for i, p in enumerate(meta.predicates) if p.name == "genre"), -1)

    def __call__(self, row: int) -> tuple[str, ...]:
        starts, codes, names = self._stored
        return tuple(names[code] for code in codes[starts[row] : starts[row + 1]])

    @cached_property
    def _stored(self) -> tuple[list[int], list[int], dict[int, str]]:
        """Start of every row's codes, all codes in order of rows, and the texts of the codes."""
        where, of = "FROM triples WHERE p = ? AND s >= 0 AND s < ?", (self._genre, self._n_items)
        names = {
            code: text
            for code, text in self._file.rows(
                f"SELECT id, text FROM terms WHERE id IN (SELECT DISTINCT o {where})", of
            )
            if isinstance(code, int) and isinstance(text, str)
        }
        rows = self._file.column(f"SELECT s {where} ORDER BY o, s", of)  # in the index's order
        codes = self._file.column(f"SELECT o {where} ORDER BY o, s", of)
        order = np.argsort(rows, kind="stable")
        order = order[np.isin(codes[order], list(names))]
        starts = np.searchsorted(rows[order], np.arange(self._n_items + 1))
        return starts.tolist(), codes[order].tolist(), names
