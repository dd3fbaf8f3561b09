"""Parse the completion of a server and assign its status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import JsonValue

from auditkit.errors import TargetError
from auditkit.recommenders.prompting.parsing import parse_cut, parse_list, status_of_text
from auditkit.types import RankedItem, Request, Response, Status

__all__ = ["Completion", "response_to", "saying", "usage_of"]


class Completion(NamedTuple):
    """The first choice of a completion.

    Attributes:
        text: None if the server returned none. reason: the finish reason. usage: tokens by kind.
        trace: tool calls, each with name and arguments.
    """

    text: str | None
    reason: str
    usage: Mapping[str, int]
    trace: tuple[Mapping[str, JsonValue], ...] = ()


def saying(result: Mapping[str, Any], *, chat: bool) -> Completion:
    """Read the first choice of a chat completion (`chat`) or of a plain completion.

    Raises:
        TargetError: keys are missing or of another type.
    """
    choices = result.get("choices")
    if not isinstance(choices, list):
        raise TargetError("bad_schema", detail="the response has no choices")
    usage = usage_of(result)
    if not choices:
        return Completion(None, "", usage)
    try:
        text = choices[0]["message"]["content"] if chat else choices[0]["text"]
        reason = choices[0].get("finish_reason") or ""
        calls = (choices[0]["message"].get("tool_calls") or ()) if chat else ()
        trace = tuple(
            {name: _content_text(call["function"][name]) for name in ("name", "arguments")}
            for call in calls
        )
    except (KeyError, TypeError, AttributeError):
        raise TargetError("bad_schema", detail="the choice has no text") from None
    if text is not None and not isinstance(text, str):
        raise TargetError("bad_schema", detail="the text of the choice is not a string")
    return Completion(text, str(reason), usage, trace)


def usage_of(result: Mapping[str, Any]) -> dict[str, int]:
    """Tokens by kind, as counted by the server; empty if it does not count them."""
    counted = result.get("usage")
    return {
        name: value
        for name, value in (counted.items() if isinstance(counted, dict) else ())
        if isinstance(value, int) and not isinstance(value, bool)
    }


def _content_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def response_to(request: Request, completion: Completion, *, listed: bool) -> Response:
    """Convert a completion to a Response; only complete titles are read from a truncated text.

    Args:
        listed: whether the request was for a list; otherwise the text itself is the response.
    """
    text, reason, usage, trace = completion

    def response(status: Status, **more: Any) -> Response:
        return Response(
            request_id=request.id, status=status, text=text, usage=usage, trace=trace, **more
        )

    if reason == "content_filter":
        return response("refusal", reason=reason)
    if text is None:
        return response("no_answer")
    if not listed:
        return response("ok" if text.strip() else "no_answer")
    cut = reason == "length"
    parsed = parse_cut(text) if cut else parse_list(text)
    return response(
        status_of_text(text, n_items=len(parsed.titles), cut=cut, k=request.k),
        items=tuple(RankedItem(raw=title) for title in parsed.titles),
        derived={"parse_style": parsed.style, **({"cut": True} if cut else {})},
    )
