"""Read the items of a JSON answer: strings, numbers or objects, under any name and at any depth."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auditkit.recommenders.prompting.comments import bare_titles
from auditkit.recommenders.prompting.item_fields import is_item_field, item_texts

__all__ = ["has_json", "is_item_path", "json_titles", "titles_at"]

_LINE_START = re.compile(
    r"^[ \t]*(?=\[\s*[\"{\[\]]|\[\s*\d+\s*(?:,|\]\s*$)|\{\s*[\"}])", re.MULTILINE
)
_ANYWHERE = re.compile(r"(?=\[\s*[\"{]|\{\s*\")")
_PATH = re.compile(r"(?:\[\]|[^.\[\]\s]+(?:\[\])*)(?:\.[^.\[\]\s]+(?:\[\])*)*")
_STEP = re.compile(r"([^.\[\]]*)((?:\[\])?)\.?")
_LONGEST_LITERAL = 20_000
_USUAL_LISTS = ("items", "recommendations", "titles", "results", "products")
_OTHER_LISTS = frozenset(
    ("tags", "genres", "reasons", "keywords", "categories", "brands", "notes", "history", "sources",
     "gründe", "kategorien", "marken", "hinweise", "warnings", "questions", "alternatives")
)  # fmt: skip
_MOST_OBJECTS = 10_000


def has_json(text: str) -> bool:
    """Whether a JSON value starts at the beginning of a line."""
    return _LINE_START.search(text) is not None


def json_titles(text: str) -> tuple[str, ...] | None:
    """Texts that name items in the first JSON value or in JSON lines; None if the text has no JSON.

    Of a truncated list, only complete elements are read. A Python list or dictionary is read too.
    """
    if text[:1] in "[{" and text[:2] not in ("[]", "{}") and len(text) <= _LONGEST_LITERAL:
        with contextlib.suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            value = json.loads(json.dumps(ast.literal_eval(text)))  # names become texts
            if isinstance(value, list | dict):
                return _titles_of(value)
    start = _LINE_START.search(text) or _ANYWHERE.search(text)
    if start is None:
        return None
    values, ended = _values(text, start.end())
    if not ended and not values:
        opening = text.find("[", start.end())
        values = [_whole_elements(text, opening + 1)] if opening >= 0 else []
    if len(values) > 1 and all(isinstance(value, dict) for value in values):
        return _named(values)
    return _titles_of(values[0]) if values else ()


def is_item_path(path: str) -> bool:
    """Whether a text is a path such as `result.picks[].sku`."""
    return _PATH.fullmatch(_from_root(path)) is not None


def _from_root(path: str) -> str:
    """The path without the `$.` with which JSONPath begins."""
    return path.removeprefix("$").removeprefix(".")


def titles_at(text: str, path: str) -> tuple[str, ...] | None:
    """Texts at a declared path of the first JSON value; None if the text has no JSON value.

    Args:
        path: names joined by periods, with `[]` after the name of a list, such as
            `result.picks[].sku`; `[]` alone is a list of texts.
    """
    start = _LINE_START.search(text) or _ANYWHERE.search(text)
    values = _values(text, start.end())[0] if start is not None else []
    if not values:
        return None
    found: list[Any] = values[:1]
    for name, is_list in _STEP.findall(_from_root(path)):
        if name:
            found = [value.get(name) for value in found if isinstance(value, dict)]
        if is_list:
            found = [one for value in found if isinstance(value, list) for one in value]
    return tuple(str(value).strip() for value in found if _is_text(value) and str(value).strip())


def _values(text: str, position: int) -> tuple[list[Any], bool]:
    """Read consecutive JSON values from a position, separated only by spaces and commas; also
    return whether the first value is complete.
    """
    values: list[Any] = []
    while len(values) < _MOST_OBJECTS:
        while position < len(text) and text[position] in ", \t\r\n":
            position += 1
        if position == len(text) or text[position] not in "[{":
            break
        try:
            value, position = json.JSONDecoder().raw_decode(text, position)
        except (ValueError, RecursionError):
            return values, bool(values)
        values.append(value)
    return values, True


def _whole_elements(text: str, position: int) -> list[Any]:
    """The complete elements of a truncated JSON list."""
    elements: list[Any] = []
    while True:
        while position < len(text) and text[position] in ", \t\r\n":
            position += 1
        try:
            element, position = json.JSONDecoder().raw_decode(text, position)
        except (ValueError, RecursionError):
            return elements
        elements.append(element)


def _titles_of(value: Any) -> tuple[str, ...]:
    """Texts of the list of items in a JSON value."""
    if isinstance(value, list):
        return _texts(value)
    named = [value[key] for key in _USUAL_LISTS if isinstance(value.get(key), list)]
    lists = named or list(_lists(value))
    of_objects = [found for found in lists if _names_items(found)]
    if len(lists) == 1 or named:
        return _texts(lists[0])
    if len(of_objects) == 1:
        return _texts(of_objects[0])
    if len(lists) > 1 and list(value.values()) == lists and not any(map(_is_other, value)):
        return tuple(text for found in lists for text in _texts(found))  # by category
    return () if lists else _numbered(value) or _described(value)


def _lists(value: Mapping[str, Any], depth: int = 0) -> Iterator[list[Any]]:
    """The lists in an object that is not an item itself, outer lists first."""
    yield from (entry for entry in value.values() if isinstance(entry, list))
    for entry in value.values():
        if isinstance(entry, dict) and depth < 3:
            yield from _lists(entry, depth + 1)


def _is_other(name: str) -> bool:
    """Whether lists of this name contain something other than items."""
    return name.casefold() in _OTHER_LISTS


def _names_items(values: Sequence[Any]) -> bool:
    return bool(values) and all(
        isinstance(value, dict) and any(map(is_item_field, value)) for value in values
    )


def _numbered(value: Mapping[str, Any]) -> tuple[str, ...]:
    """The values of an object whose names are ranks, as in {"1": "Heat", "2": "Fargo"}."""
    ranks = [re.sub(r"\D", "", name) for name in value]
    if len(ranks) < 2 or ranks != [str(n) for n in range(1, len(ranks) + 1)]:
        return ()
    return _texts(list(value.values()))


def _described(value: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of an object whose names are titles, as in {"Heat": "A long heist."}."""
    told = [
        isinstance(text, str) and (len(text.split()) > 2 or text.endswith("."))
        for text in value.values()
    ]
    if len(told) < 2 or not all(told) or any(map(is_item_field, value)):
        return ()
    return tuple(name.strip() for name in value if name.strip())


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    """Texts of strings, whole numbers or objects; none if the list has other values."""
    if values and all(isinstance(value, dict) for value in values):
        return _named(values)
    if not all(_is_text(value) for value in values):
        return ()
    return tuple(text for text in bare_titles([str(value) for value in values]) if text)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def _named(values: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    texts = item_texts(values)
    return tuple(text for text in texts if text) if texts is not None else ()
