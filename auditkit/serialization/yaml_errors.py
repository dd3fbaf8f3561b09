"""One line per fault: which key of which file, on which line, and which key was probably meant.

A pydantic location mixes keys of the file with names of union members; people can act on the keys
alone, so the location is walked along the data and everything else is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import ErrorDetails

from auditkit.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from auditkit.serialization.strict_yaml import Document

__all__ = ["describe_error", "format_path", "validate"]

T = TypeVar("T")
Key = str | int

_SECRET = re.compile(r"key|token|secret|password|authorization", re.IGNORECASE)


def describe_error(
    document: Document, adapter: TypeAdapter[Any], detail: ErrorDetails
) -> tuple[int, str]:
    """Line number and message of one fault."""
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    path = _path_in(document.data, detail["loc"], keep_last=kind == "missing")
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        message = f"unknown key.{did_you_mean(str(path[-1]), _known_keys(adapter, path[:-1]))}"
    elif kind == "missing":
        message = "this key is required"
    elif not isinstance(detail["input"], dict | list) and not _SECRET.search(format_path(path)):
        message = f"{message} (got {repr(detail['input'])[:80]})"
    line = document.line(path)
    place = f"{document.source}:{line}: "
    return line, place + (f"{format_path(path)}: {message}" if path else message)


def _path_in(value: Any, loc: Sequence[Key], *, keep_last: bool) -> tuple[Key, ...]:
    """The part of a pydantic location that names keys of the document; union tags are left out."""
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
    """Write a key path as people read it: `rules[0].max`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def _known_keys(adapter: TypeAdapter[Any], path: Sequence[Key]) -> list[str]:
    """Keys that the schema knows at `path`, over all alternatives of a union."""
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


def validate(document: Document, adapter: TypeAdapter[T]) -> T:
    """Check a document against a schema, strictly: text is never turned into a number.

    Args:
        document: what `load_yaml` returned.
        adapter: the schema; its models should forbid extra keys. Lists become tuples and ISO text
            becomes a date where the schema says so (pydantic's strict JSON mode).

    Raises:
        ConfigurationError: one error that lists every fault as `file:line: key.path: message`.
    """
    try:
        return adapter.validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)
    # Members of a union repeat each other's faults.
    lines = dict.fromkeys(describe_error(document, adapter, detail) for detail in details)
    listed = "\n".join(line for _, line in sorted(lines))
    count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
    raise ConfigurationError(f"{document.source} has {count}, correct these lines:\n{listed}")
