"""Response bodies in the documented shapes of four OpenAI-compatible servers.

Only the fields are theirs; texts and numbers are ours. The sources are the response classes of the
named release and the page that documents the route.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

USAGE = {"prompt_tokens": 21, "completion_tokens": 19, "total_tokens": 40}
CALL = {"name": "search_films", "arguments": '{"genre": "crime"}'}


def chat_logprobs(*tokens: tuple[str, float]) -> dict[str, Any]:
    """`logprobs` of a chat choice, equal in all servers that have them."""
    return {
        "content": [
            {"token": token, "logprob": value, "bytes": list(token.encode()), "top_logprobs": []}
            for token, value in tokens
        ]
    }


def table(tokens: list[str], values: list[float | None], offsets: list[int]) -> dict[str, Any]:
    """`logprobs` of a completion: the four parallel lists of the legacy API."""
    return {
        "text_offset": offsets,
        "token_logprobs": values,
        "tokens": tokens,
        "top_logprobs": [
            None if value is None else {token: value}
            for token, value in zip(tokens, values, strict=True)
        ],
    }


def starts(tokens: list[str]) -> list[int]:
    """Where every token begins in the text."""
    return [sum(map(len, tokens[:i])) for i in range(len(tokens))]


@dataclass(frozen=True, kw_only=True)
class Format:
    """How one server writes its responses.

    Attributes:
        server, source: release, and where the shape is documented.
        message: adds the server's fixed keys to a message. reasoning: key of the reasoning text.
        empty: the content of a message without text.
        choice: further keys of a choice. top: further keys of a response.
        finish_reasons: every documented word, with the status of a list that was cut by it.
        errors: by name, status code and body.
    """

    server: str
    source: str
    message: dict[str, Any]
    reasoning: str
    empty: str | None
    choice: dict[str, Any]
    top: dict[str, Any]
    finish_reasons: dict[str, str]
    errors: dict[str, tuple[int, dict[str, Any]]]
    tool_call: Callable[[int], dict[str, Any]]

    def chat(self, text: str | None, *, reason: str | None = "stop", **more: Any) -> dict[str, Any]:
        """A chat completion; `more` are keys of the message, or `logprobs` of the choice."""
        logprobs = {"logprobs": more.pop("logprobs")} if "logprobs" in more else {}
        message = {"role": "assistant", "content": text, **self.message, **more}
        choice = {**self.choice, "index": 0, "message": message, **logprobs}
        return self._response("chat.completion", {**choice, "finish_reason": reason})

    def completion(
        self, text: str, *, reason: str | None = "stop", logprobs: Any = None
    ) -> dict[str, Any]:
        """A completion of the legacy API."""
        choice = {**self.choice, "index": 0, "text": text, "logprobs": logprobs}
        return self._response("text_completion", {**choice, "finish_reason": reason})

    def _response(self, kind: str, choice: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": "r-1", "object": kind, "created": 1790000000, "model": "films",
            "choices": [choice], "usage": dict(USAGE), **self.top,
        }  # fmt: skip


def _nested(message: str, kind: str, code: int, **more: Any) -> tuple[int, dict[str, Any]]:
    return code, {"error": {"message": message, "type": kind, "code": code, **more}}


def _flat(message: str, kind: str, code: int) -> tuple[int, dict[str, Any]]:
    return code, {
        "object": "error", "message": message, "type": kind, "param": None, "code": code,
    }  # fmt: skip


VLLM = Format(
    server="vLLM 0.33.0",
    source="vllm/entrypoints/openai/*/protocol.py; docs.vllm.ai, OpenAI-compatible server",
    message={
        "refusal": None, "annotations": None, "audio": None, "function_call": None,
        "reasoning": None,
    },
    reasoning="reasoning",
    empty=None,
    choice={"logprobs": None, "stop_reason": None, "token_ids": None},
    top={"service_tier": None, "prompt_logprobs": None, "kv_transfer_params": None},
    finish_reasons={
        "stop": "ok", "length": "truncated", "tool_calls": "ok", "repetition": "truncated",
        "abort": "target_error",
    },
    errors={
        "overflow": _nested(
            "This model's maximum context length is 2048 tokens. However, you requested 512 output "
            "tokens and your prompt contains 4000 input tokens.",
            "BadRequestError", 400, param="input_tokens",
        ),
        "model": _nested(
            "The model `films` does not exist.", "NotFoundError", 404, param="model"
        ),
        "value": _nested("temperature must be non-negative", "BadRequestError", 400, param=None),
        "fault": _nested("Internal server error", "InternalServerError", 500, param=None),
    },
    tool_call=lambda i: {"id": f"call-{i}", "type": "function", "function": CALL},
)  # fmt: skip

SGLANG = Format(
    server="SGLang 0.5.23",
    source="sglang/srt/entrypoints/openai/protocol.py; docs.sglang.io, OpenAI APIs",
    message={"reasoning_content": None},
    reasoning="reasoning_content",
    empty="",
    choice={"logprobs": None, "matched_stop": None},
    top={"metadata": {"weight_version": "default"}},
    finish_reasons={
        "stop": "ok", "length": "truncated", "tool_calls": "ok", "function_call": "ok",
        "content_filter": "refusal", "abort": "target_error",
    },
    errors={
        "overflow": _flat(
            "The input (4000 tokens) is longer than the model's context length (2048 tokens).",
            "BadRequest", 400,
        ),
        "overflow_with_output": _flat(
            "Requested token count exceeds the model's maximum context length of 2048 tokens.",
            "BadRequest", 400,
        ),
        "value": _flat("Prompt cannot be empty", "BadRequestError", 400),
        "fault": _flat("Internal server error: out of memory", "InternalServerError", 500),
    },
    tool_call=lambda i: {"id": f"call_{i}", "index": i, "type": "function", "function": CALL},
)  # fmt: skip

LLAMA_CPP = Format(
    server="llama.cpp server 0c1e57098 (in llama-cpp-python 0.3.36)",
    source="tools/server/server-task.cpp, common/chat.cpp; tools/server/README.md",
    message={},
    reasoning="reasoning_content",
    empty="",
    choice={},
    top={
        "system_fingerprint": "b9000-0c1e57098",
        "usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 20}},
        "timings": {"cache_n": 20, "prompt_n": 1, "prompt_ms": 30.9, "predicted_n": 19},
    },
    finish_reasons={"stop": "ok", "length": "truncated", "tool_calls": "ok"},
    errors={
        "overflow": _nested(
            "request (4000 tokens) exceeds the available context size (2048 tokens), try "
            "increasing it", "exceed_context_size_error", 400, n_prompt_tokens=4000, n_ctx=2048,
        ),
        "value": _nested("invalid request", "invalid_request_error", 400),
        "loading": _nested("Loading model", "unavailable_error", 503),
        "echo": _nested("Only no echo is supported", "server_error", 500),
        "fault": _nested("Failed to tokenize", "server_error", 500),
    },
    tool_call=lambda i: {"type": "function", "function": CALL, "id": f"id{i}"},
)  # fmt: skip

TRANSFORMERS = Format(
    server="transformers serve 5.24.0",
    source="transformers/cli/serving/*.py; huggingface.co/docs/transformers/serving",
    message={},
    reasoning="reasoning_content",
    empty="",
    choice={},
    top={},
    finish_reasons={"stop": "ok", "length": "truncated", "tool_calls": "ok"},
    errors={
        "model": (400, {"detail": "Server is pinned to './smollm2'; requested 'films'."}),
        "value": (422, {"detail": "Unexpected fields in the request: {'top_k'}"}),
        "route": (404, {"detail": "Not Found"}),
    },
    tool_call=lambda i: {"id": f"r-1_tool_call_{i}", "type": "function", "function": CALL},
)

FORMATS = (VLLM, SGLANG, LLAMA_CPP, TRANSFORMERS)
