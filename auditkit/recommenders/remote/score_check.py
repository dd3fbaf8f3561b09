"""Check whether a server's log-probabilities are consistent, with test requests.

Scores are used only if a generated token has the same log-probability when it is scored as given
text. Some servers return the log-probabilities of the adjacent token (llama-cpp-python 0.3 does),
which would make every score wrong silently. For a chat model, the token is generated in a chat, so
that a server that scores without the chat template is detected. If only plain text can be scored,
a chat model has no scores: the probability of a text after the plain prompt is not that of the
list, and a short interval around it would make it look certain.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from auditkit.errors import TargetError
from auditkit.recommenders.remote.chat_logprobs import REASONS
from auditkit.recommenders.remote.chat_scoring import CHAT_SCORERS, ChatScorer
from auditkit.recommenders.remote.openai_endpoint import Endpoint
from auditkit.types import Request

__all__ = ["CHAT_NOTE", "ScoreCheck", "check_scores"]

T = TypeVar("T")
CHAT_NOTE = "Log-probabilities are those of answers in a chat, after the model's chat template"
_PROMPT, _CONTINUATION = "The capital of France is", " Paris"
_CHAT_PROMPTS = ("What is the capital of France?", "Name a movie with a robot.")
# A template that strips the last message changes every text that ends with a line break.
_CHAT_CONTINUATIONS = ("Paris", "Paris is\n")
_INTERNAL, _BROKEN = "status 500", ("connection", "incomplete_body")
_REASONED = (
    "The model reasons before it answers, so log-probabilities of the answer alone do not apply "
    "to its lists and were not used."
)
_AGREE = 0.1  # nats; batching and caches change the scores of a server by less


class Retried(Protocol):
    """Runs a test request with the same retries as all later requests."""

    def __call__(self, ask: Callable[[], T]) -> T:
        """Run a test request with retries; the last error is raised."""
        ...


class ScoreCheck(NamedTuple):
    """Whether and how the scores of a server are used.

    Attributes:
        usable: whether scores are used. scorer: how answers in a chat are scored; None for plain
            completions. notes: notes for the report.
    """

    usable: bool
    scorer: ChatScorer | None = None
    notes: tuple[str, ...] = ()


def check_scores(endpoint: Endpoint, retried: Retried) -> ScoreCheck:
    """Test whether the endpoint can score answers in a chat or completions consistently.

    Raises:
        TargetError: a test request failed in every attempt. Whether the server supports scores is
            then unknown, so no probe may be skipped for lack of scores.
    """
    return _check_chat(endpoint, retried) if endpoint.chat else _check_plain(endpoint, retried)


def _check_plain(endpoint: Endpoint, retried: Retried) -> ScoreCheck:
    measured = _attempt(retried, lambda: _measured_plain(endpoint))
    if measured is None:
        return ScoreCheck(False)
    if measured.gap > _AGREE:
        return ScoreCheck(False, notes=(_inconsistent("a prompt", measured.gap),))
    return ScoreCheck(True, notes=(_noise(measured.noise),))


def _check_chat(endpoint: Endpoint, retried: Retried) -> ScoreCheck:
    """Find the first way to score answers in a chat that gives consistent numbers."""
    failed: list[str] = []
    written = _attempt(retried, lambda: _written(endpoint), failed)
    gaps = []
    for scorer in CHAT_SCORERS if written else ():
        measured = _attempt(retried, partial(_measured_chat, endpoint, scorer, written), failed)
        if measured is None:
            continue
        if measured.gap <= _AGREE:
            note = f"{CHAT_NOTE} ({scorer.label})."
            return ScoreCheck(True, scorer, (note, _noise(measured.noise)))
        gaps.append(measured.gap)
    if gaps:
        return ScoreCheck(False, notes=(_inconsistent("the beginning of an answer", min(gaps)),))
    notes = tuple(dict.fromkeys(failed))
    if _attempt(retried, lambda: _read(endpoint, _PROMPT, _CONTINUATION)) is None:
        return ScoreCheck(False, notes=notes)
    return ScoreCheck(
        False,
        notes=(
            *notes,
            "The server returns log-probabilities only of plain text without the model's chat "
            "template. These do not apply to the lists of the model and were not used.",
        ),
    )


def _attempt(retried: Retried, ask: Callable[[], T], failed: list[str] | None = None) -> T | None:
    """The result of a test request; None if the server does not support it.

    Args:
        failed: list that receives a note on a lasting error, because some servers fail for every
            request of this kind, or on reasoning; None if such an error must end the check.

    Raises:
        TargetError: a transient error persists after all retries.
    """
    try:
        return retried(ask)
    except TargetError as error:
        if failed is not None and error.detail == REASONS:
            failed.append(_REASONED)
        elif failed is not None and (error.detail.startswith(_INTERNAL) or error.reason in _BROKEN):
            failed.append(
                "A test request for log-probabilities in a chat failed in every attempt "
                f"({error}), so log-probabilities were not used."
            )
        elif error.retryable or error.reason == "deadline":
            raise
        return None


class _Measured(NamedTuple):
    """Differences in nats: `noise` between two scores of the same text, and `gap` between the
    log-probability of a token when generated and when scored.
    """

    noise: float
    gap: float


def _measured_plain(endpoint: Endpoint) -> _Measured:
    """The differences for plain completions."""
    once, again = (_read(endpoint, _PROMPT, _CONTINUATION) for _ in range(2))
    token, written = _run(endpoint, endpoint.writes(_PROMPT))
    read = _read(endpoint, _PROMPT, token)
    return _Measured(abs(sum(once) - sum(again)), abs(sum(read) - written))


def _read(endpoint: Endpoint, prompt: str, continuation: str) -> list[float]:
    return _run(endpoint, endpoint.reads(prompt, continuation))[0]


def _written(endpoint: Endpoint) -> list[tuple[str, float]]:
    """The first token of the answer to every test prompt, with its log-probability."""
    return [_run(endpoint, endpoint.writes_chat(prompt)) for prompt in _CHAT_PROMPTS]


def _measured_chat(
    endpoint: Endpoint, scorer: ChatScorer, written: Sequence[tuple[str, float]] | None
) -> _Measured:
    """The differences for answers in a chat; the largest over all test prompts."""

    def read(prompt: str, texts: Sequence[str]) -> list[list[float]]:
        request = Request(prompt=prompt)
        return _run(endpoint, endpoint.reads_chat(scorer, request, texts)).tokens

    once, again = (read(_CHAT_PROMPTS[0], _CHAT_CONTINUATIONS) for _ in range(2))
    noise = max(abs(sum(a) - sum(b)) for a, b in zip(once, again, strict=True))
    gaps = [
        abs(sum(read(prompt, [token])[0]) - value)
        for prompt, (token, value) in zip(_CHAT_PROMPTS, written or (), strict=True)
    ]
    return _Measured(noise, max(gaps))


def _run(endpoint: Endpoint, asked: Coroutine[Any, Any, T]) -> T:
    return endpoint.run_all(asked)[0]


def _noise(noise: float) -> str:
    return f"Two scores of the same text differ by {noise:.3g} nats."


def _inconsistent(place: str, gap: float) -> str:
    return (
        f"The server's log-probabilities of a generated token and of the same token in {place} "
        f"differ by {gap:.3g} nats: its scores are wrong and were not used."
    )
