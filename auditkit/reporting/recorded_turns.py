"""Turns of a recorded conversation: role, text, and tool calls with results.

Records may contain hostile text, so fields of an unexpected type are ignored and all other fields
are shown as plain text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditkit.serialization.canonical_json import canonical_json

__all__ = ["RecordedCall", "RecordedTurn", "recorded_turns"]

_OPERATION = "converse"


@dataclass(frozen=True)
class RecordedCall:
    """A tool call with name, arguments and result; the result is empty if there is none."""

    name: str
    arguments: str
    result: str


@dataclass(frozen=True)
class RecordedTurn:
    """One turn of a conversation.

    Attributes:
        number: number of the user's turn, from 1, which the assistant's answer shares; 0 for the
            system.
        role: `system`, `user` or `assistant`.
        calls: tool calls of the assistant, with their results.
        is_last: whether this turn is the recorded response, which the evidence is about.
    """

    number: int
    role: str
    text: str
    calls: tuple[RecordedCall, ...] = ()
    is_last: bool = False


def recorded_turns(body: Mapping[str, Any]) -> tuple[RecordedTurn, ...]:
    """Return the turns of a recorded conversation, ending with the response; empty for other
    records.
    """
    request = body.get("request")
    if not isinstance(request, dict) or request.get("op") != _OPERATION:
        return ()
    listed = request.get("messages")
    messages = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if request.get("prompt"):
        messages.append({"role": "user", "content": request["prompt"]})
    results = {
        _plain(one.get("tool_call_id")): _plain(one.get("content"))
        for one in messages
        if one.get("role") == "tool"
    }
    turns, number = [], 0
    for one in messages:
        role = _plain(one.get("role"))
        if role != "tool":
            number += role == "user"
            calls = tuple(_calls(one.get("tool_calls"), results))
            shown = 0 if role == "system" else number
            turns.append(RecordedTurn(shown, role, _plain(one.get("content")), calls))
    own = tuple(_calls(body.get("trace"), {}))
    return (*turns, RecordedTurn(number, "assistant", _plain(body.get("text")), own, is_last=True))


def _calls(listed: object, results: Mapping[str, str]) -> Iterator[RecordedCall]:
    """Yield the tool calls of a turn; their results are in later turns or in the trace itself."""
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and "name" in one:
            result = _plain(one.get("result")) or results.get(_plain(one.get("id")), "")
            yield RecordedCall(_plain(one["name"]), _plain(one.get("arguments")), result)


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical_json(value)
