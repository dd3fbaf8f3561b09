"""Read items from a CSV or JSON-lines file, all faults of the file in one message.

Column names: id or item_id; title, movie_title or name; year or release_year; genres, genre or
class, values separated by `|`. Year 0 and an empty cell mean unknown. Where the file has no year
column, a bracketed year at the end of a title is its year. A bare number at the end stays in the
title ("Blues Brothers 2000").
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from auditkit.canonical import read_json
from auditkit.catalog.catalog import CatalogItem
from auditkit.catalog.normalise import split_year
from auditkit.errors import CatalogError

__all__ = ["parse_items", "read_items", "read_rows", "refuse_faults", "separate_year"]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "item_id"),
    "title": ("title", "movie_title", "name"),
    "year": ("year", "release_year"),
    "genres": ("genres", "genre", "class"),
}
MAX_FAULTS_SHOWN = 10


def read_items(path: Path) -> tuple[CatalogItem, ...]:
    """Read every item of a file, in file order.

    Raises:
        CatalogError: the file is missing, not UTF-8, has no id or title column, or has faulty
            lines.
    """
    return parse_items(path, required=(COLUMNS["id"], COLUMNS["title"]))


def parse_items(
    path: Path,
    *,
    required: Sequence[Sequence[str]],
    rename: Callable[[Mapping[str, object]], Mapping[str, object]] = lambda row: row,
) -> tuple[CatalogItem, ...]:
    """Read every item of a file whose columns have other names.

    Args:
        required: for each needed column its possible names.
        rename: a row of the file with the column names of `COLUMNS`.
    """
    faults: list[str] = []
    items: list[CatalogItem] = []
    first_line: dict[str, int] = {}
    for line, row in read_rows(path, faults, required=required):
        try:
            item = _item(rename(row))
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        if item.id in first_line:
            faults.append(f"line {line}: id {item.id!r} is already on line {first_line[item.id]}")
            continue
        first_line[item.id] = line
        items.append(item)
    refuse_faults(path, faults)
    if not items:
        raise CatalogError(f"{path} holds no items. Give at least one line with an id and a title.")
    return tuple(items)


def refuse_faults(path: Path, faults: Sequence[str]) -> None:
    """Raise CatalogError with the first faults of a file, if it has any."""
    if faults:
        more = len(faults) - MAX_FAULTS_SHOWN
        rest = f"\n  and {more} more" if more > 0 else ""
        shown = "\n  ".join(faults[:MAX_FAULTS_SHOWN])
        raise CatalogError(f"{path} has {len(faults)} faulty lines. Correct them:\n  {shown}{rest}")


def separate_year(title: str) -> tuple[str, int | None]:
    """Split a bracketed year off the end of a title; a bare number stays."""
    title = " ".join(title.split())
    core, year, bracketed = split_year(title)
    return (core, year) if bracketed else (title, None)


def read_rows(
    path: Path, faults: list[str], *, required: Sequence[Sequence[str]]
) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Line number and named cells of every non-empty line; lines that are no row become faults.

    Args:
        path: CSV, TSV, JSON lines, or Parquet where pandas can read it.
        required: for each column that a table must have its possible names.

    Raises:
        CatalogError: the file is missing, not UTF-8, or lacks a column.
    """
    if path.suffix.lower() == ".parquet":
        yield from _parquet(path, required)
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CatalogError(
            f"{path} cannot be read ({error.strerror}). Give a CSV or JSON-lines file."
        ) from None
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path} is not UTF-8 (byte {error.start}). Save it as UTF-8.") from None
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        for line, content in enumerate(text.split("\n"), start=1):
            if not content.strip():
                continue
            try:
                row = read_json(content)
            except (ValueError, RecursionError) as error:
                faults.append(f"line {line}: {error}")
                continue
            if isinstance(row, dict):
                yield line, row
            else:
                faults.append(f"line {line}: not a JSON object")
        return
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter="\t" if path.suffix == ".tsv" else ","
    )
    try:
        header = [name.strip() for name in next(reader, [])]
        _refuse_lacking(path, header, required)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                faults.append(
                    f"line {reader.line_num}: {len(cells)} cells, the header has {len(header)}"
                )
            else:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: {error}")


def _parquet(
    path: Path, required: Sequence[Sequence[str]]
) -> Iterator[tuple[int, Mapping[str, object]]]:
    try:
        import pandas

        table = pandas.read_parquet(path)
    except ImportError:
        raise CatalogError(
            f"{path} needs pandas and pyarrow. Install them, or give a CSV or JSON-lines file."
        ) from None
    except (OSError, ValueError) as error:
        raise CatalogError(f"{path} cannot be read ({error}). Give a Parquet file.") from None
    _refuse_lacking(path, list(map(str, table.columns)), required)
    for number, row in enumerate(table.to_dict("records"), start=1):
        yield number, {str(name): _plain(value) for name, value in row.items()}


def _plain(value: Any) -> object:
    """A cell as JSON would hold it; NaN is an empty one."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | dict):
        return value
    return None if value is None or value != value else value


def _refuse_lacking(path: Path, header: Sequence[str], required: Sequence[Sequence[str]]) -> None:
    for names in required:
        if not set(names) & set(header):
            raise CatalogError(
                f"{path} has the columns {', '.join(header) or '(none)'} and no {names[0]}. "
                f"Name one of them {' or '.join(names)}."
            )


def _item(row: Mapping[str, object]) -> CatalogItem:
    """One item; ValueError says what is wrong with the row."""
    item_id = _text(_cell(row, "id"), "id")
    title = _text(_cell(row, "title"), "title")
    if not item_id or not title:
        raise ValueError(f"empty {'id' if not item_id else 'title'}")
    year = _year(_cell(row, "year"))
    core, bracketed = separate_year(title)
    if year is None and not any(name in row for name in COLUMNS["year"]):
        return CatalogItem(item_id, core, bracketed, _genres(_cell(row, "genres")))
    return CatalogItem(
        item_id, core if bracketed == year else title, year, _genres(_cell(row, "genres"))
    )


def _cell(row: Mapping[str, object], column: str) -> object:
    return next((row[name] for name in COLUMNS[column] if name in row), None)


def _text(value: object, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{column} is {json.dumps(value)}, not a text")
    return " ".join(str(value).split())


def _year(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = _text(value, "year").removesuffix(
        ".0"
    )  # what a spreadsheet makes of a column with empty cells
    if text and not text.isdecimal():
        raise ValueError(f"year {text!r} is not a whole number")
    return int(text) or None if text else None


def _genres(value: object) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else _text(value, "genres").split("|")
    names = (_text(part, "genres") for part in parts)
    return tuple(dict.fromkeys(name for name in names if name))
