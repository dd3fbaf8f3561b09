"""Knowledge graph in a duckdb file, for batches of millions of checks and scans over all items.

A single check takes about a millisecond; the SQLite store is faster for those. The file may be
untrusted, so duckdb opens it read-only, without access to other files and without extensions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.catalog.graph.query_validation import (
    Shape,
    paths_of_rows,
    validated_pairs,
    validated_paths,
    validated_triples,
)
from auditkit.catalog.graph.schema import Condition, Objects, Paths
from auditkit.errors import CatalogError, MissingDependency

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["SCHEMA_VERSION", "DuckdbFile", "DuckdbTriples", "import_duckdb"]

SCHEMA_VERSION = "1"
_AT_ONCE = 10_000

Codes = NDArray[np.int64]


def import_duckdb(path: Path) -> ModuleType:
    """Import the package duckdb.

    Raises:
        MissingDependency: duckdb is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise MissingDependency("duckdb", extra="graph", purpose=f"{path}") from None
    return duckdb


class DuckdbFile:
    """A catalog in a duckdb file, open for reading.

    Raises:
        CatalogError: the file does not exist or was not built by auditkit.
        MissingDependency: duckdb is not installed.
    """

    def __init__(self, path: Path) -> None:
        duckdb = import_duckdb(path)
        self.path, self._error = path, duckdb.Error
        closed = ("enable_external_access", "autoinstall_known_extensions")
        try:
            self._connection = duckdb.connect(
                str(path),
                read_only=True,
                config=dict.fromkeys((*closed, "autoload_known_extensions"), "false"),
            )
        except duckdb.Error as error:
            raise self._damaged(error) from None
        said = dict(self.rows("SELECT key, value FROM meta WHERE key IN ('application', 'schema')"))
        if said != {"application": "auditkit", "schema": SCHEMA_VERSION}:
            raise CatalogError(
                f"{path} is not a catalog of this version. Build it again with: auditkit catalog "
                "build"
            )

    def __reduce__(self) -> tuple[type[DuckdbFile], tuple[Path]]:
        return DuckdbFile, (self.path,)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query.

        Raises:
            CatalogError: the file is damaged.
        """
        try:
            return list(self._connection.cursor().execute(query, list(values)).fetchall())
        except self._error as error:
            raise self._damaged(error) from None

    def iterate(self, query: str, values: Sequence[object] = ()) -> Iterator[Any]:
        """Yield the rows of a query one by one, for large results."""
        try:
            found = self._connection.cursor().execute(query, list(values))
            while some := found.fetchmany(_AT_ONCE):
                yield from some
        except self._error as error:
            raise self._damaged(error) from None

    def column(self, query: str, values: Sequence[object] = ()) -> Codes:
        """Return the first column of a query as an array.

        Raises:
            CatalogError: the file is damaged.
        """
        return self.columns(query, values)[0]

    def columns(
        self, query: str, values: Sequence[object] = (), **asked: Codes
    ) -> tuple[Codes, ...]:
        """Return all columns of a query as arrays.

        Args:
            query: SQL, which may read the table `asked`.
            values: parameters of the query.
            asked: arrays that become the columns of the table `asked`.

        Raises:
            CatalogError: the file is damaged.
        """
        cursor = self._connection.cursor()
        try:
            if asked:
                cursor.register("asked", asked)
            found = cursor.execute(query, list(values)).fetchnumpy()
            return tuple(np.asarray(column).astype(np.int64) for column in found.values())
        except (self._error, ValueError, TypeError) as error:
            raise self._damaged(error) from None
        finally:
            cursor.close()

    def _damaged(self, error: Exception) -> CatalogError:
        return CatalogError(
            f"{self.path} cannot be read as a catalog ({error}). Build it again with: auditkit "
            "catalog build"
        )


class DuckdbTriples:
    """Triple store in a duckdb file.

    Args:
        file: the open file.
        shape: sizes of the graph.
        n_triples: number of triples according to the file's metadata.
    """

    def __init__(self, file: DuckdbFile, shape: Shape, n_triples: int) -> None:
        self._file, self.shape, self._n_triples = file, shape, n_triples

    def __len__(self) -> int:
        return self._n_triples

    def check(self, s: ArrayLike, p: ArrayLike, o: ArrayLike) -> NDArray[np.bool_]:
        """Whether each triple (s[i], p[i], o[i]) is in the graph, bool [triples]; False for a code
        out of range.
        """
        asked = validated_triples(self.shape, s, p, o)
        hit = np.zeros(len(asked.s), dtype=bool)
        if len(hit):
            (found,) = self._file.columns(
                "SELECT i FROM asked SEMI JOIN triples USING (s, p, o)",
                i=np.arange(len(hit)),
                s=asked.s,
                p=asked.p,
                o=asked.o,
            )
            hit[found] = True
        return (hit & asked.possible).reshape(asked.shape)

    def has(self, s: ArrayLike, p: ArrayLike) -> NDArray[np.bool_]:
        """Whether each subject s[i] has any value of predicate p[i], bool [pairs]."""
        subjects, predicates = validated_pairs(self.shape, s, p)
        hit = np.zeros(len(subjects), dtype=bool)
        if len(hit):
            (found,) = self._file.columns(
                "SELECT i FROM asked SEMI JOIN triples USING (s, p)",
                i=np.arange(len(hit)),
                s=subjects,
                p=predicates,
            )
            hit[found] = True
        return hit

    def objects(self, s: ArrayLike, p: ArrayLike) -> Objects:
        """All objects of each (subject, predicate) pair, as one ragged array."""
        subjects, predicates = validated_pairs(self.shape, s, p)
        n = len(subjects)
        i, values = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        if n:
            i, values = self._file.columns(
                "SELECT i, o FROM asked JOIN triples USING (s, p) ORDER BY i, o",
                i=np.arange(n),
                s=subjects,
                p=predicates,
            )
        ends = np.cumsum(np.bincount(i, minlength=n))
        return Objects(np.concatenate(([0], ends)).astype(np.int64), values)

    def select(self, conditions: Sequence[Condition]) -> Codes:
        """Return the catalog rows of the items that meet all conditions, ascending."""
        mask = np.ones(self.shape.items, dtype=bool)
        for condition in conditions:
            hit = np.zeros(self.shape.items, dtype=bool)
            for begin, end in condition.ranges:
                found = self._file.column(
                    "SELECT s FROM triples WHERE p = ? AND o >= ? AND o < ? AND s >= 0 AND s < ?",
                    (condition.p, begin, end, self.shape.items),
                )
                hit[found] = True
            mask &= hit if condition.present else ~hit
        return np.flatnonzero(mask)

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
        i = np.arange(len(near))
        found: list[tuple[Codes, ...]] = [(np.empty(0, dtype=np.int64),) * 4]
        if len(near):
            for x, y in ((near, far), (far, near)):
                pair, p, o = self._file.columns(
                    "SELECT i, t.p, t.o FROM asked JOIN triples t ON t.s = x AND t.o = y",
                    i=i, x=x, y=y,
                )  # fmt: skip
                found.append((pair, np.ones_like(pair), p, o))
            if max_hops == 2:
                pair, p, o = self._file.columns(
                    "WITH shared AS (SELECT i, t.p, t.o FROM asked JOIN triples t ON t.s = x "
                    "JOIN triples u ON u.s = y AND u.p = t.p AND u.o = t.o), "
                    "rare AS (SELECT p, o FROM (SELECT DISTINCT p, o FROM shared) v "
                    "JOIN triples USING (p, o) GROUP BY p, o HAVING count(*) <= ?) "
                    "SELECT i, p, o FROM shared SEMI JOIN rare USING (p, o)",
                    (max_degree if predicates is None else self._n_triples,),
                    i=i, x=near, y=far,
                )  # fmt: skip
                found.append((pair, np.full_like(pair, 2), p, o))
        pair, hops, p, o = (np.concatenate(column) for column in zip(*found, strict=True))
        if predicates is not None:
            kept = np.isin(p, np.asarray(predicates, dtype=np.int64))
            pair, hops, p, o = pair[kept], hops[kept], p[kept], o[kept]
        return paths_of_rows(len(near), pair, hops, p, o)
