"""Messages for invalid YAML files: file, line, key, and a suggestion for a misspelled key.

A pydantic location contains keys of the file and names of union members. Only the keys help the
user, so all parts of the location that are not keys or positions in the data are dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import ErrorDetails

from auditkit.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from auditkit.serialization.strict_yaml import Document

__all__ = ["all_errors", "describe_error", "format_path", "located", "validate"]

T = TypeVar("T")
Key = str | int

_SECRET = re.compile(r"key|token|secret|password|authorization", re.IGNORECASE)


def describe_error(
    document: Document, adapter: TypeAdapter[Any], detail: ErrorDetails
) -> tuple[int, str]:
    """Return line number and message of one pydantic error."""
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    path = _path_in(document.data, detail["loc"], keep_last=kind == "missing")
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        message = f"unknown key.{did_you_mean(str(path[-1]), _known_keys(adapter, path[:-1]))}"
    elif kind == "missing":
        message = "this key is required"
    elif not isinstance(detail["input"], dict | list) and not _SECRET.search(format_path(path)):
        message = f"{message} (got {repr(detail['input'])[:80]})"
    if path:
        return located(document, path, message)
    line = document.line(path)
    return line, f"{document.source}:{line}: {message}"


def _path_in(value: Any, loc: Sequence[Key], *, keep_last: bool) -> tuple[Key, ...]:
    """Return those parts of a pydantic location that are keys of the document, without union
    tags.
    """
    path: list[Key] = []
    for position, key in enumerate(loc):
        children = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(children, dict) and key in children:
            value = children[key]
            path.append(key)
        elif keep_last and position == len(loc) - 1:
            path.append(key)
    return tuple(path)


def format_path(path: Sequence[Key]) -> str:
    """Format a key path for readers, such as `rules[0].max`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def _known_keys(adapter: TypeAdapter[Any], path: Sequence[Key]) -> list[str]:
    """Return the keys that the schema allows at `path`, in any alternative of a union."""
    try:
        schema = adapter.json_schema()
    except PydanticInvalidForJsonSchema:
        return []
    definitions = schema.get("$defs", {})

    def alternatives(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        if "$ref" in node:
            return alternatives(definitions[node["$ref"].rsplit("/", 1)[-1]])
        options = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
        return [node, *(found for option in options for found in alternatives(option))]

    nodes = alternatives(schema)
    for key in path:
        children = []
        for node in nodes:
            if isinstance(key, int):
                named = node.get("items")
            else:
                named = node.get("properties", {}).get(key, node.get("additionalProperties"))
            children += [named] if isinstance(named, dict) else []
        nodes = [found for child in children for found in alternatives(child)]
    return sorted({name for node in nodes for name in node.get("properties", {})})


def validate(
    document: Document,
    adapter: TypeAdapter[T],
    *,
    others: Iterable[tuple[int, str]] = (),
    hint: str = "",
) -> T:
    """Check a document against a schema, strictly: text is never converted to a number.

    Args:
        document: result of `load_yaml`.
        adapter: the schema; its models should forbid extra keys. Lists become tuples and ISO text
            becomes a date if the schema says so (pydantic's strict JSON mode).
        others: (line, message) of further errors that the caller found, as `located` returns them.
        hint: additional advice, appended to the message.

    Raises:
        ConfigurationError: there are errors; the message lists each error as `file:line: key.path:
            message`, ordered by line.
    """
    found = list(others)
    try:
        checked = adapter.validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)
        found += [describe_error(document, adapter, detail) for detail in details]
    if found:
        raise all_errors(document, found, hint=hint)
    return checked


def located(document: Document, path: Sequence[Key], message: str) -> tuple[int, str]:
    """Return line number and full message of an error at a key path."""
    line = document.line(tuple(path))
    return line, f"{document.source}:{line}: {format_path(path)}: {message}"


def all_errors(
    document: Document, found: Iterable[tuple[int, str]], *, hint: str = ""
) -> ConfigurationError:
    """Combine messages into one error, sorted by line and without duplicates from union members."""
    lines = sorted(dict.fromkeys(found))
    count = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
    listed = "\n".join([*(line for _, line in lines), *filter(None, [hint])])
    return ConfigurationError(f"{document.source} has {count}. Correct these lines:\n{listed}")
