"""Concurrent calls to a remote recommender, with retries, backoff, timeouts and adaptive
concurrency.

Responses are returned in the order of the calls, so the log does not depend on the order in which
they arrive. Transient errors never affect a response: retries and backoff are not recorded in it.

Source: full-jitter backoff (Brooker 2015); additive increase, multiplicative decrease (Chiu & Jain
1989); `Retry-After` (RFC 9110, 10.2.3).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from typing import Any

from auditkit.errors import AuditkitError, TargetError
from auditkit.recommenders.protocols import Operation, Remote
from auditkit.recommenders.remote.event_loop import EventLoop
from auditkit.recommenders.remote.request_limits import RequestLimits
from auditkit.recommenders.remote.token_bucket import Bucket
from auditkit.types import Request, Response

__all__ = ["RequestLimits", "Transport"]

PlannedCall = tuple[Operation, Request, Mapping[str, Any]]
_GROW_AFTER = 20


class Transport:
    """Sends calls to one remote recommender.

    Args:
        request_limits: timeouts, retries and rate limits; None uses the `request_limits` of the
            recommender or, without any, the defaults.
        sleep, clock: replaced in tests.

    Attributes:
        waited: seconds of backoff so far. retries: number of repeated attempts so far.
    """

    def __init__(
        self,
        remote: Remote,
        *,
        request_limits: RequestLimits | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remote, self._sleep = remote, sleep
        self._request_limits = (
            request_limits or getattr(remote, "request_limits", None) or RequestLimits()
        )
        self._requests, self._tokens = (
            Bucket(per_minute, clock=clock) if per_minute else None
            for per_minute in (
                self._request_limits.requests_per_minute,
                self._request_limits.tokens_per_minute,
            )
        )
        self._loop = EventLoop()
        self._jitter = random.Random()  # not seeded: it does not affect results
        self._successes = self._slowdowns = 0
        self._connections = float(
            min(self._request_limits.connections, self._request_limits.max_connections)
        )
        self.waited = 0.0
        self.retries = 0

    @property
    def window(self) -> int:
        """Number of requests to pass to `ask` at once."""
        return max(64, 4 * self._request_limits.max_connections)

    @property
    def exhausted(self) -> bool:
        """Whether the total backoff of the run has reached its limit."""
        return self.waited >= self._request_limits.waiting

    def ask(self, questions: Sequence[PlannedCall]) -> Generator[Response]:
        """Yield one response per call, in order, as soon as it and all earlier responses have
        arrived.

        Closing the generator cancels the calls in flight.
        """
        waiting = deque(enumerate(questions))
        running: dict[asyncio.Task[Response], int] = {}
        done: dict[int, asyncio.Task[Response]] = {}

        async def until_done(wanted: int) -> None:
            while wanted not in done:
                while waiting and len(running) < int(self._connections):
                    place, question = waiting.popleft()
                    running[asyncio.create_task(self._one(*question))] = place
                finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                done.update((running.pop(task), task) for task in finished)

        try:
            for place, (_, request, _) in enumerate(questions):
                self._loop.run(until_done(place))
                yield _outcome(done.pop(place), request)
        finally:
            self._loop.run(_cancel([*running, *done.values()]))  # also reads their errors

    def close(self) -> None:
        """Close the connections and the event loop."""
        try:
            self._loop.run(self._remote.close())
        finally:
            self._loop.close()

    async def _one(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any]
    ) -> Response:
        timeouts = 0
        exchanges = max(1, len(parameters.get("continuations", ())))
        for attempt in range(self._request_limits.attempts):
            self.retries += attempt > 0
            await self._keep_pace(exchanges)
            slowdowns = self._slowdowns
            try:
                async with asyncio.timeout(self._request_limits.seconds * exchanges):
                    response = await self._remote.answer(operation, request, parameters)
            except TimeoutError:
                timeouts += 1
            except TargetError as error:
                self._slow_down(error, slowdowns)
                last = attempt + 1 == self._request_limits.attempts
                if error.reason == "deadline":
                    timeouts += 1
                elif not error.retryable or last or not await self._wait(attempt, error):
                    return _failed(request, error)
            else:
                self._speed_up(response)
                return response
            if timeouts > 1:
                break
        return Response(request_id=request.id, status="timeout", reason="deadline")

    async def _keep_pace(self, exchanges: int) -> None:
        """Wait until both rate limits allow the next request."""
        for bucket in (self._requests, self._tokens):
            while bucket and (seconds := bucket.delay) > 0:
                await self._sleep(seconds)
        if self._requests:
            self._requests.take(exchanges)

    async def _wait(self, attempt: int, error: TargetError) -> bool:
        """Wait before the next attempt. Returns False, without waiting, if that would exceed the
        limits.
        """
        asked_for = error.retry_after or 0.0
        seconds = max(asked_for, self._jitter.uniform(0, min(60.0, 2.0**attempt)))
        if asked_for > self._request_limits.longest_retry_after or self.exhausted:
            return False
        self.waited += seconds
        await self._sleep(seconds)
        return True

    def _speed_up(self, response: Response) -> None:
        if self._tokens and isinstance(response, Response):  # not of an unrecorded stage
            kinds = ("prompt_tokens", "completion_tokens")
            self._tokens.take(sum(response.usage.get(kind, 0) for kind in kinds))
        self._successes += 1
        if self._successes % _GROW_AFTER == 0:
            self._connections = min(self._connections + 1, self._request_limits.max_connections)

    def _slow_down(self, error: TargetError, slowdowns: int) -> None:
        """Halve the concurrency, once for all requests that were in flight together, because they
        failed for the same overload.
        """
        if error.reason in ("rate_limited", "http_5xx") and slowdowns == self._slowdowns:
            self._connections = max(1.0, self._connections / 2)
            self._slowdowns += 1


async def _cancel(tasks: Collection[asyncio.Task[Response]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _outcome(task: asyncio.Task[Response], request: Request) -> Response:
    """The response of a finished task; an unexpected exception of the adapter becomes an error of
    this request.
    """
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, AuditkitError) or not isinstance(error, Exception | SystemExit):
        raise error
    return _failed(request, TargetError("exception", detail=f"{type(error).__name__}: {error}"))


def _failed(request: Request, error: TargetError) -> Response:
    """The response for an error, with its reason and detail."""
    return Response(
        request_id=request.id,
        status="target_error",
        reason=error.reason,
        derived={"error": error.detail[:2000]} if error.detail else {},
    )
