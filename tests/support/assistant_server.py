"""A chat server in front of a fake assistant, which speaks OpenAI's API with tools."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

from recorded_server import answering

from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import Message, Request, ToolCall


def request_of(body: dict[str, Any], k: int) -> Request:
    """The conversation as the assistant reads it, identified by its content."""
    turns = [
        Message(
            turn["role"],
            turn.get("content") or "",
            tuple(
                ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
                for call in turn.get("tool_calls", ())
            ),
            turn.get("tool_call_id", ""),
        )
        for turn in body["messages"]
    ]
    prompt = turns.pop().content if turns[-1].role == "user" else ""
    return Request(
        id=sha256_json([body["messages"], body.get("seed")])[:16],
        messages=tuple(turns), prompt=prompt, k=k,
    )  # fmt: skip


@contextmanager
def assistant(fake: Any, *, k: int = 3, refuses_tools: bool = False):
    """A running server: (base URL, the bodies of the requests to it)."""

    def respond(path: str, body: dict[str, Any]):
        if not path.endswith("/chat/completions"):
            return 404, {"error": {"message": "no such route"}}
        if body["messages"][-1]["content"] == "Say hello.":
            return {"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}]}
        if refuses_tools and "tools" in body:
            return 400, {"error": {"message": "tools are not supported"}}
        (reply,) = fake.converse([request_of(body, k)], tools=body.get("tools", ()))
        message = {"role": "assistant", **({"content": reply} if isinstance(reply, str) else reply)}
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        return {"choices": [{"message": message, "finish_reason": reason}]}

    with answering(respond) as (url, seen):
        yield url, seen
