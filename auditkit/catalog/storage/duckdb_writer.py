"""Write a catalog to a duckdb file with the tables of the SQLite file, in bulk.

duckdb compresses in parallel, so the bytes of the file may differ between runs. Equal content has
an equal `content_sha256`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path

import numpy as np

from auditkit.catalog.graph.array_store import OBJECT_BITS, PREDICATE_BITS
from auditkit.catalog.graph.builder import EncodedGraph
from auditkit.catalog.graph.duckdb_store import SCHEMA_VERSION, import_duckdb
from auditkit.catalog.linking.title_linker import Linking
from auditkit.catalog.storage.draft import CatalogDraft
from auditkit.catalog.storage.sqlite_writer import replacing, rows_of_tables
from auditkit.errors import CatalogError

__all__ = ["write_duckdb"]

SCHEMA = {
    "meta": "key VARCHAR, value VARCHAR",
    "items": "row INTEGER, item_id VARCHAR, title VARCHAR, year SMALLINT",
    "aliases": "row INTEGER, text VARCHAR",
    "predicates": "id INTEGER, name VARCHAR, label VARCHAR, world VARCHAR, type VARCHAR, "
    "inverse_of VARCHAR",
    "terms": "id INTEGER, text VARCHAR, kind VARCHAR, num DOUBLE",
    "triples": "s INTEGER, p INTEGER, o INTEGER",
}
_AT_ONCE = 1 << 16
_TRIPLES_AT_ONCE = 1 << 18


def write_duckdb(
    path: Path,
    draft: CatalogDraft,
    encoded: EncodedGraph,
    *,
    linking: Linking = "auto",
    progress: Callable[[int], None] = lambda n: None,
) -> None:
    """Write a duckdb catalog file atomically; for the arguments see `write_sqlite`.

    Raises:
        CatalogError: the file cannot be written.
        MissingDependency: duckdb is not installed.
    """
    duckdb = import_duckdb(path)
    with replacing(path) as unfinished:
        unfinished.unlink()  # duckdb does not open an empty file
        try:
            with duckdb.connect(str(unfinished)) as connection:
                for table, columns in SCHEMA.items():
                    connection.execute(f"CREATE TABLE {table}({columns})")
                for table, rows in rows_of_tables(draft, encoded, linking).items():
                    own = [("application", "auditkit"), ("schema", SCHEMA_VERSION)]
                    left = iter(chain(own, rows) if table == "meta" else rows)
                    while some := list(islice(left, _AT_ONCE)):
                        names = [column.split()[0] for column in SCHEMA[table].split(", ")]
                        cells = zip(*some, strict=True)
                        asked = {n: _array(c) for n, c in zip(names, cells, strict=True)}
                        connection.register("asked", asked)
                        connection.execute(f"INSERT INTO {table} SELECT * FROM asked")
                        connection.unregister("asked")
                for begin in range(0, len(encoded.keys), _TRIPLES_AT_ONCE):
                    keys = encoded.keys[begin : begin + _TRIPLES_AT_ONCE]
                    asked = {
                        "s": (keys >> (PREDICATE_BITS + OBJECT_BITS)).astype(np.int32),
                        "p": ((keys >> OBJECT_BITS) & ((1 << PREDICATE_BITS) - 1)).astype(np.int32),
                        "o": (keys & ((1 << OBJECT_BITS) - 1)).astype(np.int32),
                    }
                    connection.register("asked", asked)
                    connection.execute("INSERT INTO triples SELECT * FROM asked")
                    connection.unregister("asked")
                    progress(len(keys))
        except duckdb.Error as error:
            raise CatalogError(
                f"{path} cannot be written ({error}). Check the free space of its folder."
            ) from None


def _array(cells: tuple[object, ...]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return column
