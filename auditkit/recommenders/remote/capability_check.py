"""Detect the capabilities of a server with test requests, never from its name.

Scores are used only if they are consistent: a generated token must have the same log-probability
when it is scored as a part of the prompt. Some servers return the log-probabilities of the adjacent
token (llama-cpp-python 0.3 does), which would make every score wrong silently.
"""

from __future__ import annotations

import time

from auditkit.errors import TargetError, TargetUnavailable
from auditkit.recommenders.remote.http_client import NO_ROUTE
from auditkit.recommenders.remote.openai_endpoint import Endpoint, ScoringEndpoint
from auditkit.types import Request

__all__ = ["connect"]

_PROMPT, _CONTINUATION = "The capital of France is", " Paris"
_ATTEMPTS = 3
_AGREE = 0.1  # nats; batching and caches change the scores of a server by less


def connect(target: str) -> Endpoint:
    """Detect the capabilities of a server: chat, else completions; then scores.

    Raises:
        TargetUnavailable: the first request failed; the message names the setting to change.
    """
    endpoint = Endpoint(target)
    hello = Request(prompt="Name one film.", k=1)
    try:
        endpoint.run_all(endpoint.answer("generate", hello, {"max_new_tokens": 8}))
    except TargetError as error:
        if not error.detail.endswith(NO_ROUTE):
            raise TargetUnavailable(_explained(endpoint, error)) from None
        endpoint.chat = False
        try:
            endpoint.run_all(endpoint.answer("generate", hello, {"max_new_tokens": 8}))
        except TargetError as second:
            raise TargetUnavailable(_explained(endpoint, second)) from None
    return _with_scores(target, endpoint)


def _with_scores(target: str, endpoint: Endpoint) -> Endpoint:
    """The endpoint with its scoring capability if its scores are consistent, otherwise without
    it.
    """
    for attempt in range(_ATTEMPTS):
        try:
            noise, gap = _measured(endpoint)
            break
        except TargetError as error:
            if not error.retryable:
                return endpoint
            # The server may support scores; if that is unknown, no probe may be skipped.
            if attempt + 1 == _ATTEMPTS:
                raise TargetUnavailable(_explained(endpoint, error)) from None
            time.sleep(2.0**attempt)
    if gap > _AGREE:
        endpoint.notes_on_scores = (
            "The server's log-probabilities of a generated token and of the same token in a prompt "
            f"differ by {gap:.3g} nats: its scores are wrong and were not used.",
        )
        return endpoint
    scoring = ScoringEndpoint(target)
    scoring.chat = endpoint.chat
    scoring.notes_on_scores = (f"One text scored twice differs by {noise:.3g} nats.",)
    return scoring


def _measured(endpoint: Endpoint) -> tuple[float, float]:
    """Two differences in nats: between two scores of the same text, and between the log-probability
    of a token when generated and when scored.
    """
    once, again = (endpoint.run_all(endpoint.reads(_PROMPT, _CONTINUATION))[0][0] for _ in range(2))
    token, written = endpoint.run_all(endpoint.writes(_PROMPT))[0]
    read, _ = endpoint.run_all(endpoint.reads(_PROMPT, token))[0]
    return abs(sum(once) - sum(again)), abs(sum(read) - written)


def _explained(endpoint: Endpoint, error: TargetError) -> str:
    """The message for a failed first request, with the setting to check."""
    remedy = {
        "auth": f"Put a valid key into the environment variable {endpoint.key_variable}.",
        "redirect": "Give the address that it redirects to; redirects are not followed.",
        "connection": "Check that the server is running and that the address is correct.",
        "deadline": "If the model is still being loaded, try again later.",
        "http_5xx": "The server has an internal error or is overloaded; try again later.",
        "rate_limited": "Try again later, or set AUDITKIT_REQUESTS_PER_MINUTE.",
        "tls": "Its certificate is not valid; verification cannot be disabled.",
    }.get(error.reason, f"Check the address and the model name {endpoint.name!r}.")
    return f"the first request to {endpoint.base} failed ({error}). {remedy}"
