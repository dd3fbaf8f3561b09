"""Write a catalog to one SQLite file; the same content gives the same bytes.

Rows are written in key order, without a journal and without timestamps, to a temporary file in the
same folder, which is renamed when it is complete.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from auditkit.catalog.graph.array_store import OBJECT_BITS, PREDICATE_BITS
from auditkit.catalog.graph.builder import EncodedGraph
from auditkit.catalog.graph.schema import KINDS
from auditkit.catalog.graph.sqlite_store import APPLICATION_ID, SCHEMA_VERSION
from auditkit.catalog.linking.title_linker import Linking
from auditkit.catalog.storage.draft import CatalogDraft, content_sha256
from auditkit.errors import CatalogError
from auditkit.serialization.canonical_json import canonical_json

__all__ = ["described", "replacing", "rows_of_tables", "write_sqlite"]

SCHEMA = (
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE items(row INTEGER PRIMARY KEY, item_id TEXT NOT NULL, title TEXT NOT NULL, "
    "year INTEGER)",
    "CREATE TABLE aliases(row INTEGER NOT NULL, text TEXT NOT NULL)",
    "CREATE TABLE predicates(id INTEGER PRIMARY KEY, name TEXT NOT NULL, label TEXT, "
    "world TEXT NOT NULL, type TEXT NOT NULL, inverse_of TEXT)",
    "CREATE TABLE terms(id INTEGER PRIMARY KEY, text TEXT NOT NULL, kind TEXT NOT NULL, num REAL)",
    "CREATE TABLE triples(s INTEGER NOT NULL, p INTEGER NOT NULL, o INTEGER NOT NULL, "
    "PRIMARY KEY(s, p, o)) WITHOUT ROWID",
)
INDEXES = (
    "CREATE INDEX terms_text ON terms(text)",
    "CREATE INDEX triples_pos ON triples(p, o, s)",
)
_CHUNK = 1 << 16

Rows = Iterable[tuple[object, ...]]


def write_sqlite(
    path: Path,
    draft: CatalogDraft,
    encoded: EncodedGraph,
    *,
    linking: Linking = "auto",
    progress: Callable[[int], None] = lambda n: None,
) -> None:
    """Write a SQLite catalog file atomically.

    Args:
        path: the file; it is replaced if it exists.
        draft: the items and sources.
        encoded: the draft's graph.
        linking: strictness of title linking when the file is opened.
        progress: called with the number of triples written since the last call.

    Raises:
        CatalogError: the file cannot be written.
    """
    with replacing(path) as unfinished:
        connection = sqlite3.connect(unfinished, isolation_level=None)
        try:
            for pragma in (
                "page_size = 4096", "journal_mode = OFF", "synchronous = OFF",
                "locking_mode = EXCLUSIVE", "cache_size = -32768", "temp_store = FILE",
                f"application_id = {APPLICATION_ID}", f"user_version = {SCHEMA_VERSION}",
            ):  # fmt: skip
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN")
            for statement in SCHEMA:
                connection.execute(statement)
            for table, rows in rows_of_tables(draft, encoded, linking).items():
                first = next(rows := iter(rows), None)
                if first is not None:
                    marks = ",".join("?" * len(first))
                    insert = f"INSERT INTO {table} VALUES ({marks})"
                    connection.execute(insert, first)
                    connection.executemany(insert, rows)
            for begin in range(0, len(encoded.keys), _CHUNK):
                chunk = encoded.keys[begin : begin + _CHUNK]
                s, rest = chunk >> (PREDICATE_BITS + OBJECT_BITS), chunk >> OBJECT_BITS
                p, o = rest & ((1 << PREDICATE_BITS) - 1), chunk & ((1 << OBJECT_BITS) - 1)
                connection.executemany(
                    "INSERT INTO triples VALUES (?, ?, ?)",
                    zip(s.tolist(), p.tolist(), o.tolist(), strict=True),
                )
                progress(len(chunk))
            for statement in INDEXES:
                connection.execute(statement)
            connection.execute("COMMIT")
            # Pages filled row by row are 88 % full; copying in bulk fills them completely.
            connection.execute("VACUUM")
        except sqlite3.Error as error:
            raise CatalogError(
                f"{path} cannot be written ({error}). Check the free space of its folder and of "
                "the folder for temporary files."
            ) from None
        finally:
            connection.close()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file that replaces `path` if the block succeeds, and is deleted otherwise.

    Raises:
        CatalogError: the folder cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # `mkstemp` ignores the umask and makes files that only the owner can read.
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        yield unfinished
        try:
            unfinished.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> CatalogError:
    return CatalogError(f"{path} cannot be written ({error.strerror}). Give another --out.")


def rows_of_tables(draft: CatalogDraft, encoded: EncodedGraph, linking: Linking) -> dict[str, Rows]:
    """Rows of every table except `triples`, by table name; rows are sorted by primary key."""
    return {
        "meta": sorted(described(draft, encoded, linking).items()),
        "items": (
            (row, item_id, title, year or None)
            for row, (item_id, title, year) in enumerate(
                zip(draft.ids, draft.titles, draft.years, strict=True)
            )
        ),
        "aliases": ((row, text) for row in sorted(draft.aliases) for text in draft.aliases[row]),
        "predicates": (
            (
                code,
                p.name,
                p.name.replace("_", " ") if p.labeled else None,
                p.world,
                p.type,
                p.inverse_of,
            )
            for code, p in enumerate(encoded.predicates)
        ),
        "terms": _terms(draft, encoded),
    }


def _terms(draft: CatalogDraft, encoded: EncodedGraph) -> Rows:
    first_number = encoded.starts[KINDS.index("number")]
    yield from ((row, item_id, "item", None) for row, item_id in enumerate(draft.ids))
    for kind, begin, end in zip(KINDS[1:], encoded.starts[1:], encoded.starts[2:], strict=False):
        for code in range(begin, end):
            text = encoded.texts[code - len(draft)]
            number = encoded.numbers[code - first_number].item() if code >= first_number else None
            yield (code, text, kind, number)


def described(draft: CatalogDraft, encoded: EncodedGraph, linking: Linking) -> dict[str, str]:
    """Keys and values of the table `meta`, which contains sources, warnings, the content hash and
    others.
    """
    return {
        "agreement": canonical_json(draft.agreement),
        "content_sha256": content_sha256(draft, encoded),
        **({} if draft.domain is None else {"domain": draft.domain}),
        "link": draft.link,
        "linking": linking,
        "sources": canonical_json([source.as_json() for source in draft.sources]),
        "starts": canonical_json(encoded.starts),
        "triples": str(len(encoded.keys)),
        **({"variants": canonical_json(draft.variants)} if draft.variants else {}),
        "warnings": canonical_json([*draft.warnings, *encoded.warnings]),
    }
