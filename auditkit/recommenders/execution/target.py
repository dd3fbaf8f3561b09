"""Interface between probes and the recommender, with batching, caching and resuming.

A probe passes requests and gets one Response per request, in order; a failure affects only its own
request. The Target renders prompts, sends batches, links titles to the catalog, assigns one status
to each response, and appends it to the run log before the probe sees it. A call with a record in
the log is never sent again, so an audit that was killed resumes with the same numbers.
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
from auditkit.domains.shipped import domain_pack
from auditkit.errors import TargetError
from auditkit.evidence.run_log import RunLog, SealedLog
from auditkit.recommenders.execution.call_collector import CallCollector
from auditkit.recommenders.execution.calls import Call
from auditkit.recommenders.execution.executor import Ask, OnProgress, RequestExecutor
from auditkit.recommenders.execution.response_cache import ResponseCache
from auditkit.recommenders.execution.response_checks import require_one_each
from auditkit.recommenders.execution.score_recheck import (
    as_derived,
    differences,
    require_within_bound,
    sample,
)
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.recommenders.prompting.answers import generated_text
from auditkit.recommenders.prompting.prompts import Prompts, as_text
from auditkit.recommenders.protocols import (
    CAPABILITIES,
    Converses,
    Generates,
    Operation,
    RawResponse,
    Rechecks,
    Recommends,
    Renders,
    Scores,
    TokenScores,
)
from auditkit.recommenders.remote.chat_turns import read_turn
from auditkit.recommenders.remote.transport import Transport
from auditkit.registry import ProbeSpec
from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import RESPONSE_STATUSES, Item, Request, Response

__all__ = ["Target"]


class Target:
    """One recommender under audit.

    Args:
        recommender: an object with at least one capability of `protocols`.
        catalog: links titles and ids to items.
        log: run log, which provides recorded responses and receives new ones; or a `CallCollector`,
            which collects the calls without sending them.
        fingerprint: identifies the recommender; cache keys depend on this, the catalog, the version
            and the seed.
        prompts: templates for a recommender without templates; None uses the shipped templates.
        batch_size: requests per call of the recommender.
        window: number of requests that are distributed over several workers at a time; None without
            workers.
        stop: budget and circuit breaker; records whether and why the run was stopped.
        transport: concurrency and retries for a remote recommender.
        seconds: deadline of one call; None for no deadline.
        retry_errors: repeat calls whose log record is an error.
        defer_signals: context manager around a call and the writing of its record.
        on_progress: called with two numbers: requests that were just finished, and requests that
            are left in the current step of a probe.
    """

    def __init__(
        self,
        recommender: object,
        *,
        catalog: Catalog,
        log: RunLog | SealedLog | CallCollector,
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
        on_progress: OnProgress = lambda done, left: None,
    ) -> None:
        self.recommender, self.catalog = recommender, catalog
        own = recommender.prompts if isinstance(recommender, Renders) else None
        self.pack = domain_pack(catalog.domain)
        self.prompts = own or prompts or Prompts.shipped("titles", self.pack)
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
                # Stored responses are parsed, linked and perhaps sampled, so they are valid only
                # for this catalog, version and seed.
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
                item_path=self.prompts.item_path,
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
        """Whether the recommender reads the prompt text."""
        return bool(getattr(self.recommender, "reads_prompt", True))

    @property
    def reads_history(self) -> bool:
        """Whether lists depend on the history. Those of stored scores and stored lists only exclude
        the items of the history.
        """
        return bool(getattr(self.recommender, "reads_history", True))

    def for_probe(self, spec: ProbeSpec) -> Target:
        """Return a copy of the target whose calls are recorded for one probe, with counts at
        zero.
        """
        bound = copy.copy(self)
        bound._probe, bound._probe_version, bound._counts = spec.id, spec.version, Counter()
        return bound

    def status_counts(self) -> dict[str, int]:
        """Number of this probe's requests by status, including `not_run`; they sum to the number
        of planned requests.
        """
        return {status: self._counts[status] for status in (*RESPONSE_STATUSES, "not_run")}

    # --- calls

    def recommend(
        self, requests: Sequence[Request], *, through: tuple[str, Recommends] | None = None
    ) -> list[Response]:
        """Get a list for every request; an empty prompt is rendered first.

        Args:
            through: name and object of a variant of the recommender that is called instead; None
                calls the recommender itself.
        """
        name, recommender = through or ("", cast(Recommends, self.recommender))
        parameters = {"variant": name} if name else {}
        questions = [
            self._call("recommend", self._rendered(request), parameters) for request in requests
        ]
        return self._ask(questions, lambda batch, _: recommender.recommend(batch))

    def generate(self, requests: Sequence[Request], *, max_new_tokens: int) -> list[Response]:
        """Generate the text after the prompt of each request."""
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
            return [generated_text(request, texts[i]) for i, request in enumerate(batch)]

        parameters = {"max_new_tokens": max_new_tokens}
        return self._ask([self._call("generate", request, parameters) for request in requests], ask)

    def converse(
        self, requests: Sequence[Request], *, tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[Response]:
        """Request the next turn of every conversation.

        Args:
            requests: their `messages` are the earlier turns, `prompt` is the new turn of the user;
                a list is parsed from the text if `k` is above 0.
            tools: OpenAI-style descriptions of the functions that may be called; the calls that
                were made are in the `trace` of a response.
        """
        recommender = cast(Converses, self.recommender)

        def ask(batch: Sequence[Request], _: Sequence[Mapping[str, Any]]) -> Sequence[RawResponse]:
            answers = recommender.converse(batch, tools=tools)
            require_one_each(answers, batch)
            return [read_turn(r, answer) for r, answer in zip(batch, answers, strict=True)]

        parameters = {"tools": [dict(tool) for tool in tools]} if tools else {}
        return self._ask([self._call("converse", r, parameters) for r in requests], ask)

    def score(
        self, requests: Sequence[Request], continuations: Sequence[Sequence[str]]
    ) -> list[Response]:
        """Compute log-probabilities; `derived["tokens"]` contains nats per token for every
        continuation.

        Raises:
            AuditkitError: a recomputed score differs from the original one by more than the bound
                of the engine.
        """
        recommender = cast(Scores, self.recommender)

        def ask(
            batch: Sequence[Request], parameters: Sequence[Mapping[str, Any]]
        ) -> Sequence[RawResponse]:
            listed = [options["continuations"] for options in parameters]
            scores = recommender.score([self._whole_prompt(request) for request in batch], listed)
            for row, continuations in zip(scores, listed, strict=True):
                if len(row) != len(continuations):
                    raise TargetError(
                        "wrong_length",
                        detail=f"{len(row)} scores for {len(continuations)} continuations",
                    )
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
        # Recorded scores of answers in a chat and of plain text must not be confused.
        own: Mapping[str, Any] = getattr(self.recommender, "score_parameters", {})
        questions = [
            self._call("score", r, {"continuations": list(options), **own}) for r, options in pairs
        ]
        chosen = sample([question.id for question in questions])
        responses = self._ask(questions, ask)
        require_within_bound(responses)
        return responses

    def try_unrecorded(self, request: Request, ask: Ask, *, max_new_tokens: int) -> Response | None:
        """Send one request without recording it as evidence.

        Args:
            ask: calls a local recommender. max_new_tokens: token limit of a text, used for remote
                recommenders.

        Returns:
            The response, with status `target_error` if the call failed; None if nothing was sent
            because an earlier call succeeded.
        """
        parameters = {"max_new_tokens": max_new_tokens}
        call = self._call("generate", self._rendered(request), parameters)
        if isinstance(self._asker, CallCollector):
            return None
        return self._asker.unrecorded(call, ask)

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
        """Text of an item as a continuation of a prompt, in the format of the recommender."""
        return (
            self.recommender.reference(item)
            if isinstance(self.recommender, Renders)
            else item.title
        )

    def render(self, request: Request) -> str:
        """Render the prompt of a request with the recommender's own templates, if it has any."""
        renderer = self.recommender if isinstance(self.recommender, Renders) else self.prompts
        return renderer.render(request)

    def _whole_prompt(self, request: Request) -> str:
        """Return earlier turns and prompt as one text. A recommender with its own templates renders
        the turns itself.
        """
        own = isinstance(self.recommender, Renders)
        return request.prompt if own else as_text(request.messages) + request.prompt

    def _rendered(self, request: Request) -> Request:
        return request if request.prompt else replace(request, prompt=self.render(request))

    def _call(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any] | None = None
    ) -> Call:
        """Build the call; it includes the opening turns of the prompt templates, unless the
        recommender has its own templates.
        """
        request = replace(request, messages=request.messages or self.prompts.opening())
        return Call(self._probe, self._probe_version, operation, request, parameters or {})

    def _ask(self, questions: Sequence[Call], ask: Ask) -> list[Response]:
        """One response per call, in order; a call that was not sent counts as `not_run`."""
        found = self._asker.ask(questions, ask, on_progress=self._on_progress)
        self._counts.update(
            response.status if response else "not_run" for response in found.values()
        )
        return [found[question.id] or _not_run(question) for question in questions]


def _not_run(question: Call) -> Response:
    return Response(request_id=question.id, status="target_error", reason="not_run")
