"""Execute calls and record their responses; a response is taken from the run log, from the cache
or, if neither has it, from the recommender.

A call with a record in the log is never sent again, so an audit that was killed resumes with the
same numbers. A local batch is logged atomically, because the other prompts in a batch slightly
change the logits; responses of a remote recommender are logged one by one, in the order of the
calls.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any

from auditkit.catalog.catalog import Catalog
from auditkit.errors import TargetError
from auditkit.evidence.run_log import RunLog, SealedLog
from auditkit.recommenders.execution.calls import Call, body_of, response_of
from auditkit.recommenders.execution.deadline import DeadlinePassed, call_within
from auditkit.recommenders.execution.memory import is_out_of_memory
from auditkit.recommenders.execution.response_cache import ResponseCache
from auditkit.recommenders.execution.response_checks import (
    check_response,
    link_items,
    list_after,
    require_one_each,
)
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.recommenders.protocols import RawResponse, Remote
from auditkit.recommenders.remote.transport import Transport
from auditkit.security.network_guard import NetworkForbidden
from auditkit.security.redaction import Redaction
from auditkit.seeding import request_seed
from auditkit.types import Request, Response

__all__ = ["Ask", "OnProgress", "RequestExecutor"]

# Called with the numbers of requests that were just finished, and that this step still has to send.
OnProgress = Callable[[int, int], None]
Ask = Callable[[Sequence[Request], Sequence[Mapping[str, Any]]], Sequence[RawResponse]]
_ERRORS = ("target_error", "timeout")


class RequestExecutor:
    """Executes the calls of all probes of a run with a shared log, cache, transport and stop rule.

    Args:
        origin: hash of recommender, catalog, auditkit version and seed; part of every cache key.
        window: number of requests that are distributed over several workers at a time; None without
            workers.
        seconds: deadline of one call of a local recommender; None for no deadline.
        retry_errors: repeat calls whose log record is an error.
        defer_signals: context manager around a call and the writing of its record; signals are
            handled after both.
        answer_after: words that precede the list in a response; empty if there are none.
        item_path: path of the items in a JSON response; empty to detect the path.
    """

    def __init__(
        self,
        recommender: object,
        *,
        catalog: Catalog,
        log: RunLog | SealedLog,
        seed: int,
        origin: str,
        cache: ResponseCache | None,
        batch_size: int,
        window: int | None = None,
        stop: StopRule,
        transport: Transport | None,
        seconds: float | None,
        retry_errors: bool,
        defer_signals: Callable[[], AbstractContextManager[object]],
        answer_after: str = "",
        item_path: str = "",
    ) -> None:
        self._catalog, self._log, self._seed, self._origin = catalog, log, seed, origin
        self._cache = ResponseCache() if cache is None else cache
        self._cache.remember(log.records, persist=False)
        self.stop = stop
        self.transport = transport or (
            Transport(recommender) if isinstance(recommender, Remote) else None
        )
        self._batch_size = batch_size
        self._window = self.transport.window if self.transport else max(batch_size, window or 0)
        self._seconds, self._defer_signals = seconds, defer_signals
        self._answer_after, self._item_path = answer_after, item_path
        self._failed: dict[str, int] = {}
        self._recorded: dict[str, Mapping[str, Any]] = {}
        for seq, body in enumerate(log.records):  # a later record supersedes an earlier one
            self._recorded[body["request_id"]] = body
            self._failed.pop(body["request_id"], None)
            if retry_errors and body["status"] in _ERRORS:
                self._failed[body["request_id"]] = seq
        stop.recall(log.records, n_retried=len(self._failed))

    def ask(
        self,
        questions: Sequence[Call],
        ask: Ask,
        *,
        on_progress: OnProgress,
    ) -> dict[str, Response | None]:
        """Return the response to each distinct call, by call id; None for a call that was not
        sent.
        """
        distinct = list({question.id: question for question in questions}.values())
        waiting = [q for q in distinct if q.id not in self._recorded or q.id in self._failed]
        self.stop.expect(len(distinct))
        on_progress(len(distinct) - len(waiting), len(waiting))
        while waiting:
            batch, unasked = self._next_batch(waiting)
            if not batch:
                on_progress(len(unasked), 0)
                break
            with closing(self._bodies(batch, ask)) as arriving:
                while self._record_next(arriving):
                    pass
            on_progress(len(batch), len(unasked))
            waiting = unasked
        recorded = {q.id: self._recorded.get(q.id) for q in distinct}
        return {id_: response_of(body) if body else None for id_, body in recorded.items()}

    def unrecorded(self, question: Call, ask: Ask) -> Response | None:
        """Send one call that is neither recorded nor counted. Returns None without sending it if an
        earlier call succeeded, in this run or in one that shares the cache.
        """
        if len(self._cache):
            return None
        return next(self._answers([question], ask), None)

    def close(self) -> None:
        """Close the connections of a remote recommender."""
        if self.transport:
            self.transport.close()

    def _record_next(self, arriving: Iterator[list[dict[str, Any]]]) -> bool:
        """Record the next batch with signals deferred. Returns False when no batch is left."""
        with self._defer_signals():
            bodies = next(arriving, None)
            if bodies:
                recorded = self._log.append(bodies)
                self._cache.remember(recorded)
                for body in recorded:
                    self._recorded[body["request_id"]] = body
                    self._failed.pop(body["request_id"], None)
        return bodies is not None

    def _next_batch(self, waiting: Sequence[Call]) -> tuple[list[Call], list[Call]]:
        """Split off the next batch. Returns its calls, with at most one window of calls to send and
        the cached calls between them, and the remaining calls; the batch is empty if the stop rule
        permits no more calls.
        """
        fresh, allowed = 0, None
        for end, question in enumerate(waiting):
            if self._cache.get(question.cache_key(self._origin)) is not None:
                continue
            if allowed is None:
                allowed = self.stop.allowed(self._window)
            fresh += 1
            if fresh > allowed:
                return list(waiting[:end]), list(waiting[end:])
        return list(waiting), []

    def _bodies(self, batch: Sequence[Call], ask: Ask) -> Generator[list[dict[str, Any]]]:
        """Yield log records in the order of the calls: a local batch at once, remote calls one by
        one.
        """
        keys = {question.id: question.cache_key(self._origin) for question in batch}
        cached = {
            id_: stored for id_, key in keys.items() if (stored := self._cache.get(key)) is not None
        }
        fresh = [question for question in batch if question.id not in cached]
        answers = self._answers(fresh, ask)
        together: list[dict[str, Any]] = []
        for question in batch:
            stored = cached.get(question.id)
            if stored is not None:
                response = replace(response_of(stored), request_id=question.id)
            else:
                answer = next(answers, None)
                if answer is None:
                    continue
                self.stop.record(answer)
                if question.operation == "recommend":
                    answer = list_after(
                        self._answer_after,
                        answer,
                        k=question.request.k,
                        item_path=self._item_path,
                    )
                response = link_items(answer, self._catalog)
            body = body_of(
                question,
                response,
                seed=request_seed(self._seed, question.id),
                cache_key=keys[question.id],
                cached_from=stored["request_id"] if stored is not None else None,
                supersedes=self._failed.get(question.id),
            )
            if self.transport:
                yield [body]
            else:
                together.append(body)
        yield together

    def _answers(self, questions: Sequence[Call], ask: Ask) -> Iterator[Response | None]:
        """Yield validated responses in order; stop early if the stop rule applies."""
        requests = [q.identified(request_seed(self._seed, q.id)) for q in questions]
        if self.transport is None:
            yield from self._local(requests, [q.parameters for q in questions], ask)
            return
        asked = [
            (question.operation, request, question.parameters)
            for question, request in zip(questions, requests, strict=True)
        ]
        arriving = self.transport.ask(asked)
        try:
            for request, response in zip(requests, arriving, strict=True):
                yield _checked_alone(request, response)
                if self.transport.exhausted:
                    self.stop.waited_too_long(self.transport.waited)
                if self.stop.stopped == "breaker" or self.stop.spent():
                    return
        finally:
            arriving.close()

    def _local(
        self, requests: Sequence[Request], parameters: Sequence[Mapping[str, Any]], ask: Ask
    ) -> list[Response | None]:
        """Return one validated response per request. If a batch fails or returns a wrong type or
        length, its requests are sent one by one; if it does not fit into memory, it is sent in
        halves. The stop rule also applies between these parts.
        """
        if not requests or self.stop.spent():
            return [None] * len(requests)
        try:
            answers = call_within(self._seconds, lambda: ask(requests, parameters))
            require_one_each(answers, requests)
            return [check_response(r, answer) for r, answer in zip(requests, answers, strict=True)]
        except NetworkForbidden:
            raise  # ends the audit: a local recommender must not use the network
        except (Exception, SystemExit) as error:  # user-supplied code may call sys.exit
            if isinstance(error, DeadlinePassed):
                self.stop.abandon()
            if len(requests) == 1:
                return [_failure(requests[0], error)]
            size = self._smaller(len(requests), error)
        # Here the error is gone, and with it the memory that its traceback holds.
        parts = [slice(i, i + size) for i in range(0, len(requests), size)]
        return [one for p in parts for one in self._local(requests[p], parameters[p], ask)]

    def _smaller(self, n: int, error: BaseException) -> int:
        """Size of the parts in which a batch of n requests is sent again after an error."""
        if n > self._batch_size:
            # A window of several workers is retried by batch, as if the batches were sequential.
            return self._batch_size
        if not is_out_of_memory(error):
            return 1
        half = -(-n // 2)
        if self._window <= self._batch_size:  # later batches begin with what may fit
            self._batch_size = self._window = half
        return half


def _checked_alone(request: Request, answer: RawResponse) -> Response | None:
    """Validate a remote response; an invalid response becomes an error of its request."""
    try:
        return check_response(request, answer)
    except Exception as error:
        return _failure(request, error)


def _failure(request: Request, error: BaseException) -> Response:
    if isinstance(error, DeadlinePassed):
        return Response(request_id=request.id, status="timeout", reason="deadline")
    reason = error.reason if isinstance(error, TargetError) else "exception"
    if is_out_of_memory(error):
        reason = "oom"
    # Redact before truncating, because a truncated secret would not be recognized.
    detail = Redaction().text(f"{type(error).__name__}: {error}")
    return Response(
        request_id=request.id,
        status="target_error",
        reason=reason,
        derived={"error": detail[:2000]},
    )
