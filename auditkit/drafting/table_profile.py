"""Profile the columns of a table from a sample of its rows: type, number of values, lengths."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from auditkit.catalog.sources.table_batches import ABSENT, plain_cell, read_batches
from auditkit.errors import CatalogError

__all__ = ["ColumnProfile", "Kind", "TableProfile", "profile_table"]

Kind = Literal["integer", "real", "date", "text", "list", "object"]
SAMPLED_ROWS = 200_000
_INTEGER, _REAL = re.compile(r"[-+]?\d+"), re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?")
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class ColumnProfile:
    """Statistics of one column, over the sampled rows of a table.

    Attributes:
        counts: number of rows by distinct value, as text.
        kind: narrowest type that fits all values; `list` or `object` if cells have this type.
        n_filled: number of cells with a value. n_rows: number of all cells.
        mean_length: mean number of characters of a distinct value.
    """

    name: str
    counts: Counter[str]
    kind: Kind
    n_filled: int
    n_rows: int
    mean_length: float

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value that no other row has."""
        return 0 < self.n_rows == self.n_filled == len(self.counts)

    @property
    def filled(self) -> float:
        """Fraction of rows with a value."""
        return self.n_filled / self.n_rows if self.n_rows else 0.0

    @property
    def has_addresses(self) -> bool:
        """Whether the values of the column are web addresses."""
        return any(value.startswith(("http://", "https://", "www.")) for value in self.counts)


@dataclass(frozen=True)
class TableProfile:
    """The columns of a table by name, from its first `n_rows` rows."""

    path: Path
    columns: dict[str, ColumnProfile]
    n_rows: int


def profile_table(path: Path) -> TableProfile:
    """Profile the first 200,000 rows of a table.

    Args:
        path: CSV, TSV, JSON lines, Parquet, or a file of RecBole.

    Raises:
        CatalogError: the file does not exist, is not a table of these formats, or has no rows.
    """
    faults: list[str] = []
    cells: dict[str, list[object]] = {}
    n_rows = 0
    for batch in read_batches(path, faults, required=_first_column(path)):
        for name, column in batch.columns.items():
            own = cells.setdefault(name, [ABSENT] * n_rows)
            own.extend(column)
        n_rows += len(batch.lines)
        for own in cells.values():
            own.extend([ABSENT] * (n_rows - len(own)))
        if n_rows >= SAMPLED_ROWS:
            break
    if not n_rows:
        said = f" ({faults[0]})" if faults else ""
        raise CatalogError(f"{path} contains no readable row{said}. Give a table with a header.")
    named = {name: _profile(name, column) for name, column in cells.items() if name}
    return TableProfile(path, named, n_rows)


def _first_column(path: Path) -> list[Sequence[str]]:
    """The first column of a CSV file under the delimiter that gives the most columns, so that the
    reader chooses this delimiter.
    """
    if path.suffix.lower() != ".csv" or not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        line = stream.readline()
    headers = [next(csv.reader([line], delimiter=one), [""]) for one in _DELIMITERS]
    return [[max(headers, key=len)[0].strip()]]


def _profile(name: str, column: Sequence[object]) -> ColumnProfile:
    plain = [None if cell is ABSENT else plain_cell(cell) for cell in column]
    filled = [cell for cell in plain if cell is not None and cell != "" and cell != []]
    counts = Counter(str(cell).strip() for cell in filled)
    kind: Kind = "text"
    if any(isinstance(cell, dict) for cell in filled):
        kind = "object"
    elif any(isinstance(cell, list) for cell in filled):
        kind = "list"
    else:
        patterns: tuple[tuple[Kind, re.Pattern[str]], ...] = (
            ("integer", _INTEGER), ("real", _REAL), ("date", _DATE),
        )  # fmt: skip
        fitting = (k for k, p in patterns if counts and all(p.fullmatch(text) for text in counts))
        kind = next(fitting, "text")
    length = sum(map(len, counts)) / len(counts) if counts else 0.0
    return ColumnProfile(name, counts, kind, len(filled), len(column), length)
