"""Values of the cells of a table: texts, printed lists and numbers as they are written."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence

from auditkit.catalog.graph.builder import is_text
from auditkit.catalog.sources.unknown_cells import SENTINELS, UnknownCells

__all__ = ["WrittenNumber", "cell_text", "cell_texts", "known_texts"]

# Lists as Python, JSON and numpy print them, with unknown elements as pandas prints them.
_STRING = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_NUMBER = r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_VALUE = re.compile(rf"{_STRING}|{_NUMBER}")
_ELEMENT = rf"(?:{_STRING}|{_NUMBER}|None|nan|NaN|null)"
_PRINTED_LIST = re.compile(rf"\[\s*(?:{_ELEMENT}(?:\s*,\s*|\s+|(?=\])))*\]")
_OPENS_LIST = re.compile(r"""[\[{]\s*(?:['"\[{]|(?:None|nan)\s*,)""")
_MAX_LIST = 100_000


class WrittenNumber(float):
    """A number with a fraction or an exponent that remembers its text in the file.

    Attributes:
        text: the number as it is written, such as `1.50` or `1e5`.
    """

    def __init__(self, text: str) -> None:
        self.text = text


def cell_text(value: object, column: str) -> str:
    """Text of a cell, in which runs of whitespace become one space; "" for an empty cell.

    Raises:
        ValueError: the cell does not contain a text.
    """
    if value is None:
        return ""
    if isinstance(value, WrittenNumber):
        value = value.text
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{column} is {json.dumps(value, default=str)[:80]}, not a string")
    text = " ".join(str(value).split())
    if not is_text(text):
        raise ValueError(f"{column} has an unpaired surrogate")
    return text


def cell_texts(value: object, column: str, *, separator: str = "|") -> tuple[str, ...]:
    """Distinct values of a cell that is a list, the text of a list, or a text with separators.

    Raises:
        ValueError: the cell is none of these.
    """
    if value is None:
        return ()
    parts = value if isinstance(value, list) else _printed_list(value, column)
    if parts is None:
        parts = cell_text(_written(value), column).split(separator)
    names = (cell_text(_written(part), column) for part in parts)
    return tuple(dict.fromkeys(name for name in names if name))


def _written(value: object) -> object:
    """Text of a float: as written in the file, or without a fraction for a whole number."""
    if isinstance(value, float) and not isinstance(value, WrittenNumber):
        return str(int(value)) if value.is_integer() else repr(value)
    return value


def _printed_list(value: object, column: str) -> Sequence[object] | None:
    """Elements of a list that was printed into a cell; None if the cell is not one.

    Raises:
        ValueError: the cell begins like a list or an object and cannot be read as a list.
    """
    text = value.strip() if isinstance(value, str) else ""
    if not text.startswith(("[", "{")):
        return None
    if len(text) <= _MAX_LIST and _PRINTED_LIST.fullmatch(text):
        values = _VALUE.findall(text)
        return [re.sub(r"\\(.)", r"\1", v[1:-1]) if v[0] in "'\"" else v for v in values]
    if _OPENS_LIST.match(text):
        raise ValueError(f"{column} is {text[:40]!r}, not a list of texts")
    return None


def known_texts(
    value: object,
    column: str,
    unknown: UnknownCells,
    *,
    line: int,
    separator: str = "|",
    sentinels: Collection[str] = SENTINELS,
    allowed: bool = False,
) -> tuple[str, ...]:
    """Distinct known values of a cell, which excludes sentinels; empty if the cell cannot be read.

    Args:
        unknown: counts the sentinels and unreadable values, which are left out.
        sentinels: texts that state an unknown value.
        allowed: whether an unreadable cell is only counted even if `unknown` is strict.

    Raises:
        ValueError: the cell cannot be read and `unknown` is strict.
    """
    try:
        texts = cell_texts(value, column, separator=separator)
    except ValueError as error:
        unknown.unreadable(column, str(error), line=line, allowed=allowed)
        return ()
    for text in texts:
        if text in sentinels:
            unknown.sentinel(column)
    return tuple(text for text in texts if text not in sentinels)
