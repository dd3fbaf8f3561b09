"""Turns of a conversation with tools, in the form of OpenAI's chat API, and back.

The same form serves servers and Python objects. The ids of tool calls are numbered by auditkit in
the order of the conversation, because those of a server differ from run to run; nine letters and
digits are a form that all servers accept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from auditkit.errors import TargetError
from auditkit.recommenders.prompting.answers import generated_text, read_list
from auditkit.recommenders.protocols import RawTurn
from auditkit.recommenders.remote.completion import Completion, response_to, saying
from auditkit.types import Message, Request, Response

__all__ = ["chat_turns", "read_turn", "turn_response"]


def chat_turns(request: Request) -> list[dict[str, Any]]:
    """The conversation as chat turns; the last one is the user's, or the result of a tool."""
    turns = [_turn(message) for message in request.messages]
    return [*turns, {"role": "user", "content": request.prompt}] if request.prompt else turns


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        turn["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return turn


def turn_response(request: Request, completion: Completion) -> Response:
    """The response for a completed turn: tool calls, or a text, from which a list is parsed if the
    request asks for items (`k` above 0).
    """
    if completion.trace and not completion.refused:
        return Response(
            request_id=request.id, status="ok", text=completion.text, usage=completion.usage,
            trace=completion.trace,
        )  # fmt: skip
    return response_to(request, completion, listed=request.k > 0)


def read_turn(request: Request, answer: RawTurn) -> Response:
    """Convert the next turn that a Python object returned to a Response.

    Raises:
        TargetError: the value is not a text, an OpenAI-style message, a Response or None.
    """
    if answer is None:
        return Response(request_id=request.id, status="no_answer")
    if isinstance(answer, str):
        return _read_text(request, answer)
    if isinstance(answer, Response):
        if answer.items or answer.status != "ok" or not answer.text or request.k < 1:
            return answer
        listed = read_list(answer.text, k=request.k)
        return replace(answer, status=listed.status, reason=listed.reason, items=listed.items)
    if not isinstance(answer, Mapping):
        raise TargetError("wrong_type", detail=f"a turn of type {type(answer).__name__}")
    message = {"role": "assistant", **answer}
    result = {"choices": [{"message": message, "finish_reason": "stop"}]}
    return turn_response(request, saying(result, chat=True))


def _read_text(request: Request, text: str) -> Response:
    if not text.strip():
        return Response(request_id=request.id, status="no_answer", text=text)
    if request.k < 1:
        return generated_text(request, text)
    return Response(request_id=request.id, **read_list(text, k=request.k)._asdict())
