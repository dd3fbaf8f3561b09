"""Strict YAML loader for recipes, policies and `recommender.yaml`.

PyYAML reads `no` as False, `012` as 10, `12:30` as 750, `1e-5` as text and `2027-01-31` as a date,
keeps the last of two equal keys and builds objects from tags. A release decision must not depend on
such conversions, so this module builds plain values from the event stream: limits are checked
before memory is used, every value keeps its line number, and `validate` reports all errors at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

from auditkit.errors import ConfigurationError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "Document", "load_yaml", "parse_yaml"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 20_000

T = TypeVar("T")
Key = str | int

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
}
_MAX_DIGITS = 300


@dataclass(frozen=True)
class Document:
    """A parsed YAML file of plain values: dict with text keys, list, str, int, float, bool, None.

    `lines` maps the path of every key and element to its line, from 1.
    """

    data: Any
    source: str
    lines: Mapping[tuple[Key, ...], int]

    def line(self, path: Sequence[Key]) -> int:
        """Return the line, from 1, of the key or element at `path`, or of its nearest existing
        parent.
        """
        place = tuple(path)
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


class _Fault(NamedTuple):
    line: int
    message: str


class _Builder:
    """Builds plain values from parser events, and collects the line of each value and all
    errors.
    """

    def __init__(self, events: Iterator[yaml.Event], source: str) -> None:
        self._events = events
        self._source = source
        self._n_nodes = 0
        self.lines: dict[tuple[Key, ...], int] = {}
        self.faults: list[_Fault] = []

    def document(self) -> Any:
        value, n_documents = None, 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                n_documents += 1
                if n_documents > 1:
                    self._fault(
                        event, "a second document begins here; a file may contain only one document"
                    )
            elif isinstance(event, yaml.NodeEvent):
                self.lines.setdefault((), _line(event))
                value = self._node(event, ())
        return value

    def _fault(self, event: yaml.Event, message: str) -> None:
        self.faults.append(_Fault(_line(event), message))

    def _node(self, event: yaml.Event, path: tuple[Key, ...]) -> Any:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise _rejected(
                self._source, _line(event), f"the file has more than {MAX_NODES:,} values"
            )
        if len(path) > MAX_DEPTH:
            raise _rejected(
                self._source, _line(event), f"the value is nested deeper than {MAX_DEPTH} levels"
            )
        if isinstance(event, yaml.AliasEvent):
            self._fault(event, f"alias *{event.anchor} is not allowed; write the value instead")
            return None
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # for mypy
        if event.anchor is not None:
            self._fault(event, f"anchor &{event.anchor} is not allowed; write the value instead")
        if event.tag is not None:
            self._fault(event, f"tag {event.tag!r} is not allowed; write a plain value instead")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        assert isinstance(event, yaml.ScalarEvent)  # the parser has no other node event
        return self._scalar(event)

    def _sequence(self, path: tuple[Key, ...]) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            place = (*path, len(values))
            self.lines[place] = _line(event)
            values.append(self._node(event, place))
        return values

    def _mapping(self, path: tuple[Key, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            place = (*path, self._key(event, path, values))
            self.lines.setdefault(place, _line(event))
            values[str(place[-1])] = self._node(next(self._events), place)
        return values

    def _key(self, event: yaml.Event, path: tuple[Key, ...], seen: Mapping[str, Any]) -> str:
        """Read a key, which is always text: `1:` and `true:` are the keys "1" and "true"."""
        if not isinstance(event, yaml.ScalarEvent):
            self._fault(event, "a key must be text")
            self._node(event, (*path, "?"))
            return f"?{_line(event)}"
        self._node(event, (*path, event.value))
        if event.value == "<<" and event.implicit[0]:
            self._fault(event, "merge key << is not allowed; write the keys instead")
        elif event.value in seen:
            first = self.lines[(*path, event.value)]
            self._fault(event, f"key {event.value!r} occurs twice (first on line {first})")
        return event.value

    def _scalar(self, event: yaml.ScalarEvent) -> str | int | float | bool | None:
        text = event.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._fault(event, "text has an unpaired surrogate")
        if not event.implicit[0]:  # quoted or a block: always text
            return text
        if text in _WORDS:
            return _WORDS[text]
        if not _FLOAT.fullmatch(text):
            return text
        if len(text) > _MAX_DIGITS or not math.isfinite(float(text)):
            self._fault(event, f"number {text[:20]}... is too large")
            return None
        return int(text) if _INTEGER.fullmatch(text) else float(text)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _rejected(source: str, line: int, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{source}:{line}: {what}. Correct the file; nothing was read from it."
    )


def parse_yaml(text: str, *, source: str) -> Document:
    """Parse one YAML document.

    Args:
        text: the document. Only `true` and `false` are booleans; dates, `012` and `12:30` are read
            as text.
        source: file name for messages.

    Raises:
        ConfigurationError: the text is not YAML, exceeds a limit (1 MiB, depth 32, 20,000 values),
            or contains a tag, anchor, alias, merge key, duplicate key or second document. The
            message lists all errors, each with its line.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _rejected(source, 1, "the file is larger than 1 MiB")
    try:
        builder = _Builder(iter(yaml.parse(text, Loader=yaml.SafeLoader)), source)
        data = builder.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _rejected(
            source, mark.line + 1 if mark else 1, f"not valid YAML: {error.problem}"
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _rejected(
            source, line, f"character {chr(error.character)!a} is not allowed in YAML"
        ) from None
    if builder.faults:
        listed = "\n".join(f"{source}:{fault.line}: {fault.message}" for fault in builder.faults)
        raise ConfigurationError(f"{source} is not valid. Correct these lines:\n{listed}")
    return Document(data, source, builder.lines)


def load_yaml(path: Path) -> Document:
    """Read and parse one YAML file (UTF-8, with or without byte order mark).

    Raises:
        ConfigurationError: the file cannot be read, is not UTF-8, or `parse_yaml` rejects it.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}). Check the path."
        ) from None
    except UnicodeDecodeError as error:
        if len(content) <= MAX_BYTES:
            raise _rejected(
                str(path), content.count(b"\n", 0, error.start) + 1, "not UTF-8 text"
            ) from None
        text = "x" * len(content)
    return parse_yaml(text, source=str(path))
