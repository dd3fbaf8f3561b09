"""Classify an error response of an OpenAI-compatible server by its status code and body.

Servers agree on status codes but on little else. The error is classified by words in the fields
`code`, `type`, `param`, `loc`, `message` and `detail`, wherever they are nested;
docs/reference/endpoints.md names the server of every form. The text of a server never appears in an
error: its detail contains only names that auditkit sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from auditkit.errors import TargetError
from auditkit.serialization.canonical_json import read_json

__all__ = ["NO_ROUTE", "UNKNOWN_MODEL", "RefusedField", "error_in_body", "error_of_status"]

# A 404 can mean either; only a server that has the route mentions the model.
NO_ROUTE, UNKNOWN_MODEL = "no such route", "no such model"
# The last codes are those of Groq (498), Cloudflare (520 to 524) and Anthropic (529).
_RETRYABLE = (408, 425, 429, 498, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)
_INVALID = (400, 404, 413, 422)
# OpenAI, vLLM, llama.cpp, SGLang, TGI and Gemini, in this order.
_OVERFLOW = (
    "context_length_exceeded",
    "maximum context length",
    "exceed_context_size",
    "model's context length",
    "tokens + `max_new_tokens` must be",
    "exceeds the maximum number of tokens allowed",
)
# llama.cpp refuses `echo` with status 500, which elsewhere means a fault that may pass.
_NO_ECHO = "no echo is supported"
# OpenAI, Azure, DashScope, Z.ai and OpenRouter, in this order.
_FILTERED = (
    "content_filter",
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "data_inspection_failed",
    "1301",
    "flagged_input",
)
# OpenAI, Moonshot, DeepSeek and Anthropic. Waiting does not help against any of them.
_OUT_OF_QUOTA = (
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "exceeded_current_quota_error",
    "insufficient balance",
    "credit balance is too low",
)
# The type of an error without a numeric code, and the status that it stands for.
_TYPES = {
    "rate_limit": 429, "too_many_requests": 429, "overloaded": 503, "unavailable": 503,
    "timeout": 504, "server_error": 500, "internal": 500, "authentication": 401,
}  # fmt: skip
_ABOUT_NAME = re.compile(
    r"unsupported|not supported|does not support|doesn't support|unknown|unrecognized|extra|"
    r"unexpected|not permitted|not allowed|cannot find field"
)
_ABOUT_VALUE = re.compile(r"unsupported.value|only the default|must be|invalid|too large|at most")
_ERROR_STATUS = re.compile(r"[45][0-9]{2}")
_NAME_KEYS = ("param", "field")
_CODE_KEYS = ("code", "type", "status", "error_type", "flagged_input")
_TEXT_KEYS = ("message", "detail", "error", "msg", "description", "details")
_MAX_DEPTH = 8


class RefusedField(TargetError):
    """Error: the server refuses a field of the request.

    Attributes:
        field: name of the field. by_value: whether only its value is refused.
    """

    def __init__(self, detail: str, *, field: str, by_value: bool) -> None:
        super().__init__("bad_schema", detail=detail)
        self.field, self.by_value = field, by_value


class _Error(NamedTuple):
    """The strings of an error body: names of fields, codes, and everything in lower case."""

    names: tuple[str, ...]
    codes: tuple[str, ...]
    text: str

    def says(self, words: tuple[str, ...]) -> bool:
        return any(word in self.codes or (len(word) > 4 and word in self.text) for word in words)


def error_of_status(
    status: int, body: str, *, sent: Mapping[str, Any], retry_after: float | None = None
) -> TargetError:
    """The error for a status code other than 200, with the reason that the run log records.

    Args:
        body: body of the response. sent: the request. retry_after: seconds that the server demands.
    """
    return _classified(status, _read(body), sent=sent, retry_after=retry_after)


def _classified(
    status: int, error: _Error, *, sent: Mapping[str, Any], retry_after: float | None = None
) -> TargetError:
    detail = f"status {status}"
    if 300 <= status < 400:
        return TargetError("redirect", detail=detail)
    if status == 402 or error.says(_OUT_OF_QUOTA):
        return TargetError("quota", detail=f"{detail}, no quota or credit is left")
    if status in (400, 403, 422, 451) and error.says(_FILTERED):
        return TargetError("content_filter", detail=detail)
    if status in (401, 403):
        return TargetError("auth", detail=detail)
    if status == 500 and _NO_ECHO in error.text:
        return TargetError("bad_schema", detail=f"{detail}, {_NO_ECHO}")
    if status in _RETRYABLE:
        reason = "rate_limited" if status == 429 else "http_5xx"
        return TargetError(reason, detail=detail, retryable=True, retry_after=retry_after)
    if status in _INVALID:
        return _invalid(detail, status, error, sent)
    if status == 405:
        return TargetError("bad_schema", detail=f"{detail}, {NO_ROUTE}")
    return TargetError("bad_schema", detail=detail)


def error_in_body(value: object, *, sent: Mapping[str, Any]) -> TargetError | None:
    """The error that the body of a response with status 200 contains.

    The error is classified as if the server had returned the matching HTTP status.

    Returns:
        The error; None if the body is a JSON object without an error.
    """
    if not isinstance(value, dict):
        return TargetError("bad_schema", detail="the response is not a JSON object")
    stated = value.get("error")
    if stated is None and value.get("object") != "error":
        return None
    error = _error_of(value)
    numbers = [int(code) for code in error.codes if _ERROR_STATUS.fullmatch(code)]
    named = [code for word, code in _TYPES.items() if any(word in own for own in error.codes)]
    status = next(iter([*numbers, *named]), None)
    if status is None and not (error.says(_OUT_OF_QUOTA) or error.says(_FILTERED)):
        return TargetError("bad_schema", detail="the response is an error")
    return _classified(status or 400, error, sent=sent)


def _invalid(detail: str, status: int, error: _Error, sent: Mapping[str, Any]) -> TargetError:
    """The error for a request that the server calls invalid."""
    if any(phrase in error.text for phrase in _OVERFLOW):
        return TargetError("context_overflow", detail=detail)
    model = str(sent.get("model", ""))
    if status == 404 and model:
        found = UNKNOWN_MODEL if model.lower() in error.text else NO_ROUTE
        return TargetError("bad_schema", detail=f"{detail}, {found}")
    field = _refused(error, sent)
    if field is None:
        return TargetError("bad_schema", detail=detail)
    value = sent[field]
    shown = f" {value}" if isinstance(value, int | float) else ""
    # "Unsupported value" is about the value, although it contains the word of the other case.
    about_value = bool(_ABOUT_VALUE.search(error.text)) or not _ABOUT_NAME.search(error.text)
    about_name = "max_completion_tokens" in error.text or "unsupported_parameter" in error.codes
    return RefusedField(
        f"{detail}, the server refuses {field}{shown}",
        field=field,
        by_value=about_value and not about_name,
    )


def _refused(error: _Error, sent: Mapping[str, Any]) -> str | None:
    """The field of the request that an error is about."""
    for name in error.names:
        last = name.replace("]", "").replace("[", ".").split(".")[-1]
        for part in (last, name.split(".")[0].split("[")[0]):
            if part in sent:
                return part
    if not (_ABOUT_NAME.search(error.text) or _ABOUT_VALUE.search(error.text)):
        return None
    names = (name for name in sent if name not in ("model", "messages", "prompt"))
    return next((n for n in names if re.search(rf"(?<!\w){n}(?!\w)", error.text)), None)


def _read(body: str) -> _Error:
    try:
        return _error_of(read_json(body))
    except (ValueError, RecursionError):
        return _Error((), (), body.lower())


def _error_of(value: object) -> _Error:
    pairs = list(_strings(value, "", _MAX_DEPTH))
    return _Error(
        tuple(text for key, text in pairs if key in _NAME_KEYS),
        tuple(text.lower() for key, text in pairs if key in _CODE_KEYS),
        "\n".join(text for key, text in pairs if key in (*_TEXT_KEYS, *_CODE_KEYS)).lower(),
    )


def _strings(value: object, key: str, depth: int) -> Iterator[tuple[str, str]]:
    """The strings and numbers of a body with their keys; `loc` (pydantic) is a name."""
    if depth == 0:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "loc" and isinstance(inner, list):
                yield "param", ".".join(str(part) for part in inner if part != "body")
            elif name in ("content_filter_result", "content_filter_results", "flagged_input"):
                yield "code", name if name == "flagged_input" else "content_filter"
            else:
                yield from _strings(inner, name, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key, depth - 1)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield key, str(value)
