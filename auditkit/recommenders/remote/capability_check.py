"""Detect the capabilities of a server with test requests, never from its name.

Scores are used only if they are consistent with what the server generates (`score_check`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from auditkit.errors import TargetError, TargetUnavailable
from auditkit.recommenders.remote.error_body import NO_ROUTE, RefusedField
from auditkit.recommenders.remote.openai_endpoint import Endpoint, ScoringEndpoint
from auditkit.recommenders.remote.score_check import check_scores
from auditkit.types import Request

__all__ = ["connect"]

T = TypeVar("T")
_REMEDIES = {
    "max_tokens": "Set AUDITKIT_MAX_TOKENS to a value that the server accepts.",
    "max_completion_tokens": "Set AUDITKIT_MAX_TOKENS to a value that the server accepts.",
    "messages": "The server refuses these chat turns; check the model's chat template.",
}
_HELLO_TOKENS = 16  # fewer are refused by some servers


def connect(target: str) -> Endpoint:
    """Detect whether a server supports chat or only completions, and whether it returns scores.

    Raises:
        TargetUnavailable: the first request failed; the message names the setting to change.
    """
    endpoint = Endpoint(target)
    try:
        _say_hello(endpoint)
        return _with_scores(target, endpoint)
    except TargetError as error:
        raise TargetUnavailable(_explained(endpoint, error)) from None


def _say_hello(endpoint: Endpoint) -> None:
    """Send the first request: as a chat, or as a completion if the server has no chat."""
    hello = Request(prompt="Say hello.", k=1)

    def ask() -> None:
        endpoint.run_all(endpoint.answer("generate", hello, {"max_new_tokens": _HELLO_TOKENS}))

    try:
        _retried(endpoint, ask)
    except TargetError as error:
        if not error.detail.endswith(NO_ROUTE):
            raise
        endpoint.chat = False
        _retried(endpoint, ask)
    endpoint.notes_at_connection = endpoint.fields.notes()


def _retried(endpoint: Endpoint, ask: Callable[[], T]) -> T:
    """Send test requests with the same retries as all later requests.

    A refused connection is not retried, because at the first request the address is more likely to
    be wrong than the server to be down for a moment.
    """
    limits = endpoint.request_limits
    timeouts = 0
    for attempt in range(limits.attempts):
        try:
            return ask()
        except TargetError as error:
            late = error.reason == "deadline"
            timeouts += late
            again = timeouts == 1 if late else error.retryable and error.reason != "connection"
            wait = max(error.retry_after or 0.0, random.uniform(0, 2.0**attempt))
            last = attempt + 1 == limits.attempts
            if not again or last or wait > limits.longest_retry_after:
                raise
            time.sleep(wait)
    raise AssertionError("a request limit allows at least one attempt")


def _with_scores(target: str, endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with the capability to score if its scores are consistent, and otherwise
    without.

    Raises:
        TargetError: as in `check_scores`.
    """
    found = check_scores(endpoint, lambda ask: _retried(endpoint, ask))
    endpoint.notes_on_scores = found.notes
    if not found.usable:
        return endpoint
    scoring = ScoringEndpoint(target)
    scoring.chat, scoring.fields, scoring.scorer = endpoint.chat, endpoint.fields, found.scorer
    scoring.notes_at_connection = endpoint.notes_at_connection
    scoring.notes_on_scores = found.notes
    return scoring


def _explained(endpoint: Endpoint, error: TargetError) -> str:
    """The message for a failed first request, with the setting to check."""
    check = f"Check the address and the model name {endpoint.name!r}."
    if isinstance(error, RefusedField):
        check = _REMEDIES.get(error.field, "auditkit requires this field; use another server.")
    remedy = {
        "auth": f"Put a valid key into the environment variable {endpoint.key_variable}.",
        "redirect": "Give the address to which the server redirects; redirects are not followed.",
        "connection": "Check that the server is running and that the address is correct.",
        "deadline": "If the model is still being loaded, try again later.",
        "http_5xx": "The server has an internal error or is overloaded; try again later.",
        "rate_limited": "Try again later, or set AUDITKIT_REQUESTS_PER_MINUTE.",
        "tls": "The server certificate is not signed by a known authority; verification cannot be "
        "disabled. If the authority is your own, set SSL_CERT_FILE to its PEM file.",
        "quota": "The account of the key has no quota or credit left; add credit or raise its "
        "limit.",
    }.get(error.reason, check)
    return f"the first request to {endpoint.base} failed ({error}). {remedy}"
