"""Convert columns of cells to ids, times and ratings, many cells at once.

A column of one common type is converted by numpy. Any other column is converted cell by cell, with
equal results, so that messages name the first line of every problem.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.graph.builder import is_text
from auditkit.catalog.sources.cell_values import WrittenNumber
from auditkit.catalog.sources.table_batches import ABSENT, plain_cell
from auditkit.catalog.sources.unknown_cells import SENTINELS, UnknownCells

__all__ = ["IdColumn", "Numbers", "Ratings", "Times", "id_text", "known_numbers"]

Array = NDArray[np.float64]
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PLAIN_NUMBER = frozenset("0123456789.+-")
_PLAIN_DATE = frozenset("0123456789-: T")
_LATEST = 2**53
_LARGEST = float(np.finfo(np.float32).max)  # ratings are stored in this precision


def id_text(value: object, column: str) -> str:
    """Text of an id, exactly as it is written.

    Raises:
        ValueError: the cell is empty, a list or an object, or has an unpaired surrogate.
    """
    value = None if value is ABSENT else plain_cell(value)
    if isinstance(value, list | dict):
        raise ValueError(f"{column} is a list or an object, not an id")
    if isinstance(value, WrittenNumber):
        value = value.text
    elif isinstance(value, float) and value.is_integer():
        value = int(value)  # Parquet files of pandas have floats if a cell is empty
    text = "" if value is None or isinstance(value, bool) else str(value).strip()
    if not text:
        raise ValueError(f"empty {column}")
    if not is_text(text):
        raise ValueError(f"{column} has an unpaired surrogate")
    return text


class IdColumn:
    """Numbers the distinct ids of one column in order of first occurrence.

    Attributes:
        texts: the ids; the id with number i is texts[i].

    Args:
        column: name of the column, for messages.
    """

    def __init__(self, column: str) -> None:
        self._column = column
        self.texts: list[str] = []
        # Cells of one type are looked up as they are. 1, 1.0 and True are equal in a dictionary but
        # are different ids, so each type has its own.
        texts = _Numbered(column, self.texts)
        self._known: dict[type, dict[object, int]] = {str: texts, int: _Integers(texts)}

    def numbers(
        self, cells: Sequence[object], lines: Sequence[int], faults: list[str]
    ) -> NDArray[np.int64]:
        """Return the number of the id in every cell; a cell without an id gets -1, and its error is
        added to `faults`.
        """
        kinds = set(map(type, cells))
        known = self._known.get(kinds.pop()) if len(kinds) == 1 else None
        look_up = self._one if known is None else known.__getitem__
        numbers = np.fromiter(map(look_up, cells), dtype=np.int64, count=len(cells))
        for row in np.flatnonzero(numbers < 0).tolist():
            try:
                id_text(cells[row], self._column)
            except ValueError as error:
                faults.append(f"line {lines[row]}: {error}")
        return numbers

    def _one(self, cell: object) -> int:
        try:
            return self._known[str][id_text(cell, self._column)]
        except ValueError:
            return -1


class _Numbered(dict[object, int]):
    """Maps a text to its number; a new text gets the next number, and a cell without an id gets
    -1.
    """

    def __init__(self, column: str, texts: list[str]) -> None:
        self._column, self._texts = column, texts

    def __missing__(self, cell: object) -> int:
        try:
            text = id_text(cell, self._column)
        except ValueError:
            return -1
        if text == cell:
            number = self[cell] = len(self._texts)
            self._texts.append(text)
            return number
        return self[text]


class _Integers(dict[object, int]):
    """Maps an integer to the number of its text."""

    def __init__(self, texts: _Numbered) -> None:
        self._of_texts = texts

    def __missing__(self, cell: object) -> int:
        number = self[cell] = self._of_texts[str(cell)]
        return number


class Numbers(Protocol):
    """Reads numbers from the cells of one column."""

    largest: float

    def many(self, cells: Sequence[object]) -> Array | None:
        """Read all cells at once, [cells]; NaN for an empty cell. Returns None if `one` must read
        the cells, because types differ, a text is unusual, or a value is invalid.
        """
        ...

    def one(self, cell: object, column: str) -> float:
        """Return the number in one cell.

        Raises:
            ValueError: the cell cannot be read.
        """
        ...


def known_numbers(
    reader: Numbers,
    column: str,
    cells: Sequence[object],
    lines: Sequence[int],
    unknown: UnknownCells,
    faults: list[str],
) -> Array:
    """Read the cells of a column as numbers, [cells]; NaN for an unknown or unreadable cell.

    Args:
        unknown: counts the unknown and unreadable cells; if it is strict, unreadable cells are
            added to `faults`.
    """
    values = reader.many(cells)
    if values is not None and not np.any(np.abs(values) > reader.largest):
        blank = np.flatnonzero(np.isnan(values))
        if len(blank):
            unknown.sentinel(column, n=len(blank), line=lines[int(blank[0])])
        return values
    values = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        plain = None if cell is ABSENT else plain_cell(cell)
        if plain is None or (isinstance(plain, str) and plain.strip() in {"", *SENTINELS}):
            unknown.sentinel(column, line=lines[row])
            continue
        try:
            values[row] = reader.one(plain, column)
        except ValueError as error:
            try:
                unknown.unreadable(column, str(error), line=lines[row])
            except ValueError as refused:
                faults.append(f"line {lines[row]}: {refused}")
    return values


class Ratings:
    """Reads finite numbers in the range of single precision."""

    largest = _LARGEST

    def many(self, cells: Sequence[object]) -> Array | None:
        """Read all cells at once, as `Numbers.many` describes."""
        return _plain_numbers(cells, set(map(type, cells)))

    def one(self, cell: object, column: str) -> float:
        """Read one cell, as `Numbers.one` describes."""
        text = str(cell).strip()
        try:
            if "_" in text:  # 1_000 is a number for Python only
                raise ValueError
            number = float(text)  # a text of many digits is infinite, not an error
        except ValueError:
            raise ValueError(f"{column} {text[:40]!r} is not a number") from None
        if not math.isfinite(number) or abs(number) > self.largest:
            raise ValueError(f"{column} is not finite or is too large")
        return number


class Times:
    """Reads times as seconds since 1970: numbers of seconds, ISO dates, and dates and timestamps of
    Parquet files. Counts the dates without a time zone.
    """

    largest = float(_LATEST)

    def __init__(self) -> None:
        self._without_zone = 0

    def many(self, cells: Sequence[object]) -> Array | None:
        """Read all cells at once, as `Numbers.many` describes."""
        kinds = set(map(type, cells))
        found = _plain_numbers(cells, kinds)
        if found is not None:
            return found
        dates = self._dates(cells, kinds)
        if dates is not None:
            self._without_zone += int(np.sum(~np.isnan(dates)))
        return dates

    def _dates(self, cells: Sequence[object], kinds: set[type]) -> Array | None:
        """Seconds of dates without a time zone."""
        kinds = kinds - {type(None)}
        if kinds == {datetime.datetime}:
            if any(cell is not None and cell.tzinfo is not None for cell in cells):  # type: ignore[attr-defined]
                return None
            moments = np.array(cells, dtype="datetime64[us]")
        elif kinds == {datetime.date}:
            moments = np.array(cells, dtype="datetime64[D]").astype("datetime64[us]")
        elif kinds == {str} and None not in cells:
            texts = cast(Sequence[str], cells)
            if set(map(len, texts)) not in ({10}, {19}) or not set("".join(texts)) <= _PLAIN_DATE:
                return None
            try:
                moments = np.array(texts, dtype="datetime64[s]").astype("datetime64[us]")
            except ValueError:
                return None
        else:
            return None
        seconds = moments.astype(np.int64) / 1e6
        return np.where(np.isnat(moments), np.nan, seconds)

    def one(self, cell: object, column: str) -> float:
        """Read one cell, as `Numbers.one` describes."""
        text = str(cell).strip()
        if not _ISO_DATE.match(text):
            try:
                number = Ratings().one(cell, column)
            except ValueError as error:
                raise ValueError(f"{error} of seconds or an ISO date such as 2024-03-01") from None
            return self._checked(number, column)
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{column} {text[:40]!r} is not a valid ISO date") from None
        if moment.tzinfo is None:
            self._without_zone += 1
            moment = moment.replace(tzinfo=datetime.UTC)
        return self._checked(moment.timestamp(), column)

    def _checked(self, seconds: float, column: str) -> float:
        if abs(seconds) > self.largest:
            raise ValueError(f"{column} {seconds:.0f} is not a time in seconds")
        return seconds

    def notes(self, name: str) -> list[str]:
        """Note on dates without a time zone, which were read as UTC; empty without any."""
        if not self._without_zone:
            return []
        return [f"{name}: {self._without_zone} dates without a time zone are read as UTC"]


def _plain_numbers(cells: Sequence[object], kinds: set[type]) -> Array | None:
    """Numbers of cells that are all integers, all floats or all plain texts of numbers."""
    if kinds - {type(None)} in ({int}, {float}):
        try:
            found = np.array(cells, dtype=np.float64)
        except OverflowError:  # an integer beyond the range of floats; read one by one
            return None
        return None if np.any(np.isinf(found)) else found
    if kinds != {str}:
        return None
    texts = cast(Sequence[str], cells)
    if not set("".join(texts)) <= _PLAIN_NUMBER:
        return None
    try:
        return np.fromiter(map(float, texts), dtype=np.float64, count=len(texts))
    except ValueError:
        return None
