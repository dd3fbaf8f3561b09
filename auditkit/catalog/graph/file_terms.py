"""Texts and numeric values of the terms of a catalog file, by code, read on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.graph.builder import is_text
from auditkit.errors import CatalogError

__all__ = ["FileTerms", "TableFile"]

_IN_ONE_QUERY = 500


class TableFile(Protocol):
    """An open catalog file, in SQLite or duckdb."""

    @property
    def path(self) -> Path:
        """Path of the file."""
        ...

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return all rows of a query.

        Raises:
            CatalogError: the file is damaged.
        """
        ...

    def iterate(self, query: str, values: Sequence[object] = ()) -> Iterator[tuple[object, ...]]:
        """Yield the rows of a query one by one, for large results.

        Raises:
            CatalogError: the file is damaged.
        """
        ...

    def column(self, query: str, values: Sequence[object] = ()) -> NDArray[np.int64]:
        """Return the first column of a query as an array.

        Raises:
            CatalogError: the file is damaged, or the column has values other than integers.
        """
        ...


class FileTerms:
    """Texts and numeric values of the terms of a catalog file, by code."""

    def __init__(self, file: TableFile, starts: tuple[int, ...]) -> None:
        self._file, self._starts = file, starts

    @property
    def starts(self) -> tuple[int, ...]:
        """First code of each kind of term, then the total number of terms."""
        return self._starts

    def codes(self, text: str) -> list[int]:
        """Codes of all terms with this text."""
        if not is_text(text):
            return []
        query = "SELECT id FROM terms WHERE text = ? ORDER BY id"
        found: list[int] = self._file.column(query, (text,)).tolist()
        return found

    def texts(self, codes: Sequence[int]) -> list[str]:
        """Item id, name or value of each code."""
        texts = [text for text, _ in self._of(codes)]
        if not all(isinstance(text, str) for text in texts):
            raise CatalogError(
                f"{self._file.path} has a term that is not a string. Build it again with: "
                "auditkit catalog build"
            )
        return [str(text) for text in texts]

    def numbers(self, codes: Sequence[int]) -> list[float | None]:
        """Numeric value of each code; None if the term is not a number."""
        return [number if isinstance(number, float) else None for _, number in self._of(codes)]

    def _of(self, codes: Sequence[int]) -> list[tuple[object, object]]:
        found: dict[object, tuple[object, object]] = {}
        for begin in range(0, len(codes), _IN_ONE_QUERY):
            some = [int(code) for code in codes[begin : begin + _IN_ONE_QUERY]]
            marks = ",".join("?" * len(some))
            query = f"SELECT id, text, num FROM terms WHERE id IN ({marks})"
            found |= {code: (text, number) for code, text, number in self._file.rows(query, some)}
        missing = next((code for code in codes if code not in found), None)
        if missing is not None:
            raise CatalogError(
                f"{self._file.path} has no term {missing}. Build it again with: auditkit catalog "
                "build"
            )
        return [found[code] for code in codes]
