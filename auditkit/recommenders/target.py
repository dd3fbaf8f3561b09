"""The recommender as probes see it: batched, cached, resumable, with every failure caught per
request.

A probe hands over requests and gets one Response each, in order. The Target renders prompts, asks
in batches, links titles to the catalog, gives every answer one status, and appends it to the run
log before the probe sees it. What stands in the log is never asked again, so a killed audit resumes
with the same numbers.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, cast

from auditkit.canonical import sha256_json
from auditkit.catalog.catalog import Catalog
from auditkit.errors import TargetError
from auditkit.recommenders.answers import check_answer, link_items
from auditkit.recommenders.cache import AnswerCache
from auditkit.recommenders.prompts import Prompts
from auditkit.recommenders.protocols import (
    CAPABILITIES,
    Answer,
    Generates,
    Recommends,
    Renders,
    Scores,
)
from auditkit.recommenders.questions import Operation, Question, body_of, response_of
from auditkit.registry import ProbeSpec
from auditkit.runlog import RunLog
from auditkit.seeding import request_seed
from auditkit.types import RESPONSE_STATUSES, Item, Request, Response

__all__ = ["Target"]

Ask = Callable[[Sequence[Request], Sequence[Mapping[str, Any]]], Sequence[Answer]]


class Target:
    """One recommender under audit.

    Args:
        recommender: anything with at least one capability of `protocols`.
        catalog: links titles and knows which ids exist.
        log: answers already recorded are served from it.
        fingerprint: identifies the recommender in cache keys, with catalog and version.
        batch_size: requests per call of the recommender.
        on_progress: called with the number of requests that just got an outcome.
    """

    def __init__(
        self,
        recommender: object,
        *,
        catalog: Catalog,
        log: RunLog,
        seed: int,
        fingerprint: str,
        cache: AnswerCache | None = None,
        batch_size: int = 64,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.recommender, self.catalog = recommender, catalog
        own = recommender.prompts if isinstance(recommender, Renders) else None
        self.prompts = own or Prompts.shipped("titles")
        self._log, self._seed = log, seed
        # Stored answers are parsed and linked, so they belong to this catalog and this version.
        self._origin = sha256_json([fingerprint, catalog.fingerprint, version("auditkit")])
        self._batch_size, self._on_progress = batch_size, on_progress
        self._cache = cache or AnswerCache()
        self._recorded = {body["request_id"]: body for body in log.records}
        self._cache.remember(log.records, persist=False)
        self._probe, self._probe_version = "none", 1
        self._counts: Counter[str] = Counter()

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Names of the protocols that the recommender satisfies."""
        return tuple(kind.__name__ for kind in CAPABILITIES if isinstance(self.recommender, kind))

    @property
    def reads_prompt(self) -> bool:
        """False for recommenders that never look at the words of a request."""
        return bool(getattr(self.recommender, "reads_prompt", True))

    def for_probe(self, spec: ProbeSpec) -> Target:
        """The same target, recording for one probe with fresh counts."""
        bound = copy.copy(self)
        bound._probe, bound._probe_version, bound._counts = spec.id, spec.version, Counter()
        return bound

    def status_counts(self) -> dict[str, int]:
        """This probe's requests by outcome: every status and `not_run`; the sum is what was
        planned.
        """
        return {status: self._counts[status] for status in (*RESPONSE_STATUSES, "not_run")}

    # --- asking

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """Ask for lists; a prompt that a probe left empty is rendered here."""
        recommender = cast(Recommends, self.recommender)
        questions = [self._question("recommend", self._rendered(request)) for request in requests]
        return self._ask(questions, lambda batch, _: recommender.recommend(batch))

    def generate(self, requests: Sequence[Request], *, max_new_tokens: int) -> list[Response]:
        """Ask for the text after each request's prompt."""
        recommender = cast(Generates, self.recommender)

        def ask(batch: Sequence[Request], _: Sequence[Mapping[str, Any]]) -> Sequence[Answer]:
            texts = recommender.generate(
                [request.prompt for request in batch],
                max_new_tokens=max_new_tokens,
                temperature=batch[0].temperature,
                seeds=[request.seed for request in batch],
            )
            return [
                Response(request_id=r.id, status="ok" if text.strip() else "no_answer", text=text)
                for r, text in zip(batch, texts, strict=True)
            ]

        parameters = {"max_new_tokens": max_new_tokens}
        return self._ask(
            [self._question("generate", request, parameters) for request in requests], ask
        )

    def score(
        self, requests: Sequence[Request], continuations: Sequence[Sequence[str]]
    ) -> list[Response]:
        """Ask for log-probabilities; `derived["tokens"]` holds nats per token for every
        continuation.
        """
        recommender = cast(Scores, self.recommender)

        def ask(
            batch: Sequence[Request], parameters: Sequence[Mapping[str, Any]]
        ) -> Sequence[Answer]:
            scores = recommender.score(
                [request.prompt for request in batch],
                [options["continuations"] for options in parameters],
            )
            for row, options in zip(scores, parameters, strict=True):
                if len(row) != len(options["continuations"]):
                    raise TargetError("wrong_length", detail=f"{len(row)} scores for one prompt")
            return [
                Response(
                    request_id=r.id, status="ok", derived={"tokens": [list(s.tokens) for s in row]}
                )
                for r, row in zip(batch, scores, strict=True)
            ]

        pairs = zip(requests, continuations, strict=True)
        questions = [
            self._question("score", r, {"continuations": list(options)}) for r, options in pairs
        ]
        return self._ask(questions, ask)

    def reference(self, item: Item) -> str:
        """How the recommender writes an item as a continuation of a prompt."""
        return (
            self.recommender.reference(item)
            if isinstance(self.recommender, Renders)
            else item.title
        )

    def render(self, request: Request) -> str:
        """The prompt of a request in the recommender's own templates."""
        renderer = self.recommender if isinstance(self.recommender, Renders) else self.prompts
        return renderer.render(request)

    def _rendered(self, request: Request) -> Request:
        return request if request.prompt else replace(request, prompt=self.render(request))

    def _question(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any] | None = None
    ) -> Question:
        return Question(self._probe, self._probe_version, operation, request, parameters or {})

    # --- batching, log and cache

    def _ask(self, questions: Sequence[Question], ask: Ask) -> list[Response]:
        """Serve from the log, then from the cache, then ask in batches; one record per distinct
        question.
        """
        distinct = list({question.id: question for question in questions}.values())
        waiting = [question for question in distinct if question.id not in self._recorded]
        self._on_progress(len(distinct) - len(waiting))
        unanswered: dict[str, Response] = {}
        while waiting:
            batch, waiting = self._next_batch(waiting)
            bodies = self._outcomes(batch, ask, unanswered)
            if bodies:
                self._log.append(bodies)
            self._cache.remember(bodies)
            self._recorded.update((body["request_id"], body) for body in bodies)
            self._on_progress(len(batch))
        responses = {
            q.id: unanswered.get(q.id) or response_of(self._recorded[q.id]) for q in distinct
        }
        self._counts.update(
            "not_run" if id_ in unanswered else r.status for id_, r in responses.items()
        )
        return [responses[question.id] for question in questions]

    def _next_batch(self, waiting: Sequence[Question]) -> tuple[list[Question], list[Question]]:
        """Questions up to `batch_size` that the cache cannot answer, with the cached ones between
        them.
        """
        fresh = 0
        for end, question in enumerate(waiting):
            fresh += self._cache.get(question.cache_key(self._origin)) is None
            if fresh > self._batch_size:
                return list(waiting[:end]), list(waiting[end:])
        return list(waiting), []

    def _outcomes(
        self, batch: Sequence[Question], ask: Ask, unanswered: dict[str, Response]
    ) -> list[dict[str, Any]]:
        """Log records of a batch in plan order; what was never asked goes to `unanswered`."""
        keys = {question.id: question.cache_key(self._origin) for question in batch}
        cached = {
            id_: stored for id_, key in keys.items() if (stored := self._cache.get(key)) is not None
        }
        fresh = [question for question in batch if question.id not in cached]
        answers = dict(zip((q.id for q in fresh), self._answers(fresh, ask), strict=True))
        bodies = []
        for question in batch:
            stored, answer = cached.get(question.id), answers.get(question.id)
            if stored is not None:
                response = replace(response_of(stored), request_id=question.id)
            elif answer is not None:
                response = link_items(answer, self.catalog)
            else:
                unanswered[question.id] = Response(
                    request_id=question.id, status="target_error", reason="not_run"
                )
                continue
            bodies.append(
                body_of(
                    question,
                    response,
                    seed=request_seed(self._seed, question.id),
                    cache_key=keys[question.id],
                    cached_from=stored["request_id"] if stored is not None else None,
                )
            )
        return bodies

    def _answers(self, questions: Sequence[Question], ask: Ask) -> list[Response | None]:
        """One checked response per question; a batch that fails or comes back wrong is asked one by
        one.
        """
        if not questions:
            return []
        requests = [q.identified(request_seed(self._seed, q.id)) for q in questions]
        parameters = [q.parameters for q in questions]
        try:
            answers = ask(requests, parameters)
            if (
                not isinstance(answers, Sequence)
                or isinstance(answers, str)
                or len(answers) != len(requests)
            ):
                raise TargetError(
                    "wrong_length", detail=f"{len(requests)} requests got another number of answers"
                )
            return [
                check_answer(request, answer)
                for request, answer in zip(requests, answers, strict=True)
            ]
        except Exception as error:
            if len(questions) > 1:
                return [one for question in questions for one in self._answers([question], ask)]
            reason = error.reason if isinstance(error, TargetError) else "exception"
            detail = f"{type(error).__name__}: {error}"
            return [
                Response(
                    request_id=requests[0].id,
                    status="target_error",
                    reason=reason,
                    derived={"error": detail[:2000]},
                )
            ]
