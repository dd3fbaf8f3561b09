"""The recommender as probes see it: batched, cached, resumable, with every failure caught per
request.

A probe hands over requests and gets one Response each, in order. The Target renders prompts, asks
in batches, links titles to the catalog, gives every answer one status, and appends it to the run
log before the probe sees it. What stands in the log is never asked again, so a killed audit resumes
with the same numbers.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, cast

from auditkit.canonical import canonical_json
from auditkit.catalog.catalog import Catalog
from auditkit.errors import TargetError
from auditkit.recommenders.cache import AnswerCache
from auditkit.recommenders.parsing import parse_list, status_of_text
from auditkit.recommenders.prompts import Prompts
from auditkit.recommenders.protocols import (
    CAPABILITIES,
    Answer,
    Generates,
    NotRun,
    Recommends,
    Renders,
    Scores,
)
from auditkit.recommenders.questions import Operation, Question, body_of, response_of
from auditkit.registry import ProbeSpec
from auditkit.runlog import RunLog
from auditkit.seeding import request_seed
from auditkit.types import RESPONSE_STATUSES, Item, RankedItem, Request, Response

__all__ = ["Target"]

Ask = Callable[[Sequence[Request], Sequence[Mapping[str, Any]]], Sequence[Answer]]


class Target:
    """One recommender under audit.

    Args:
        recommender: anything with at least one capability of `protocols`.
        catalog: links titles and knows which ids exist.
        log: answers already recorded are served from it.
        fingerprint: identifies the recommender in cache keys.
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
        self._log, self._seed, self._fingerprint = log, seed, fingerprint
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
            fresh += self._cache.get(question.cache_key(self._fingerprint)) is None
            if fresh > self._batch_size:
                return list(waiting[:end]), list(waiting[end:])
        return list(waiting), []

    def _outcomes(
        self, batch: Sequence[Question], ask: Ask, unanswered: dict[str, Response]
    ) -> list[dict[str, Any]]:
        """Log records of a batch in plan order; what was never asked goes to `unanswered`."""
        keys = {question.id: question.cache_key(self._fingerprint) for question in batch}
        cached = {
            id_: stored for id_, key in keys.items() if (stored := self._cache.get(key)) is not None
        }
        fresh = [question for question in batch if question.id not in cached]
        answers = dict(zip((q.id for q in fresh), self._answers(fresh, ask), strict=True))
        bodies = []
        for question in batch:
            seed, key = request_seed(self._seed, question.id), keys[question.id]
            if question.id in cached:
                stored = cached[question.id]
                response = replace(response_of(stored), request_id=question.id)
                bodies.append(
                    body_of(
                        question,
                        response,
                        seed=seed,
                        cache_key=key,
                        cached_from=stored["request_id"],
                    )
                )
            elif answers[question.id] is None:
                unanswered[question.id] = Response(
                    request_id=question.id, status="target_error", reason="not_run"
                )
            else:
                response = self._linked(cast(Response, answers[question.id]))
                bodies.append(
                    body_of(question, response, seed=seed, cache_key=key, cached_from=None)
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
                _checked(request, answer) for request, answer in zip(requests, answers, strict=True)
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

    def _linked(self, response: Response) -> Response:
        """Link every item: ids by membership in the catalog, titles by the title linker."""
        if not response.items:
            return response
        links = iter(
            self.catalog.link([item.raw for item in response.items if item.item_id is None])
        )
        items = []
        for item in response.items:
            if item.item_id is None:
                link = next(links)
                items.append(replace(item, item_id=link.item_id, link=link.reason))
            elif item.item_id in self.catalog.index:
                title = self.catalog[item.item_id].display_title
                items.append(
                    replace(item, raw=title, link="id" if item.link == "none" else item.link)
                )
            else:
                items.append(replace(item, item_id=None, link="none"))
        return replace(response, items=tuple(items))


def _checked(request: Request, answer: Answer) -> Response | None:
    """Turn whatever an adapter returned into a Response; None where nothing was asked.

    Raises:
        TargetError: wrong type, an answer to another request, or a score that is no number.
    """
    if isinstance(answer, NotRun):
        return None
    if isinstance(answer, Response):
        if answer.request_id != request.id:
            raise TargetError(
                "misaligned", detail=f"the answer belongs to request {answer.request_id!r}"
            )
        response = answer
    elif answer is None:
        response = Response(request_id=request.id, status="no_answer")
    elif isinstance(answer, str):
        parsed = parse_list(answer)
        response = Response(
            request_id=request.id,
            status=status_of_text(answer, n_items=len(parsed.titles)),
            text=answer,
            items=tuple(RankedItem(raw=title) for title in parsed.titles),
            derived={"parse_style": parsed.style},
        )
    elif isinstance(answer, Sequence) and all(isinstance(title, str) for title in answer):
        response = Response(
            request_id=request.id,
            status="ok" if answer else "no_answer",
            items=tuple(RankedItem(raw=title) for title in answer),
        )
    else:
        raise TargetError("wrong_type", detail=f"an answer of type {type(answer).__name__}")
    if response.status not in RESPONSE_STATUSES:
        raise TargetError("wrong_type", detail=f"unknown status {response.status!r}")
    if not all(isinstance(item.raw, str) for item in response.items):
        raise TargetError("wrong_type", detail="an item without text")
    if any(item.score is not None and not math.isfinite(item.score) for item in response.items):
        raise TargetError("non_finite", detail="a score is NaN or infinite")
    try:
        canonical_json(asdict(response))
    except ValueError:
        raise TargetError("non_finite", detail="a number is NaN or infinite") from None
    except TypeError as error:
        raise TargetError("wrong_type", detail=str(error)) from None
    return response
