"""A recommender of several stages, each of which gets the candidates that the previous stage
returned.

A pipeline with a served model is called like this model: one call per request, with the retries,
deadlines and connections of the server. The stages before and after it run in this process within
the same call. At most one stage may be a server, so that deadlines and rate limits apply to one
exchange.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from auditkit.catalog.catalog import Catalog
from auditkit.errors import AuditkitError, ConfigurationError, TargetError
from auditkit.recommenders.execution.response_checks import require_one_each
from auditkit.recommenders.pipeline.passage import Passage
from auditkit.recommenders.pipeline.stage import Stage, titles_shown, with_candidates_shown
from auditkit.recommenders.protocols import (
    NOT_RUN,
    Generates,
    Operation,
    RawResponse,
    Remote,
    RunNotes,
    Works,
)
from auditkit.recommenders.wrappers.delegation import offer
from auditkit.security.network_guard import NetworkForbidden
from auditkit.types import Item, Request, Response

__all__ = ["Pipeline"]

_QUERY_TOKENS = 48  # written by a local model


class Pipeline:
    """Runs the stages one after the other; every response has a trace with one entry per stage.

    Args:
        name: name of the recommender in the report.
        steps: two or more stages.
        catalog: links the titles that stages write to items.

    Attributes:
        stages: names of the stages that return items, in order.
        query_stage: name of the first stage if it writes a search query; else None.
        prompts: templates of the stage that gets the prompt of the request: the last stage that
            reads a prompt other than a search query.
        reads_prompt: whether any stage reads the prompt text.

    Raises:
        ConfigurationError: more than one stage is a server.
    """

    def __init__(self, name: str, steps: Sequence[Stage], *, catalog: Catalog) -> None:
        servers = [stage for stage in steps if isinstance(stage.recommender, Remote)]
        if len(servers) > 1:
            names = " and ".join(repr(stage.name) for stage in servers)
            raise ConfigurationError(
                f"the stages {names} are servers, but a pipeline can have only one. Serve them "
                "behind one endpoint, or audit each in a separate pipeline."
            )
        self.name, self._steps, self._catalog = name, tuple(steps), catalog
        self.stages = tuple(stage.name for stage in steps if stage.writes == "list")
        self.query_stage = next((stage.name for stage in steps if stage.writes == "query"), None)
        retriever = steps[1] if self.query_stage else None
        self._worded = next(
            (stage for stage in reversed(steps) if stage.reads and stage is not retriever), None
        )
        self.reads_prompt = self._worded is not None
        self.prompts = (self._worded or steps[-1]).prompts
        for stage in servers:  # a capability is the presence of a method
            offer(
                self,
                stage.recommender,
                as_they_are=("close", "request_limits", "max_tokens"),
                changed={"answer": self._answer},
            )

    # --- prompts

    def render(self, request: Request) -> str:
        """Render the prompt of a request; the slot for the candidates stays open."""
        return (self._worded or self._steps[-1]).render(request)

    def reference(self, item: Item) -> str:
        """The title of the item."""
        return item.title

    def planned_prompt(self, request: Request) -> str:
        """A prompt as long as the final one, for a plan that calls no stage. The open slot is
        filled with as many titles as there will be candidates, drawn evenly from the catalog.
        """
        n = titles_shown(self._steps)
        if not n or self._worded is None or not self._worded.shows:
            return request.prompt
        given = request.candidates[:n] if request.candidates is not None else None
        items = self._catalog.items
        step = max(1, len(items) // n)
        drawn = tuple(Item(one.id, one.display_title) for one in items[::step][:n])
        shown = replace(request, candidates=drawn if given is None else given)
        return with_candidates_shown(shown, self._worded.choose).prompt

    # --- calls

    def recommend(self, requests: Sequence[Request]) -> list[RawResponse]:
        """Run every stage on all requests, one stage after the other.

        Raises:
            TargetError: a stage failed; the detail names the stage.
        """
        passages = [self._passage(request) for request in requests]
        for stage in self._steps:
            waiting = [passage for passage in passages if passage.result is None]
            asked = [passage.request_for(stage) for passage in waiting]
            plain = self._plain(stage, waiting, asked)
            for passage, request, answer, other in zip(
                waiting, asked, self._local(stage, asked), plain, strict=True
            ):
                with _named(stage):
                    passage.take(stage, request, answer, plain=other)
        return [passage.result or NOT_RUN for passage in passages]

    async def _answer(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any]
    ) -> RawResponse:
        """Run one request through the stages. Any operation other than `recommend` only tests the
        prompt, and ends with the response of the server.
        """
        passage = self._passage(request)
        for stage in self._steps:
            asked = passage.request_for(stage)
            answer: RawResponse
            plain: RawResponse | None = None
            if isinstance(stage.recommender, Remote):
                with _named(stage):
                    answer = await stage.recommender.answer(operation, asked, parameters)
                if operation != "recommend":
                    return answer
            else:
                (answer,) = self._local(stage, [asked])
                (plain,) = self._plain(stage, [passage], [asked])
            with _named(stage):
                passage.take(stage, asked, answer, plain=plain)
            if passage.result is not None:
                break
        return passage.result or NOT_RUN

    def _passage(self, request: Request) -> Passage:
        return Passage(request, worded=self._worded, catalog=self._catalog)

    def _local(self, stage: Stage, requests: Sequence[Request]) -> Sequence[RawResponse]:
        """Responses of one stage, one per request."""
        if not requests:
            return []
        with _named(stage):
            if stage.writes == "query" and isinstance(stage.recommender, Generates):
                return _texts(stage.recommender, requests)
            answers = stage.recommender.recommend(requests)
            require_one_each(answers, requests)
        return answers

    def _plain(
        self, stage: Stage, passages: Sequence[Passage], asked: Sequence[Request]
    ) -> Sequence[RawResponse | None]:
        """Responses of a stage to the plain query, one per passage; None if the stage reads no
        query.
        """
        others = [
            passage.plain_request(request) for passage, request in zip(passages, asked, strict=True)
        ]
        found = iter(self._local(stage, [request for request in others if request is not None]))
        return [None if request is None else next(found) for request in others]

    # --- reports

    @property
    def summary(self) -> str:
        """A sentence that lists the stages with their names and numbers of candidates."""
        said = [
            f"{stage.name} is {getattr(stage.recommender, 'name', 'a recommender')}"
            + (f" and passes {stage.n:,} candidates on" if stage.n else "")
            + (" and writes the query" if stage.writes == "query" else "")
            for stage in self._steps
        ]
        return f"Stages: {', '.join(said)}."

    def work(self) -> Mapping[str, int]:
        """Forward passes and tokens of all local models of the stages, since loading."""
        total: Counter[str] = Counter()
        for stage in self._steps:
            if isinstance(stage.recommender, Works):
                total.update(stage.recommender.work())
        return dict(total)

    def run_notes(self, answered: Collection[str]) -> list[str]:
        """Notes of the stages for the run summary, each with the name of its stage."""
        return [
            f"stage {stage.name}: {note}"
            for stage in self._steps
            if isinstance(stage.recommender, RunNotes)
            for note in stage.recommender.run_notes(answered)
        ]


def _texts(model: Generates, requests: Sequence[Request]) -> list[RawResponse]:
    """The greedy continuation of every prompt, as a response."""
    texts = model.generate(
        [request.prompt for request in requests],
        max_new_tokens=_QUERY_TOKENS,
        temperature=0,
        seeds=[request.seed for request in requests],
    )
    return [
        Response(request_id=request.id, status="ok" if text.strip() else "no_answer", text=text)
        for request, text in zip(requests, texts, strict=True)
    ]


@contextmanager
def _named(stage: Stage) -> Iterator[None]:
    """Context manager that adds the name of the stage to the errors of its recommender."""
    try:
        yield
    except NetworkForbidden:
        raise
    except TargetError as error:
        raise TargetError(
            error.reason,
            detail=f"stage {stage.name}: {error.detail}",
            retryable=error.retryable,
            retry_after=error.retry_after,
        ) from error
    except AuditkitError as error:
        raise TargetError("exception", detail=f"stage {stage.name}: {error}") from error
