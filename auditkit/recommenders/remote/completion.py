"""Parse the completion of a server and assign its status.

Reasoning text (`reasoning_content` of SGLang, llama.cpp and transformers; `reasoning` of vLLM) is
not part of a response. A text is complete only if its finish reason is known to mean that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import JsonValue

from auditkit.errors import TargetError
from auditkit.recommenders.prompting.answers import generated_text, read_list
from auditkit.types import Request, Response, Status

__all__ = ["Completion", "response_to", "saying", "usage_of"]

# Servers without a finish reason exist; the last three words are those of TGI and Together.
_COMPLETE = ("", "stop", "tool_calls", "function_call", "eos", "eos_token", "stop_sequence")
_SERVER_ENDED = ("abort", "error")  # vLLM and SGLang: the server ended it, not the model


class Completion(NamedTuple):
    """The first choice of a completion.

    Attributes:
        text: None if the server returned none. reason: the finish reason. usage: tokens by kind.
        trace: tool calls, each with name and arguments. refused: whether `text` is the refusal that
            the server returned in place of a content.
    """

    text: str | None
    reason: str
    usage: Mapping[str, int]
    trace: tuple[Mapping[str, JsonValue], ...] = ()
    refused: bool = False


def saying(result: Mapping[str, Any], *, chat: bool) -> Completion:
    """Read the first choice of a chat completion (`chat`) or of a plain completion.

    Raises:
        TargetError: keys are missing or of another type, or the server ended the generation.
    """
    choices = result.get("choices")
    if not isinstance(choices, list):
        raise TargetError("bad_schema", detail="the response has no choices")
    usage = usage_of(result)
    if not choices:
        return Completion(None, "", usage)
    try:
        message = choices[0]["message"] if chat else {}
        text = _content(message) if chat else choices[0]["text"]
        reason = choices[0].get("finish_reason") or ""
        refusal = message.get("refusal")
        calls = message.get("tool_calls") or ()
        trace = tuple(
            {name: _content_text(call["function"][name]) for name in ("name", "arguments")}
            for call in calls
        )
    except (KeyError, TypeError, AttributeError):
        raise TargetError("bad_schema", detail="the choice has no text") from None
    if text is not None and not isinstance(text, str):
        raise TargetError("bad_schema", detail="the text of the choice is not a string")
    reason = str(reason).lower()
    if reason in _SERVER_ENDED:
        raise TargetError("incomplete_body", detail="the server ended the text", retryable=True)
    refused = isinstance(refusal, str) and bool(refusal.strip()) and not (text or "").strip()
    return Completion(refusal if refused else text, reason, usage, trace, refused)


def _content(message: Mapping[str, Any]) -> Any:
    """The content of a chat message; a message with a role may lack it, as null values are left out
    by some servers (transformers).
    """
    return message.get("content") if "role" in message else message["content"]


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
    text, reason, usage, trace, refused = completion
    cut = reason not in _COMPLETE

    def response(status: Status, **more: Any) -> Response:
        return Response(
            request_id=request.id, status=status, text=text, usage=usage, trace=trace, **more
        )

    if reason == "content_filter" or refused:
        return response("refusal", reason=reason if reason == "content_filter" else None)
    if text is None or not text.strip():
        # The limit may be reached within the reasoning, before the first word of the answer.
        return response("truncated", derived={"cut": True}) if cut else response("no_answer")
    if not listed:
        answer = generated_text(request, text)
        # The caller sets the length of a text; every other end is not the end of the text.
        early = answer.status == "ok" and cut and reason != "length"
        return replace(
            answer, usage=usage, trace=trace, status="truncated" if early else answer.status
        )
    answer = Response(request_id=request.id, **read_list(text, k=request.k, cut=cut)._asdict())
    return replace(answer, usage=usage, trace=trace)
