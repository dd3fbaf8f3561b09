"""Stop an audit when its budget is used up, or when the recommender keeps failing.

The remaining requests are `not_run`; they are not failures of the recommender, and a later run
resumes from the log. Both rules count only requests that were really sent, not cached responses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from auditkit.types import Response

__all__ = ["Budget", "Stop", "StopRule", "Tokens"]

Stop = Literal["budget", "breaker"]
_CONSECUTIVE = 5
_ABANDONED = 3
_MIN_ERRORS = 20
_ERRORS = ("target_error", "timeout")
# Transport errors open the circuit breaker; invalid responses of the recommender do not.
_TRANSPORT = ("rate_limited", "http_5xx", "connection", "incomplete_body", "deadline", "tls")

# No later request can succeed.
_FINAL = {
    "auth": "the recommender rejected the API key",
    "quota": "the account of the API key has no quota or credit left; add credit or raise its "
    "limit, and run the same command again with --retry-errors",
}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of a run; a field that is None means unlimited.

    Attributes:
        calls: maximum number of requests, including earlier starts of the run.
        tokens: maximum number of tokens, as reported by the recommender, including earlier starts
            of the run.
        minutes: maximum wall-clock time since this start of the run.
    """

    calls: int | None = None
    tokens: int | None = None
    minutes: float | None = None


class Tokens(NamedTuple):
    """Numbers of tokens that a recommender read and wrote."""

    read: int
    written: int


class StopRule:
    """Counts sent and failed requests across all probes of a run.

    Attributes:
        stopped: the rule that stopped the run, if any. detail: the reason in words.
        tokens: tokens used so far, as reported by the recommender.

    Source: circuit breaker (Nygard 2007).
    """

    def __init__(
        self,
        budget: Budget = Budget(),
        *,
        max_error_rate: float = 0.05,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget, self._max_error_rate, self._clock = budget, max_error_rate, clock
        self._started = clock()
        self._sent = self._planned = 0
        self.tokens = Tokens(0, 0)
        self._errors = self._abandoned = self._in_a_row = 0
        self._last_reason: str | None = None
        self.stopped: Stop | None = None
        self.detail = ""

    def recall(self, records: Sequence[Mapping[str, Any]], *, n_retried: int = 0) -> None:
        """Count the requests, tokens and errors of earlier starts of this run.

        Args:
            n_retried: number of failed requests that are repeated and do not count as errors.
        """
        sent = [body for body in records if "cached_from" not in body]
        self._sent += len(sent)
        for body in sent:
            self._use(body["usage"])
        final = {body["request_id"]: body for body in records}
        self._errors += sum(body["status"] in _ERRORS for body in final.values()) - n_retried

    def expect(self, n: int) -> None:
        """Count requests that a probe plans, whether or not they are sent."""
        self._planned += n

    def allowed(self, n: int) -> int:
        """How many of the next n requests may be sent."""
        budget = self._budget
        if self.stopped:
            return 0
        if budget.calls is not None:
            n = min(n, budget.calls - self._sent)
            if n <= 0:
                self._stop("budget", f"{budget.calls} requests were sent")
        return 0 if self.spent() else n

    def spent(self) -> bool:
        """Whether no more requests may be sent, because the run was stopped or its tokens or
        minutes are used up.
        """
        budget = self._budget
        if budget.tokens is not None and sum(self.tokens) >= budget.tokens:
            self._stop("budget", f"{sum(self.tokens)} tokens were used")
        if budget.minutes is not None and self._clock() - self._started >= 60 * budget.minutes:
            self._stop("budget", f"{budget.minutes:g} minutes have passed")
        return self.stopped is not None

    def record(self, response: Response) -> None:
        """Count the response to one sent request."""
        self._sent += 1
        self._use(response.usage)
        failed = response.status in _ERRORS
        self._errors += failed
        reason = response.reason if failed and response.reason in _TRANSPORT else None
        self._in_a_row = (
            self._in_a_row + 1 if reason and reason == self._last_reason else bool(reason)
        )
        self._last_reason = reason
        if failed and response.reason in _FINAL:
            self._stop("breaker", _FINAL[response.reason])
        elif self._in_a_row >= _CONSECUTIVE:
            self._stop("breaker", f"{self._in_a_row} requests in a row failed with {reason}")
        else:
            self.check_errors()

    def check_errors(self) -> None:
        """Stop if too many requests failed, counting earlier starts of the run."""
        if self._errors > max(_MIN_ERRORS, self._max_error_rate * self._planned):
            allowed = f"{self._max_error_rate:.4g} of {self._planned} planned"
            why = (
                f"{self._errors} requests failed, more than {allowed}; --retry-errors repeats them"
            )
            self._stop("breaker", why)

    def check_any_success(self) -> None:
        """Stop if every sent request failed. This is checked at the end of a run, because a small
        run has too few requests for `check_errors`.
        """
        if self._sent and self._errors >= self._sent:
            self._stop("breaker", f"all {self._sent} requests failed")

    def abandon(self) -> None:
        """Count a call that was left running past its deadline."""
        self._abandoned += 1
        if self._abandoned >= _ABANDONED:
            self._stop("breaker", f"{self._abandoned} calls exceeded their deadline")

    def waited_too_long(self, seconds: float) -> None:
        """Stop because the total wait for retries reached its limit."""
        self._stop("breaker", f"retries waited {seconds:.0f} seconds in total")

    def _stop(self, why: Stop, detail: str) -> None:
        if self.stopped is None:
            self.stopped, self.detail = why, detail

    def _use(self, usage: Mapping[str, int]) -> None:
        used = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
        self.tokens = Tokens(self.tokens.read + used[0], self.tokens.written + used[1])
