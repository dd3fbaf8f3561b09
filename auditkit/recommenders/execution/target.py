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
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from typing import Any, cast

from auditkit.catalog.catalog import Catalog
from auditkit.errors import TargetError
from auditkit.evidence.run_log import RunLog
from auditkit.recommenders.execution.call_collector import CallCollector
from auditkit.recommenders.execution.calls import Call
from auditkit.recommenders.execution.executor import Ask, RequestExecutor
from auditkit.recommenders.execution.response_cache import ResponseCache
from auditkit.recommenders.execution.score_recheck import (
    as_derived,
    differences,
    require_within_bound,
    sample,
)
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.recommenders.prompting.prompts import Prompts, as_text
from auditkit.recommenders.protocols import (
    CAPABILITIES,
    Generates,
    Operation,
    RawResponse,
    Rechecks,
    Recommends,
    Renders,
    Scores,
    TokenScores,
)
from auditkit.recommenders.remote.transport import Transport
from auditkit.registry import ProbeSpec
from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import RESPONSE_STATUSES, Item, Request, Response

__all__ = ["Target"]


class Target:
    """One recommender under audit.

    Args:
        recommender: anything with at least one capability of `protocols`.
        catalog: links titles and knows which ids exist.
        log: answers already recorded are served from it; `CallCollector` only collects what
            would be asked.
        fingerprint: identifies the recommender in cache keys, with catalog and version.
        prompts: for a recommender without templates of its own; None asks in the shipped ones.
        batch_size: requests per call of the recommender. window: requests to hand over at once,
            where several workers share them.
        stop: budget and circuit breaker; says afterwards whether and why asking ended.
        transport: the way to a remote recommender.
        seconds: deadline of one call, None for none.
        retry_errors: ask again what the log holds as an error.
        patience: wraps a call and the writing of its answer.
        on_progress: called with the number of requests that just got an outcome.
    """

    def __init__(
        self,
        recommender: object,
        *,
        catalog: Catalog,
        log: RunLog | CallCollector,
        seed: int,
        fingerprint: str,
        prompts: Prompts | None = None,
        cache: ResponseCache | None = None,
        batch_size: int = 64,
        window: int | None = None,
        stop: StopRule | None = None,
        transport: Transport | None = None,
        seconds: float | None = None,
        retry_errors: bool = False,
        defer_signals: Callable[[], AbstractContextManager[object]] = nullcontext,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.recommender, self.catalog = recommender, catalog
        own = recommender.prompts if isinstance(recommender, Renders) else None
        self.prompts = own or prompts or Prompts.shipped("titles")
        self._on_progress = on_progress
        self.stop = stop or StopRule()
        self._asker = (
            log
            if isinstance(log, CallCollector)
            else RequestExecutor(
                recommender,
                catalog=catalog,
                log=log,
                seed=seed,
                # Stored answers are parsed, linked and perhaps drawn: they belong to this catalog,
                # version and seed.
                origin=sha256_json([fingerprint, catalog.fingerprint, version("auditkit"), seed]),
                cache=cache,
                batch_size=batch_size,
                window=window,
                stop=self.stop,
                transport=transport,
                seconds=seconds,
                retry_errors=retry_errors,
                defer_signals=defer_signals,
                answer_after=self.prompts.answer_after,
            )
        )
        self._probe, self._probe_version = "none", 1
        self._counts: Counter[str] = Counter()

    def close(self) -> None:
        """Close the connections of a remote recommender."""
        self._asker.close()

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

    def recommend(
        self, requests: Sequence[Request], *, through: tuple[str, Recommends] | None = None
    ) -> list[Response]:
        """Ask for lists; a prompt that a probe left empty is rendered here.

        Args:
            through: name of a variant of the recommender, and what answers in its place.
        """
        name, recommender = through or ("", cast(Recommends, self.recommender))
        parameters = {"variant": name} if name else {}
        questions = [
            self._call("recommend", self._rendered(request), parameters) for request in requests
        ]
        return self._ask(questions, lambda batch, _: recommender.recommend(batch))

    def generate(self, requests: Sequence[Request], *, max_new_tokens: int) -> list[Response]:
        """Ask for the text after each request's prompt."""
        recommender = cast(Generates, self.recommender)

        def ask(batch: Sequence[Request], _: Sequence[Mapping[str, Any]]) -> Sequence[RawResponse]:
            texts: dict[int, str] = {}
            for temperature in sorted({request.temperature for request in batch}):
                rows = [i for i, r in enumerate(batch) if r.temperature == temperature]
                found = recommender.generate(
                    [self._whole_prompt(batch[i]) for i in rows],
                    max_new_tokens=max_new_tokens,
                    temperature=temperature,
                    seeds=[batch[i].seed for i in rows],
                )
                texts.update(zip(rows, found, strict=True))
            return [
                Response(
                    request_id=request.id,
                    status="ok" if texts[i].strip() else "no_answer",
                    text=texts[i],
                )
                for i, request in enumerate(batch)
            ]

        parameters = {"max_new_tokens": max_new_tokens}
        return self._ask([self._call("generate", request, parameters) for request in requests], ask)

    def score(
        self, requests: Sequence[Request], continuations: Sequence[Sequence[str]]
    ) -> list[Response]:
        """Ask for log-probabilities; `derived["tokens"]` holds nats per token for every
        continuation.

        Raises:
            AuditkitError: a score that was computed again differs beyond the engine's bound.
        """
        recommender = cast(Scores, self.recommender)

        def ask(
            batch: Sequence[Request], parameters: Sequence[Mapping[str, Any]]
        ) -> Sequence[RawResponse]:
            listed = [options["continuations"] for options in parameters]
            scores = recommender.score([self._whole_prompt(request) for request in batch], listed)
            for row, continuations in zip(scores, listed, strict=True):
                if len(row) != len(continuations):
                    raise TargetError("wrong_length", detail=f"{len(row)} scores for one prompt")
            checked = self._rechecked(batch, listed, scores, chosen)
            return [
                Response(
                    request_id=r.id,
                    status="ok",
                    derived={
                        "tokens": [list(s.tokens) for s in row],
                        **as_derived(checked.get(r.id)),
                    },
                )
                for r, row in zip(batch, scores, strict=True)
            ]

        pairs = zip(requests, continuations, strict=True)
        questions = [
            self._call("score", r, {"continuations": list(options)}) for r, options in pairs
        ]
        chosen = sample([question.id for question in questions])
        responses = self._ask(questions, ask)
        require_within_bound(responses)
        return responses

    def _rechecked(
        self,
        batch: Sequence[Request],
        continuations: Sequence[Sequence[str]],
        scores: Sequence[Sequence[TokenScores]],
        chosen: Collection[str],
    ) -> dict[str, float]:
        rows = [i for i, request in enumerate(batch) if request.id in chosen]
        if not rows or not isinstance(self.recommender, Rechecks):
            return {}
        return differences(
            self.recommender,
            [batch[i] for i in rows],
            [continuations[i] for i in rows],
            [scores[i] for i in rows],
        )

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

    def _whole_prompt(self, request: Request) -> str:
        """The prompt behind earlier turns, for a recommender that is handed texts; one with its own
        templates puts its turns there itself.
        """
        own = isinstance(self.recommender, Renders)
        return request.prompt if own else as_text(request.messages) + request.prompt

    def _rendered(self, request: Request) -> Request:
        return request if request.prompt else replace(request, prompt=self.render(request))

    def _call(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any] | None = None
    ) -> Call:
        """The question behind the turns that open every conversation, unless it has its own."""
        request = replace(request, messages=request.messages or self.prompts.opening())
        return Call(self._probe, self._probe_version, operation, request, parameters or {})

    def _ask(self, questions: Sequence[Call], ask: Ask) -> list[Response]:
        """One response per question, in order; what was not asked counts as `not_run`."""
        found = self._asker.ask(questions, ask, on_progress=self._on_progress)
        self._counts.update(
            response.status if response else "not_run" for response in found.values()
        )
        return [found[question.id] or _not_run(question) for question in questions]


def _not_run(question: Call) -> Response:
    return Response(request_id=question.id, status="target_error", reason="not_run")
