"""Read items from a CSV, TSV or JSON-lines file, with all errors of the file in one message.

Column names are id or item_id; title, movie_title or name; year or release_year; genres, genre or
class; and aliases. Values are separated by `|`, or the cell is a printed list, such as `['Drama',
'War']`. Year 0, an empty cell, a sentinel and a cell that cannot be read mean unknown. If the file
has no year column, a bracketed year at the end of a title is its year. A bare number at the end is
part of the title ("Blues Brothers 2000").

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TextIO

from auditkit.catalog.items import LAST_YEAR, CatalogItem
from auditkit.catalog.linking.normalize import split_year
from auditkit.catalog.sources.cell_values import WrittenNumber, cell_text, known_texts
from auditkit.catalog.sources.unknown_cells import SENTINELS, TITLE_SENTINELS, UnknownCells
from auditkit.errors import CatalogError, MissingDependency
from auditkit.serialization.canonical_json import read_json

__all__ = [
    "ATOMIC",
    "COLUMNS",
    "parse_item",
    "parse_items",
    "raise_line_errors",
    "read_rows",
    "separate_year",
]  # fmt: skip

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "item_id"),
    "title": ("title", "movie_title", "name"),
    "year": ("year", "release_year"),
    "genres": ("genres", "genre", "class"),
    "aliases": ("aliases",),
}
ATOMIC = (".inter", ".item", ".user")  # files of RecBole
_DELIMITERS = (",", ";", "\t")
_ROWS_AT_ONCE = 10_000
_QUOTED_CELL = re.compile(r'"((?:[^"]|"")*)"')
MAX_FAULTS_SHOWN = 10


def parse_items(
    path: Path,
    *,
    required: Sequence[Sequence[str]],
    unknown: UnknownCells,
    rename: Callable[[Mapping[str, object]], Mapping[str, object]] = lambda row: row,
) -> tuple[CatalogItem, ...]:
    """Read every item of a file whose column names differ from `COLUMNS`.

    Args:
        required: the possible names of each required column.
        unknown: counts the cells without a usable value.
        rename: maps a row of the file to the column names of `COLUMNS`.
    """
    faults: list[str] = []
    items: list[CatalogItem] = []
    first_line: dict[str, int] = {}
    for line, row in read_rows(path, faults, required=required):
        try:
            item = parse_item(rename(row), unknown, line=line)
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        if item.id in first_line:
            faults.append(f"line {line}: id {item.id!r} is already on line {first_line[item.id]}")
            continue
        first_line[item.id] = line
        items.append(item)
    raise_line_errors(path, faults)
    if not items:
        raise CatalogError(f"{path} holds no items. Give at least one line with an id and a title.")
    return tuple(items)


def raise_line_errors(path: Path, faults: Sequence[str]) -> None:
    """Raise CatalogError with the first errors of a file, if it has any."""
    if faults:
        more = len(faults) - MAX_FAULTS_SHOWN
        rest = f"\n  and {more} more" if more > 0 else ""
        shown = "\n  ".join(faults[:MAX_FAULTS_SHOWN])
        raise CatalogError(f"{path} has {len(faults)} faulty lines. Correct them:\n  {shown}{rest}")


def separate_year(title: str) -> tuple[str, int | None]:
    """Split a bracketed year off the end of a title; a bare number remains in the title."""
    title = " ".join(title.split())
    core, year, bracketed = split_year(title)
    return (core, year) if bracketed else (title, None)


def read_rows(
    path: Path,
    faults: list[str],
    *,
    required: Sequence[Sequence[str]],
    spelling: Callable[[str], str] = lambda name: name,
) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Yield the line number and named cells of every non-empty line.

    Lines that cannot be read as a row are added to `faults`.

    Args:
        path: CSV, TSV, JSON lines, or Parquet.
        faults: list of errors that is extended.
        required: the possible names of each required column.
        spelling: maps a column name of the file to the returned one; a pure function.

    Raises:
        CatalogError: the file is missing, not UTF-8, lacks a column, or has one twice.
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        yield from _parquet(path, required, spelling)
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            if kind in (".jsonl", ".ndjson"):
                yield from _json_lines(stream, faults, spelling)
            else:
                untyped = _untyped(spelling) if kind in ATOMIC else spelling
                if kind == ".tsv" or kind in ATOMIC:
                    cells = _tabbed(stream)
                else:
                    cells = _quoted(stream, _delimiter(stream, required, spelling))
                yield from _separated(path, cells, faults, required, untyped)
    except OSError as error:
        raise CatalogError(
            f"{path} cannot be read ({error.strerror}). Give a CSV or JSON-lines file."
        ) from None
    except UnicodeDecodeError:
        raise CatalogError(
            f"{path} is not UTF-8 (line {_first_undecodable(path)}). Save it as UTF-8."
        ) from None


def _first_undecodable(path: Path) -> int:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 0


def _json_lines(
    stream: TextIO, faults: list[str], spelling: Callable[[str], str]
) -> Iterator[tuple[int, Mapping[str, object]]]:
    spelled = cache(spelling)
    for line, content in enumerate(stream, start=1):
        if not content.strip():
            continue
        try:
            row = read_json(content, parse_float=WrittenNumber)
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
        yield line, named


def _separated(
    path: Path,
    rows: Iterator[tuple[int, list[str]]],
    faults: list[str],
    required: Sequence[Sequence[str]],
    spelling: Callable[[str], str],
) -> Iterator[tuple[int, Mapping[str, object]]]:
    try:
        header = _header(path, next(rows, (1, []))[1], required, spelling)
        for line, cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                faults.append(f"line {line}: {len(cells)} cells, the header has {len(header)}")
            else:
                yield line, dict(zip(header, cells, strict=True))
    except _Unreadable as error:
        faults.append(str(error))


class _Unreadable(Exception):
    """The rest of the file cannot be split into rows."""


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


def _quoted(stream: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line number and the cells of every row of a CSV file."""
    reader = csv.reader(stream, strict=True, delimiter=delimiter)
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _Unreadable(
                f"line {first}: {error} (the row that begins here was read as far as line "
                f"{reader.line_num}; does every quoted cell end with a quote?)"
            ) from None
        if cells is None:
            return
        yield first, cells


def _tabbed(stream: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of every line of a TSV file."""
    for line, content in enumerate(stream, start=1):
        cells = content.rstrip("\r\n").split("\t")
        if '"' in content:
            cells = [
                whole[1].replace('""', '"') if (whole := _QUOTED_CELL.fullmatch(cell)) else cell
                for cell in cells
            ]
        yield line, cells


def _parquet(
    path: Path, required: Sequence[Sequence[str]], spelling: Callable[[str], str]
) -> Iterator[tuple[int, Mapping[str, object]]]:
    try:
        import duckdb
    except ImportError:
        raise MissingDependency("duckdb", extra="graph", purpose=f"reading {path}") from None
    if not path.is_file():
        raise CatalogError(f"{path} does not exist. Give a Parquet file.")
    number = 0
    with duckdb.connect() as connection:
        try:
            table = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
            given = [str(column[0]) for column in table.description or ()]
            header = _header(path, given, required, spelling)
            while rows := table.fetchmany(_ROWS_AT_ONCE):
                for cells in rows:
                    number += 1
                    yield number, dict(zip(header, map(_plain, cells), strict=True))
        except duckdb.Error as error:
            raise CatalogError(f"{path} cannot be read ({error}). Give a Parquet file.") from None


def _plain(value: object) -> object:
    """Convert a cell to a JSON type; NaN becomes an empty cell."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        value = WrittenNumber(format(value, "f"))
    return None if value != value else value


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
                f"{path} has the columns {', '.join(header) or '(none)'} and no {names[0]}. "
                f"Name one of them {' or '.join(names)}."
            )
    return header


def parse_item(row: Mapping[str, object], unknown: UnknownCells, *, line: int = 0) -> CatalogItem:
    """Convert a row with the column names of `COLUMNS` to an item.

    Args:
        row: cells by column name.
        unknown: counts the cells without a usable value.
        line: line of the row, for messages.

    Raises:
        ValueError: the row has no id or title; or, if `unknown` is strict, an unreadable cell.
    """
    item_id = cell_text(_cell(row, "id"), "id")
    title = cell_text(_cell(row, "title"), "title")
    if not item_id or not title:
        raise ValueError(f"empty {'id' if not item_id else 'title'}")
    year = _known_year(_cell(row, "year"), unknown, line)
    core, bracketed = separate_year(title)
    if year is None and not any(name in row for name in COLUMNS["year"]):
        title, year = core, bracketed
    elif bracketed == year:
        title = core
    genres = known_texts(_cell(row, "genres"), "genres", unknown, line=line)
    aliases = known_texts(
        _cell(row, "aliases"), "aliases", unknown, line=line, sentinels=TITLE_SENTINELS
    )
    return CatalogItem(item_id, title, year, genres, aliases)


def _known_year(value: object, unknown: UnknownCells, line: int) -> int | None:
    if isinstance(value, str) and value.strip() in SENTINELS:
        unknown.sentinel("year")
        return None
    try:
        return _year(value)
    except ValueError as error:
        unknown.unreadable("year", str(error), line=line)
        return None


def _cell(row: Mapping[str, object], column: str) -> object:
    for name in COLUMNS[column]:
        if name in row:
            return row[name]
    return None


def _year(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = cell_text(value, "year").removesuffix(
        ".0"
    )  # spreadsheets write a column with empty cells as floats
    if text and not (text.isdecimal() and len(text) < 19 and int(text) <= LAST_YEAR):
        raise ValueError(f"year {text[:40]!r} is not a whole number up to {LAST_YEAR}")
    return int(text) or None if text else None
