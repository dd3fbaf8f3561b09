"""Read a CSV, TSV, JSON-lines or Parquet file in batches of rows, by column.

The rows of a batch are read and turned into columns by compiled code (`csv`, `json`, duckdb and
`zip`), so a table of 50 million rows is read without a Python statement per row; only batches with
errors are processed row by row.

The cells of a CSV file are separated by commas, or by semicolons or tabs if only these give the
required columns. A `.inter`, `.item` or `.user` file of RecBole is a TSV file whose column names
end with a type. A quote in a CSV file must be closed at the end of its cell, because an open quote
would include the following rows. In a TSV file, titles such as `"Weird Al" Show` are not escaped, a
tab or a line end is never part of a cell, and quotes are removed only around a whole cell.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import decimal
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain, islice, repeat
from operator import methodcaller
from pathlib import Path
from typing import NamedTuple, TextIO

from auditkit.catalog.sources.cell_values import WrittenNumber
from auditkit.errors import CatalogError, MissingDependency
from auditkit.serialization.canonical_json import read_json

__all__ = ["ABSENT", "ATOMIC", "Batch", "plain_cell", "read_batches"]

ATOMIC = (".inter", ".item", ".user")  # files of RecBole
ROWS_AT_ONCE = 1 << 16
_DELIMITERS = (",", ";", "\t")
_QUOTED_CELL = re.compile(r'"((?:[^"]|"")*)"')
_LINE_END = re.compile(r"\r\n|\r|\n")


class _Absent:
    """Marks a key that an object of a JSON-lines file does not have."""


ABSENT = _Absent()


class Batch(NamedTuple):
    """Adjacent rows of a table.

    Attributes:
        lines: line number of every row; row number in a Parquet file.
        columns: cells by column name, one cell per row; `ABSENT` where a JSON object lacks the key.
            Cells of a Parquet file have the types that duckdb returns, see `plain_cell`.
    """

    lines: Sequence[int]
    columns: Mapping[str, Sequence[object]]


def read_batches(
    path: Path,
    faults: list[str],
    *,
    required: Sequence[Sequence[str]],
    spelling: Callable[[str], str] = lambda name: name,
    wanted: Collection[str] | None = None,
) -> Iterator[Batch]:
    """Yield the non-empty rows of a table.

    Lines that cannot be read as a row are added to `faults`.

    Args:
        path: CSV, TSV, JSON lines, or Parquet.
        faults: list to which errors are added.
        required: for each required column, its possible names.
        spelling: pure function from a column name in the file to the name to return.
        wanted: names of the columns that are returned; None for all.

    Raises:
        CatalogError: the file does not exist, is not UTF-8, lacks a column, or has a column twice.
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        yield from _parquet(path, required, spelling, wanted)
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            if kind in (".jsonl", ".ndjson"):
                yield from _json_lines(stream, faults, spelling, wanted)
            else:
                untyped = _untyped(spelling) if kind in ATOMIC else spelling
                if kind == ".tsv" or kind in ATOMIC:
                    rows = _tabbed(stream)
                else:
                    rows = _quoted(stream, _delimiter(stream, required, spelling), faults)
                yield from _separated(path, rows, faults, required, untyped, wanted)
    except OSError as error:
        raise CatalogError(
            f"{path} cannot be read ({error.strerror}). Give a CSV or JSON-lines file."
        ) from None
    except UnicodeDecodeError:
        raise CatalogError(
            f"{path} is not UTF-8 (line {_first_undecodable(path)}). Save it as UTF-8."
        ) from None


def plain_cell(value: object) -> object:
    """Convert a cell of a Parquet file to a JSON type; NaN becomes an empty cell."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        value = WrittenNumber(format(value, "f"))
    return None if value != value else value


def _first_undecodable(path: Path) -> int:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 0


# --- JSON lines

_parse = partial(read_json, parse_float=WrittenNumber)


def _json_lines(
    stream: TextIO,
    faults: list[str],
    spelling: Callable[[str], str],
    wanted: Collection[str] | None,
) -> Iterator[Batch]:
    spelled, first = cache(spelling), 1
    while contents := list(islice(stream, ROWS_AT_ONCE)):
        numbers: Sequence[int] = range(first, first + len(contents))
        first += len(contents)
        if not all(map(str.strip, contents)):
            pairs = [(n, c) for n, c in zip(numbers, contents, strict=True) if c.strip()]
            numbers, contents = [n for n, _ in pairs], [c for _, c in pairs]
        try:
            rows = list(map(_parse, contents))
        except ValueError:
            rows = []
        names = list(dict.fromkeys(chain.from_iterable(rows))) if _all_objects(rows) else []
        if len(rows) != len(contents) or not names or len(set(map(spelled, names))) < len(names):
            numbers, rows = _objects(numbers, contents, faults, spelled)
            names = list(dict.fromkeys(chain.from_iterable(rows)))
            kept = {name: name for name in names}
        else:
            kept = {spelled(name): name for name in names}
        columns = {
            ours: list(map(dict.get, rows, repeat(theirs), repeat(ABSENT)))
            for ours, theirs in kept.items()
            if wanted is None or ours in wanted
        }
        if rows:
            yield Batch(numbers, columns)


def _all_objects(rows: Sequence[object]) -> bool:
    return set(map(type, rows)) == {dict}


def _objects(
    numbers: Sequence[int],
    contents: Sequence[str],
    faults: list[str],
    spelled: Callable[[str], str],
) -> tuple[list[int], list[dict[str, object]]]:
    """Line numbers and objects of the lines that can be read, with their spelled keys."""
    lines, found = [], []
    for line, content in zip(numbers, contents, strict=True):
        try:
            row = _parse(content)
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        if not isinstance(row, dict):
            faults.append(f"line {line}: not a JSON object")
            continue
        named = {spelled(name): cell for name, cell in row.items()}
        if len(named) != len(row):
            faults.append(f"line {line}: two keys that differ only in case")
            continue
        lines.append(line)
        found.append(named)
    return lines, found


# --- CSV and TSV

_Rows = tuple[Sequence[int], list[list[str]]]


def _separated(
    path: Path,
    batches: Iterator[_Rows],
    faults: list[str],
    required: Sequence[Sequence[str]],
    spelling: Callable[[str], str],
    wanted: Collection[str] | None,
) -> Iterator[Batch]:
    """Turn rows into columns; the first row is the header."""
    header: list[str] | None = None
    for lines, rows in batches:
        if header is None:
            header = _header(path, rows[0], required, spelling)
            lines, rows = lines[1:], rows[1:]
        if set(map(len, rows)) != {len(header)} or not all(map(str.strip, map("".join, rows))):
            lines, rows = _of_width(len(header), lines, rows, faults)
        if rows:
            columns = zip(header, zip(*rows, strict=True), strict=True)
            yield Batch(
                lines, {name: own for name, own in columns if wanted is None or name in wanted}
            )
    if header is None and not faults:
        _header(path, [], required, spelling)


def _of_width(
    n: int, lines: Sequence[int], rows: Sequence[list[str]], faults: list[str]
) -> tuple[list[int], list[list[str]]]:
    """The rows that are not empty and have n cells, with their lines."""
    kept = []
    for line, cells in zip(lines, rows, strict=True):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != n:
            faults.append(f"line {line}: {len(cells)} cells, the header has {n}")
        else:
            kept.append((line, cells))
    return [line for line, _ in kept], [cells for _, cells in kept]


def _untyped(spelling: Callable[[str], str]) -> Callable[[str], str]:
    """Spell a column name without the type that RecBole appends, as in `user_id:token`."""
    return lambda name: spelling(name.rpartition(":")[0] or name)


def _delimiter(
    stream: TextIO, required: Sequence[Sequence[str]], spelling: Callable[[str], str]
) -> str:
    """The separator with which the first line has the required columns; a comma if none does."""
    first = stream.readline()
    stream.seek(0)
    for delimiter in _DELIMITERS:
        with contextlib.suppress(csv.Error):
            cells = next(csv.reader([first], delimiter=delimiter), [])
            header = {spelling(name.strip()) for name in cells}
            if all(set(names) & header for names in required):
                return delimiter
    return ","


def _quoted(stream: TextIO, delimiter: str, faults: list[str]) -> Iterator[_Rows]:
    """Yield the rows of a CSV file with the line on which each begins."""
    reader = csv.reader(stream, strict=True, delimiter=delimiter)
    error: csv.Error | None = None
    while error is None:
        first, rows = reader.line_num + 1, list[list[str]]()
        try:
            rows.extend(islice(reader, ROWS_AT_ONCE))
        except csv.Error as caught:  # the rows before it are in the list
            error = caught
        lines, after = _begins(first, rows, reader.line_num)
        if error is not None:
            faults.append(
                f"line {after}: {error} (the row that begins here was read as far as line "
                f"{reader.line_num}; does every quoted cell end with a quote?)"
            )
        if not rows:
            return
        yield lines, rows


def _begins(first: int, rows: list[list[str]], last: int) -> tuple[Sequence[int], int]:
    """The line on which each row begins, and the line after the last row."""
    if last - first + 1 == len(rows):
        return range(first, last + 1), last + 1
    lines = []
    for cells in rows:
        lines.append(first)
        first += 1 + sum(len(_LINE_END.findall(cell)) for cell in cells)
    return lines, first


def _tabbed(stream: TextIO) -> Iterator[_Rows]:
    """Yield the rows of a TSV file with their lines."""
    first, split = 1, methodcaller("split", "\t")
    while contents := list(islice(stream, ROWS_AT_ONCE)):
        rows = list(map(split, map(methodcaller("rstrip", "\r\n"), contents)))
        if any(map(methodcaller("count", '"'), contents)):
            rows = [list(map(_unquoted, cells)) for cells in rows]
        yield range(first, first + len(rows)), rows
        first += len(rows)


def _unquoted(cell: str) -> str:
    whole = _QUOTED_CELL.fullmatch(cell)
    return whole[1].replace('""', '"') if whole else cell


# --- Parquet


def _parquet(
    path: Path,
    required: Sequence[Sequence[str]],
    spelling: Callable[[str], str],
    wanted: Collection[str] | None,
) -> Iterator[Batch]:
    try:
        import duckdb
    except ImportError:
        raise MissingDependency("duckdb", extra="graph", purpose=f"reading {path}") from None
    if not path.is_file():
        raise CatalogError(f"{path} does not exist. Give a Parquet file.")
    first, table = 1, "read_parquet(?)"
    with duckdb.connect() as connection:
        try:
            said = connection.execute(f"SELECT * FROM {table} LIMIT 0", [str(path)]).description
            given = [str(column[0]) for column in said or ()]
            header = _header(path, given, required, spelling)
            kept = [i for i, name in enumerate(header) if wanted is None or name in wanted]
            chosen = ", ".join('"' + given[i].replace('"', '""') + '"' for i in kept)
            cursor = connection.execute(f"SELECT {chosen} FROM {table}", [str(path)])
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                columns = zip((header[i] for i in kept), zip(*rows, strict=True), strict=True)
                yield Batch(range(first, first + len(rows)), dict(columns))
                first += len(rows)
        except duckdb.Error as error:
            raise CatalogError(f"{path} cannot be read ({error}). Give a Parquet file.") from None


def _header(
    path: Path,
    given: Sequence[str],
    required: Sequence[Sequence[str]],
    spelling: Callable[[str], str],
) -> list[str]:
    """Validate the names of the columns and return them."""
    header = [spelling(name.strip()) for name in given]
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:  # columns without a name, as spreadsheets write them, are ignored
        raise CatalogError(
            f"{path} has two columns {twice!r} (letter case aside). Rename or drop one of them."
        )
    for names in required:
        if not set(names) & set(header):
            raise CatalogError(
                f"{path} has the columns {', '.join(header) or '(none)'} but not {names[0]}. Name "
                f"one column {' or '.join(names)}."
            )
    return header
