"""Knowledge graph in one SQLite file, for single checks in microseconds with little memory.

Batches use the array store, which is read from the file for the first batch. The file may be
untrusted, so it is opened read-only with an untrusted schema, and inconsistent content is an error.
The column `label` is empty for a predicate whose values have no names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.catalog.graph.array_store import OBJECT_BITS, PREDICATE_BITS, TripleKeys
from auditkit.catalog.graph.query_validation import (
    Shape,
    validated_pairs,
    validated_paths,
    validated_triples,
)
from auditkit.catalog.graph.schema import Condition, Objects, Paths
from auditkit.errors import CatalogError

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "SqliteFile", "SqliteTriples"]

APPLICATION_ID = 0x4155444B  # "AUDK"
SCHEMA_VERSION = 1
TABLES = frozenset(("triples", "terms", "items", "aliases", "predicates", "meta"))
BATCH = 1_000
_CACHED = 100_000

Row = tuple[object, ...]
Codes = NDArray[np.int64]


class SqliteFile:
    """A catalog file, open for reading.

    Raises:
        CatalogError: the file does not exist or was not built by auditkit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise CatalogError(f"{path} does not exist. Build it with: auditkit catalog build")
        try:
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._damaged(error) from None
        for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
            self.rows(f"PRAGMA {pragma}")
        ((identity,),) = self.rows("PRAGMA application_id")
        ((version,),) = self.rows("PRAGMA user_version")
        tables = {
            name for (name,) in self.rows("SELECT name FROM sqlite_schema WHERE type='table'")
        }
        if identity != APPLICATION_ID or version != SCHEMA_VERSION or not tables >= TABLES:
            raise CatalogError(
                f"{path} is not a catalog of this version (application id {identity}, version "
                f"{version}). Build it again with: auditkit catalog build"
            )

    def __reduce__(self) -> tuple[type[SqliteFile], tuple[Path]]:
        return SqliteFile, (self.path,)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a query.

        Raises:
            CatalogError: the file is damaged.
        """
        try:
            return self._connection.execute(query, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise self._damaged(error) from None

    def iterate(self, query: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Yield the rows of a query one by one, for large results."""
        try:
            yield from self._connection.execute(query, tuple(values))
        except sqlite3.Error as error:
            raise self._damaged(error) from None

    def column(self, query: str, values: Sequence[object] = ()) -> Codes:
        """Return the first column of a query as an array.

        Raises:
            CatalogError: the file is damaged, or the column has values other than integers.
        """
        try:
            cursor = self._connection.execute(query, tuple(values))
            cursor.row_factory = _first
            return np.fromiter(cursor, dtype=np.int64)
        except (sqlite3.Error, TypeError, ValueError, OverflowError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> CatalogError:
        return CatalogError(
            f"{self.path} cannot be read as a catalog ({error}). Build it again with: auditkit "
            "catalog build"
        )


def _first(_: sqlite3.Cursor, row: Row) -> object:
    return row[0]


class SqliteTriples:
    """Triple store in a SQLite file.

    Args:
        file: the open file.
        shape: sizes of the graph.
        n_triples: number of triples according to the file's metadata.
    """

    def __init__(self, file: SqliteFile, shape: Shape, n_triples: int) -> None:
        self._file, self.shape, self._n_triples = file, shape, n_triples
        self._having: dict[int, NDArray[np.bool_]] = {}

    def __len__(self) -> int:
        return self._n_triples

    @cached_property
    def view(self) -> TripleKeys:
        """All triples as arrays in memory, for queries in batches.

        Raises:
            CatalogError: the number of triples differs from the file's metadata.
        """
        shift = PREDICATE_BITS + OBJECT_BITS
        keys = self._file.column(
            f"SELECT (s << {shift}) | (p << {OBJECT_BITS}) | o FROM triples "
            "WHERE s BETWEEN 0 AND ? AND p BETWEEN 0 AND ? AND o BETWEEN 0 AND ? "
            "ORDER BY s, p, o",
            (self.shape.subjects - 1, self.shape.predicates - 1, self.shape.terms - 1),
        )
        if len(keys) != self._n_triples or np.any(keys[1:] <= keys[:-1]):
            raise CatalogError(
                f"{self._file.path} does not contain the {self._n_triples} triples that its "
                "metadata states. Build it again with: auditkit catalog build"
            )
        return TripleKeys(keys, self.shape)

    def check(self, s: ArrayLike, p: ArrayLike, o: ArrayLike) -> NDArray[np.bool_]:
        """Whether each triple (s[i], p[i], o[i]) is in the graph, bool [triples]; False for a code
        out of range.
        """
        queried = validated_triples(self.shape, s, p, o)
        if len(queried.s) > BATCH:
            return self.view.check(s, p, o)
        query, rows = "SELECT 1 FROM triples WHERE s = ? AND p = ? AND o = ?", self._file.rows
        found = [
            possible and bool(rows(query, triple))
            for possible, triple in zip(
                queried.possible.tolist(), np.stack(queried[:3], axis=1).tolist(), strict=True
            )
        ]
        return np.asarray(found, dtype=bool).reshape(queried.shape)

    def has(self, s: ArrayLike, p: ArrayLike) -> NDArray[np.bool_]:
        """Whether each subject s[i] has any value of predicate p[i], bool [pairs]."""
        subjects, predicates = validated_pairs(self.shape, s, p)
        if len(subjects) > BATCH:
            return self.view.has(subjects, predicates)
        query = "SELECT 1 FROM triples WHERE s = ? AND p = ? LIMIT 1"
        pairs = zip(subjects.tolist(), predicates.tolist(), strict=True)
        return np.asarray([bool(self._file.rows(query, pair)) for pair in pairs], dtype=bool)

    def objects(self, s: ArrayLike, p: ArrayLike) -> Objects:
        """All objects of each (subject, predicate) pair, as one ragged array."""
        subjects, predicates = validated_pairs(self.shape, s, p)
        if len(subjects) > BATCH:
            return self.view.objects(subjects, predicates)
        query = "SELECT o FROM triples WHERE s = ? AND p = ? ORDER BY o"
        values: list[object] = []
        ends = [0]
        for pair in zip(subjects.tolist(), predicates.tolist(), strict=True):
            values += [code for (code,) in self._file.rows(query, pair)]
            ends.append(len(values))
        return Objects(np.asarray(ends, dtype=np.int64), np.asarray(values, dtype=np.int64))

    def select(self, conditions: Sequence[Condition]) -> Codes:
        """Return the catalog rows of the items that meet all conditions, ascending."""
        mask = np.ones(self.shape.items, dtype=bool)
        for condition in conditions:
            hit = np.zeros(self.shape.items, dtype=bool)
            for begin, end in condition.ranges:
                hit[self._items(condition.p, begin, end)] = True
            mask &= hit if condition.present else ~hit
        return np.flatnonzero(mask)

    def _items(self, p: int, begin: int, end: int) -> Codes | NDArray[np.bool_]:
        """Rows of the items with an object in [begin, end); for the full range, a cached mask."""
        if (begin, end) != (0, self.shape.terms):
            return self._subjects(p, begin, end)
        if p not in self._having:
            self._having[p] = np.zeros(self.shape.items, dtype=bool)
            self._having[p][self._subjects(p, begin, end)] = True
        return self._having[p]

    def _subjects(self, p: int, begin: int, end: int) -> Codes:
        """Rows of the items with an object in [begin, end), fetched as one text for speed."""
        ((rows,),) = self._file.rows(
            "SELECT group_concat(s) FROM triples "
            "WHERE p = ? AND o >= ? AND o < ? AND s >= 0 AND s < ?",
            (p, begin, end, self.shape.items),
        )
        if rows is None:
            return np.empty(0, dtype=np.int64)
        return np.fromstring(str(rows), dtype=np.int64, sep=",")

    def objects_of(self, p: int) -> Codes:
        """Codes of the distinct objects of one predicate, ascending."""
        return self._file.column("SELECT DISTINCT o FROM triples WHERE p = ? ORDER BY o", (p,))

    def paths(
        self,
        a: ArrayLike,
        b: ArrayLike,
        *,
        max_hops: int = 2,
        predicates: Sequence[int] | None = None,
        max_degree: int = 500,
    ) -> Paths:
        """Paths of one or two hops between a[i] and b[i], for every pair i."""
        near, far = validated_paths(self.shape, a, b, max_hops=max_hops, predicates=predicates)
        if len(near) > BATCH:
            return self.view.paths(
                near, far, max_hops=max_hops, predicates=predicates, max_degree=max_degree
            )
        named = None if predicates is None else set(predicates)
        found: list[tuple[int, int, int]] = []
        ends = [0]
        for x, y in zip(near.tolist(), far.tolist(), strict=True):
            ours, theirs = self._facts(x, named), self._facts(y, named)
            of_pair = {(1, p, o) for p, o in ours if o == y}
            of_pair |= {(1, p, o) for p, o in theirs if o == x}
            if max_hops == 2:
                of_pair |= {
                    (2, p, o)
                    for p, o in ours & theirs
                    if named is not None or self._degree(p, o, max_degree) <= max_degree
                }
            found += sorted(of_pair)
            ends.append(len(found))
        columns = np.asarray(found, dtype=np.int64).reshape(-1, 3).T
        return Paths(np.asarray(ends, dtype=np.int64), *columns)

    def _facts(self, s: int, predicates: set[int] | None) -> set[tuple[int, int]]:
        rows: list[tuple[int, int]] = self._file.rows(  # type: ignore[assignment]  # two columns
            "SELECT p, o FROM triples WHERE s = ?", (s,)
        )
        return {(p, o) for p, o in rows if predicates is None or p in predicates}

    @cached_property
    def _degree_of(self):  # type: ignore[no-untyped-def]  # a bounded cache of this object alone
        return lru_cache(_CACHED)(self._count)

    def _degree(self, p: int, o: int, most: int) -> int:
        """Number of subjects that have the object `o` of `p`, at most `most` + 1."""
        return int(self._degree_of(p, o, most))

    def _count(self, p: int, o: int, most: int) -> int:
        query = "SELECT count(*) FROM (SELECT 1 FROM triples WHERE p = ? AND o = ? LIMIT ?)"
        return int(str(self._file.rows(query, (p, o, most + 1))[0][0]))
