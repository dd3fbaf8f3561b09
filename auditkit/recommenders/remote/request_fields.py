"""Adapt the fields of a request to what a server accepts.

Reasoning models of OpenAI and Azure take `max_completion_tokens` instead of `max_tokens` and only
temperature 1; Gemini and Mistral refuse `seed`. Each such refusal is learned once and applied to
all later requests, and `notes` states it, because some of these fields affect the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditkit.recommenders.remote.error_body import RefusedField

__all__ = ["RequestFields"]

_RENAMED = {"max_tokens": "max_completion_tokens"}
_OPTIONAL = ("temperature", "seed", "top_p")
_EFFECTS = {
    "temperature": "such requests were sent without it, so they used the server's own temperature, "
    "and an answer that should be greedy may be sampled",
    "seed": "requests were sent without it, so the server does not repeat a sampled answer",
    "top_p": "requests were sent without it",
}


class RequestFields:
    """The request fields that one server refused so far."""

    def __init__(self) -> None:
        self._renamed: set[str] = set()
        self._dropped: set[tuple[str, float | None]] = set()  # None: whatever the value

    def applied_to(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body without refused fields and with renamed fields."""
        return {
            (_RENAMED[name] if name in self._renamed else name): value
            for name, value in body.items()
            if not {(name, None), (name, _number(value))} & self._dropped
        }

    def learn(self, error: RefusedField, sent: Mapping[str, Any]) -> bool:
        """Record that the server refuses a field; return False if auditkit requires the field."""
        field = error.field
        if field in _RENAMED and not error.by_value:
            self._renamed.add(field)
            return True
        if field not in _OPTIONAL or field not in sent:
            return False
        self._dropped.add((field, _number(sent[field]) if error.by_value else None))
        return True

    def notes(self) -> tuple[str, ...]:
        """Notes for the report on changed fields; empty if no field was changed."""
        renamed = [
            f"The server refuses {name}: {_RENAMED[name]} was sent instead."
            for name in sorted(self._renamed)
        ]
        dropped = [
            f"The server refuses {name}{'' if value is None else f' {value:g}'}: {_EFFECTS[name]}."
            for name, value in self._dropped
        ]
        return (*renamed, *sorted(dropped))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
