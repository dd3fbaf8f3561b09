"""Ask a remote recommender many questions at once: retries, waiting, deadlines, adaptive load.

Answers come back in the order asked, so a log written from them does not depend on which came
first. Passing trouble changes no answer: attempts and waits leave no trace in a response.

Source: full-jitter backoff (Brooker 2015); additive increase, multiplicative decrease (Chiu & Jain
1989); `Retry-After` (RFC 9110, 10.2.3).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.errors import TargetError
from auditkit.recommenders.protocols import Remote
from auditkit.recommenders.questions import Operation
from auditkit.types import Request, Response

__all__ = ["Patience", "Transport"]

Asked = tuple[Operation, Request, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long and how hard to try.

    Attributes:
        connections: at the start; max_connections: at most.
        attempts: per request. seconds: per attempt, by our own clock, so a trickle ends too.
        longest_retry_after: seconds; a server that wants more is not waited for.
        waiting: seconds of backoff in a whole run.
    """

    connections: int = 4
    max_connections: int = 8
    attempts: int = 5
    seconds: float = 120
    longest_retry_after: float = 300
    waiting: float = 900


class Transport:
    """The way to one remote recommender.

    Attributes:
        waited: seconds of backoff so far. retries: attempts after the first, so far.
    """

    def __init__(
        self,
        remote: Remote,
        *,
        patience: Patience = Patience(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._remote, self._patience, self._sleep = remote, patience, sleep
        self._loop = asyncio.new_event_loop()
        self._jitter = random.Random()  # touches no result
        self._connections = float(patience.connections)
        self._successes = 0
        self.waited = 0.0
        self.retries = 0

    @property
    def window(self) -> int:
        """Requests to hand over at once."""
        return max(64, 4 * self._patience.max_connections)

    @property
    def exhausted(self) -> bool:
        """Whether the waiting of the run is used up."""
        return self.waited >= self._patience.waiting

    def ask(self, questions: Sequence[Asked]) -> Generator[Response]:
        """One response per question, in order, as soon as all before it are there.

        Closing the generator cancels what is in flight.
        """
        running: dict[asyncio.Task[Response], int] = {}
        done: dict[int, Response] = {}
        started = given = 0
        try:
            while given < len(questions):
                while started < len(questions) and len(running) < int(self._connections):
                    running[self._loop.create_task(self._one(*questions[started]))] = started
                    started += 1
                finished, _ = self._loop.run_until_complete(
                    asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                )
                for task in finished:
                    done[running.pop(task)] = task.result()
                while given in done:
                    yield done.pop(given)
                    given += 1
        finally:
            for task in running:
                task.cancel()
            if running:
                self._loop.run_until_complete(asyncio.gather(*running, return_exceptions=True))

    def close(self) -> None:
        """Close connections and the loop."""
        self._loop.run_until_complete(self._remote.close())
        self._loop.close()

    async def _one(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any]
    ) -> Response:
        timeouts = 0
        for attempt in range(self._patience.attempts):
            self.retries += attempt > 0
            try:
                async with asyncio.timeout(self._patience.seconds):
                    response = await self._remote.answer(operation, request, parameters)
            except TimeoutError:
                timeouts += 1
                if timeouts > 1:
                    return Response(request_id=request.id, status="timeout", reason="deadline")
                continue
            except TargetError as error:
                self._slow_down(error)
                last = attempt + 1 == self._patience.attempts
                if not error.retryable or last or not await self._wait(attempt, error):
                    return _failed(request, error)
                continue
            self._speed_up()
            return response
        return Response(request_id=request.id, status="timeout", reason="deadline")

    async def _wait(self, attempt: int, error: TargetError) -> bool:
        """Wait before the next attempt; False where that is more than we are ready to wait."""
        asked_for = error.retry_after or 0.0
        seconds = max(asked_for, self._jitter.uniform(0, min(60.0, 2.0**attempt)))
        if asked_for > self._patience.longest_retry_after or self.exhausted:
            return False
        self.waited += seconds
        await self._sleep(seconds)
        return True

    def _speed_up(self) -> None:
        self._successes += 1
        if self._successes % 20 == 0:
            self._connections = min(self._connections + 1, self._patience.max_connections)

    def _slow_down(self, error: TargetError) -> None:
        if error.reason in ("rate_limited", "http_5xx"):
            self._connections = max(1.0, self._connections / 2)


def _failed(request: Request, error: TargetError) -> Response:
    """Only the kind of trouble stands on record: its words may differ from run to run."""
    return Response(
        request_id=request.id,
        status="timeout" if error.reason == "deadline" else "target_error",
        reason=error.reason,
        derived={"error": error.detail[:2000]} if error.detail else {},
    )
