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
from auditkit.serialization.canonical_json import canonical_json
from auditkit.types import Request, Response, Status

__all__ = ["Completion", "response_to", "saying", "usage_of"]

# Every other word, and none at all, means that the text may be incomplete. The words are those of
# OpenAI, TGI and Together, Anthropic, Cohere.
_COMPLETE = (
    "stop", "tool_calls", "function_call", "eos", "eos_token", "stop_sequence", "end_turn",
    "tool_use", "complete",
)  # fmt: skip
# The same for a refusal: OpenAI and Azure, Anthropic, Gemini, Bedrock, Z.ai, Cohere.
_REFUSED = (
    "content_filter", "refusal", "safety", "recitation", "blocklist", "prohibited_content", "spii",
    "guardrail_intervened", "content_filtered", "sensitive", "error_toxic",
)  # fmt: skip
_SERVER_ENDED = ("abort", "error")  # vLLM and SGLang: the server ended it, not the model
_FILTERED, _NO_REASON = "content_filter", "no_finish_reason"
_TEXT_PARTS = ("text", "output_text")
# More than any context window holds. A rate limit would wait for a larger count almost forever.
_MOST_TOKENS = 10**7


class Completion(NamedTuple):
    """The first choice of a completion.

    Attributes:
        text: text of the choice; None if the server returned no text. reason: the finish reason.
            usage: tokens by kind.
        trace: tool calls, each with name and arguments. refused: whether `text` is a refusal that
            the server returned instead of content.
    """

    text: str | None
    reason: str
    usage: Mapping[str, int]
    trace: tuple[Mapping[str, JsonValue], ...] = ()
    refused: bool = False


def saying(result: Mapping[str, Any], *, chat: bool) -> Completion:
    """Read the first choice of a chat completion (`chat`) or of a plain completion.

    Raises:
        TargetError: keys are missing or have a wrong type, or the server aborted the generation.
    """
    choices = result.get("choices")
    if not isinstance(choices, list):
        raise TargetError("bad_schema", detail="the response has no choices")
    usage = usage_of(result)
    if not choices:
        return Completion(None, "", usage)
    choice = choices[0]
    if not isinstance(choice, dict):
        raise TargetError("bad_schema", detail="the choice is not an object")
    reason = str(choice.get("finish_reason") or "").lower()
    if reason in _SERVER_ENDED:
        raise TargetError("incomplete_body", detail="the server ended the text", retryable=True)
    message = choice.get("message") if chat else choice
    if chat and reason in _REFUSED and not isinstance(message, dict):
        return Completion(None, reason, usage)  # Azure leaves out the message
    if not isinstance(message, dict):
        raise TargetError("bad_schema", detail="the choice has no text")
    text, refusal = _text_of(message, "content" if chat else "text")
    refused = bool(refusal.strip()) and not (text or "").strip()
    return Completion(refusal if refused else text, reason, usage, _trace(message), refused)


def _text_of(message: Mapping[str, Any], key: str) -> tuple[str | None, str]:
    """The text of a message and its refusal.

    A message with a role may lack its content, as some servers leave out null values
    (transformers). A content may be a list of parts: text is joined, reasoning and unknown kinds
    are left out.
    """
    refusal = message.get("refusal")
    refusal = refusal if isinstance(refusal, str) else ""
    if key not in message and "role" not in message:
        raise TargetError("bad_schema", detail="the choice has no text")
    content = message.get(key)
    if content is None or isinstance(content, str):
        return content, refusal
    if not isinstance(content, list):
        raise TargetError("bad_schema", detail="the text of the choice is not a string")
    parts = [{"type": "text", "text": p} if isinstance(p, str) else p for p in content]
    known = [part for part in parts if isinstance(part, dict)]
    texts = [part.get("text") for part in known if part.get("type") in _TEXT_PARTS]
    refusals = [part.get("refusal") for part in known if part.get("type") == "refusal"]
    found = [text for text in texts if isinstance(text, str)]
    stated = "".join(text for text in refusals if isinstance(text, str))
    return "".join(found) if found else None, refusal or stated


def _trace(message: Mapping[str, Any]) -> tuple[Mapping[str, JsonValue], ...]:
    """Name and arguments of the tool calls. Calls of another shape are left out, because they say
    nothing about the text beside them.
    """
    calls = message.get("tool_calls")
    found: list[Mapping[str, JsonValue]] = []
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            continue
        arguments = function.get("arguments", "")
        try:
            written = arguments if isinstance(arguments, str) else canonical_json(arguments)
        except (ValueError, RecursionError):  # 1e999, or nested too deeply
            continue
        found.append({"name": function["name"], "arguments": written})
    return tuple(found)


def usage_of(result: Mapping[str, Any]) -> dict[str, int]:
    """Token counts by kind, as the server reports them. Impossible counts are dropped; empty if the
    server reports none.
    """
    counted = result.get("usage")
    return {
        name: value
        for name, value in (counted.items() if isinstance(counted, dict) else ())
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    }


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

    if reason in _REFUSED or refused:
        return response("refusal", reason=_FILTERED if reason in _REFUSED else None)
    unstated = None if reason else _NO_REASON
    if text is None or not text.strip():
        if not cut or not reason:
            return response("no_answer")
        # The limit may be reached within the reasoning, before the first word of the answer.
        return response("truncated", derived={"cut": True})
    if not listed:
        answer = generated_text(request, text)
        # The caller sets the length of a text; every other end is not the end of the text.
        if answer.status == "ok" and cut and reason != "length":
            answer = replace(answer, status="truncated", reason=unstated)
        return replace(answer, usage=usage, trace=trace)
    answer = Response(request_id=request.id, **read_list(text, k=request.k, cut=cut)._asdict())
    if answer.status == "truncated":
        answer = replace(answer, reason=answer.reason or unstated)
    return replace(answer, usage=usage, trace=trace)
