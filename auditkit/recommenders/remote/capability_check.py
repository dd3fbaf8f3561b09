"""Find out what a server can do by asking it, never from its name.

Scores are believed only if they agree with themselves: a token that the server writes must get the
same log-probability when the server reads it. Some servers answer with those of the neighbouring
token (llama-cpp-python 0.3 does), and every number would be wrong without a word.
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
_AGREE = 0.1  # nats; batching and caches move a server's numbers by less


def connect(target: str) -> Endpoint:
    """Ask a server what it can do: chat, else completions; then scores.

    Raises:
        TargetUnavailable: it refuses the first request; the message names the setting to change.
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
    """The endpoint with its scoring capability, if its scores agree with themselves."""
    for attempt in range(_ATTEMPTS):
        try:
            noise, gap = _measured(endpoint)
            break
        except TargetError as error:
            if not error.retryable:
                return endpoint
            if attempt + 1 == _ATTEMPTS:  # it may score: who cannot tell may not skip probes
                raise TargetUnavailable(_explained(endpoint, error)) from None
            time.sleep(2.0**attempt)
    if gap > _AGREE:
        endpoint.notes_on_scores = (
            f"The server's log-probability of a token that it writes and of the same token that it "
            f"reads differ by {gap:.3g} nats: its scores are wrong and were not used.",
        )
        return endpoint
    scoring = ScoringEndpoint(target)
    scoring.chat = endpoint.chat
    scoring.notes_on_scores = (f"One text scored twice differs by {noise:.3g} nats.",)
    return scoring


def _measured(endpoint: Endpoint) -> tuple[float, float]:
    """How far one text scored twice differs, and a token written and read, in nats."""
    once, again = (endpoint.run_all(endpoint.reads(_PROMPT, _CONTINUATION))[0][0] for _ in range(2))
    token, written = endpoint.run_all(endpoint.writes(_PROMPT))[0]
    read, _ = endpoint.run_all(endpoint.reads(_PROMPT, token))[0]
    return abs(sum(once) - sum(again)), abs(sum(read) - written)


def _explained(endpoint: Endpoint, error: TargetError) -> str:
    """What the server refused, and which setting to look at."""
    remedy = {
        "auth": f"Put a valid key into the environment variable {endpoint.key_variable}.",
        "redirect": "Give the address that it redirects to; redirects are not followed.",
        "connection": "Is the server running, and the address right?",
        "deadline": "Is the model still being loaded? Start again.",
        "http_5xx": "The server is in trouble; start again when it answers.",
        "rate_limited": "Start again later, or set AUDITKIT_REQUESTS_PER_MINUTE.",
        "tls": "Its certificate is not valid; verification cannot be switched off.",
    }.get(error.reason, f"Check the address and the model name {endpoint.name!r}.")
    return f"{endpoint.base} refuses the first request ({error}). {remedy}"
