"""Deduplication of long values that many records contain, such as a user's history.

Probes send many requests about the same users. In the file, a value that an earlier record has in
the same field is replaced by `{"same_as": SEQ}`, where SEQ is the number of the first record with
this value. In memory, records always contain the value itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from auditkit.serialization.canonical_json import canonical_json

__all__ = ["SharedValues", "with_shared_values"]

_REFERENCE = "same_as"
_MIN_LENGTH = 80  # of the JSON text; a reference takes up to 20
# These hold lists or text, never a mapping, so that a reference cannot be mistaken for a value.
_OF_REQUEST = ("candidates", "continuations", "history", "instruction", "messages", "prompt")
_OF_RECORD = ("items", "text")

Body = Mapping[str, Any]


class SharedValues:
    """Index of the long values of the records written so far."""

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}

    def replace(self, body: Body, seq: int) -> Body:
        """Replace values that an earlier record contains by references to that record.

        Args:
            seq: sequence number of the record.
        """
        request = body.get("request")
        if isinstance(request, dict):
            body = {**body, "request": self._replaced(request, _OF_REQUEST, seq)}
        return self._replaced(body, _OF_RECORD, seq)

    def _replaced(self, holder: Body, fields: Sequence[str], seq: int) -> Body:
        earlier = {}
        for name in fields:
            value = holder.get(name)
            if isinstance(value, str | list | tuple) and value:
                text = canonical_json(value)
                if len(text) >= _MIN_LENGTH:
                    key = sha256(f"{name}:{text}".encode("ascii")).digest()
                    first = self._first.setdefault(key, seq)
                    if first != seq:
                        earlier[name] = {_REFERENCE: first}
        return {**holder, **earlier}

    def forget(self, n: int) -> None:
        """Forget the values of all records after the first n, because they could not be written."""
        self._first = {key: seq for key, seq in self._first.items() if seq < n}


def with_shared_values(body: Body, records: Sequence[Body]) -> Body:
    """Replace the references in a record by their values.

    Args:
        body: the record as read from the file.
        records: all earlier records, with references already replaced.

    Raises:
        ValueError: a reference does not name an earlier record that has this field.
    """
    request = body.get("request")
    if isinstance(request, dict):
        resolved = _resolved(request, _OF_REQUEST, lambda seq: records[seq]["request"])
        body = body if resolved is request else {**body, "request": resolved}
    return _resolved(body, _OF_RECORD, lambda seq: records[seq])


def _resolved(holder: Body, fields: Sequence[str], record: Callable[[int], Body]) -> Body:
    found = {}
    for name in fields:
        value = holder.get(name)
        if isinstance(value, dict):
            try:
                found[name] = record(_position(value))[name]
            except (KeyError, IndexError, TypeError):
                raise ValueError(
                    f"its {name} refers to a record that does not contain this value"
                ) from None
    return {**holder, **found} if found else holder


def _position(reference: Body) -> int:
    position = reference[_REFERENCE]
    if type(position) is not int or position < 0 or len(reference) != 1:
        raise TypeError("a reference must be the number of a record")
    return position
