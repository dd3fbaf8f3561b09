"""Read items from a CSV, TSV or JSON-lines file, with all errors of the file in one message.

Column names are id or item_id; title, movie_title or name; year or release_year; genres, genre or
class; and aliases. Values are separated by `|`, or the cell is a printed list, such as `['Drama',
'War']`. Year 0, an empty cell, a sentinel and a cell that cannot be read mean unknown. If the file
has no year column, a bracketed year at the end of a title is its year. A bare number at the end is
part of the title ("Blues Brothers 2000").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from auditkit.catalog.items import LAST_YEAR, CatalogItem
from auditkit.catalog.linking.normalize import split_year
from auditkit.catalog.sources.cell_values import cell_text, known_texts
from auditkit.catalog.sources.table_batches import ABSENT, plain_cell, read_batches
from auditkit.catalog.sources.unknown_cells import SENTINELS, TITLE_SENTINELS, UnknownCells
from auditkit.errors import CatalogError

__all__ = [
    "COLUMNS",
    "parse_item",
    "parse_items",
    "raise_line_errors",
    "read_rows",
    "separate_year",
]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "item_id"),
    "title": ("title", "movie_title", "name"),
    "year": ("year", "release_year"),
    "genres": ("genres", "genre", "class"),
    "aliases": ("aliases",),
}
MAX_FAULTS_SHOWN = 10
_LINE = re.compile(r"line (\d+)")


def parse_items(
    path: Path,
    *,
    required: Sequence[Sequence[str]],
    unknown: UnknownCells,
    rename: Callable[[Mapping[str, object]], Mapping[str, object]] = lambda row: row,
) -> tuple[CatalogItem, ...]:
    """Read every item of a file whose column names differ from `COLUMNS`.

    Args:
        required: for each required column, its possible names.
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
        raise CatalogError(
            f"{path} contains no items. Give at least one line with an id and a title."
        )
    return tuple(items)


def raise_line_errors(path: Path, faults: Sequence[str]) -> None:
    """Raise a CatalogError that lists the first errors of a file, if there are any."""
    if faults:
        faults = sorted(faults, key=_line_of)
        more = len(faults) - MAX_FAULTS_SHOWN
        rest = f"\n  and {more} more" if more > 0 else ""
        shown = "\n  ".join(faults[:MAX_FAULTS_SHOWN])
        raise CatalogError(f"{path} has {len(faults)} faulty lines. Correct them:\n  {shown}{rest}")


def _line_of(fault: str) -> float:
    found = _LINE.match(fault)
    return int(found[1]) if found else float("inf")


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

    Args:
        path, faults, required, spelling: as in `read_batches`.

    Raises:
        CatalogError: as in `read_batches`.
    """
    typed = path.suffix.lower() == ".parquet"
    for batch in read_batches(path, faults, required=required, spelling=spelling):
        names = list(batch.columns)
        for line, *cells in zip(batch.lines, *batch.columns.values(), strict=True):
            if typed:
                cells = list(map(plain_cell, cells))
            named = zip(names, cells, strict=True)
            yield line, {name: cell for name, cell in named if cell is not ABSENT}


def parse_item(row: Mapping[str, object], unknown: UnknownCells, *, line: int = 0) -> CatalogItem:
    """Convert a row with the column names of `COLUMNS` to an item.

    Args:
        row: cells by column name.
        unknown: counts the cells without a usable value.
        line: line of the row, for messages.

    Raises:
        ValueError: the row has no id or title, or a cell is unreadable and `unknown` is strict.
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
