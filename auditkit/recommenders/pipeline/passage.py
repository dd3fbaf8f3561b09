"""The path of one request through the stages of a pipeline.

A passage has no connection and makes no call: it builds the request to the next stage and processes
the response. Therefore a local pipeline can run it in batches, and a pipeline with a server in
concurrent calls. A stage that returns no item ends the passage, because the later stages have
nothing to choose from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from pydantic import JsonValue

from auditkit.catalog.catalog import Catalog
from auditkit.recommenders.execution.response_checks import check_response, link_items, list_after
from auditkit.recommenders.pipeline.query import history_query, query_in
from auditkit.recommenders.pipeline.stage import Stage, with_candidates_shown
from auditkit.recommenders.pipeline.stage_trace import query_entry, trace_entry
from auditkit.recommenders.protocols import NOT_RUN, NotRun, RawResponse
from auditkit.types import Item, RankedItem, Request, Response

__all__ = ["Passage"]

_WITH_A_QUERY = ("ok", "no_answer", "parse_error")  # the text of a query is not parsed as a list


class Passage:
    """The state of one request on its way through the stages.

    Args:
        request: the request to the pipeline. catalog: links written titles to items. worded: the
            stage that gets the prompt of the request; prompts of other stages are rendered from
            their own templates.

    Attributes:
        result: the response of the pipeline; None until its last stage has answered.
    """

    def __init__(self, request: Request, *, worded: Stage | None, catalog: Catalog) -> None:
        self._request, self._worded, self._catalog = request, worded, catalog
        self._candidates = request.candidates
        self._trace: list[Mapping[str, JsonValue]] = []
        self._usage: Counter[str] = Counter()
        self._query: str | None = None
        self.result: Response | NotRun | None = None

    def request_for(self, stage: Stage) -> Request:
        """The request to a stage, with the candidates of the previous stage."""
        asked = replace(self._request, k=stage.n or self._request.k, candidates=self._candidates)
        if self._query is not None:
            return replace(asked, prompt=self._query, instruction="", messages=())
        if stage is self._worded:
            if not asked.prompt:
                asked = replace(asked, prompt=stage.render(self._request))
        elif stage.reads:
            own = replace(asked, instruction="", messages=stage.prompts.opening())
            asked = replace(own, prompt=stage.render(own))
        else:
            asked = replace(asked, prompt="", messages=())
        return with_candidates_shown(asked, stage.choose) if stage.shows else asked

    def take(
        self,
        stage: Stage,
        asked: Request,
        answer: RawResponse,
        *,
        plain: RawResponse | None = None,
    ) -> None:
        """Process the response of a stage to the request that `request_for` returned.

        Args:
            plain: the response to `plain_request`; its items are recorded for comparison.

        Raises:
            TargetError: the response has a wrong type or belongs to another request.
        """
        response = check_response(asked, answer)
        if response is None:
            self.result = NOT_RUN
            return
        self._usage.update(response.usage)
        if stage.writes == "query":
            self._take_query(stage, asked, response)
            return
        self._query = None
        compared = None if plain is None else check_response(asked, plain)
        found = None if compared is None else self._listed(stage, asked, compared)[1]
        if stage.n is None:
            self._end(response, trace_entry(stage.name, asked, response, None, plain=found))
            return
        response, passed_on = self._listed(stage, asked, response)
        entry = trace_entry(stage.name, asked, response, passed_on, plain=found)
        if passed_on:
            self._trace += [entry, *response.trace]
            self._candidates = tuple(Item(one.item_id or "", one.raw) for one in passed_on)
            return
        status = "no_answer" if response.status == "ok" else response.status
        reason = response.reason or f"no candidates from stage {stage.name}"
        self._end(replace(response, status=status, reason=reason, items=()), entry)

    def _listed(
        self, stage: Stage, asked: Request, response: Response
    ) -> tuple[Response, list[RankedItem]]:
        """Return the response with linked items, and its distinct items, cut to the requested
        number.
        """
        listed = list_after(
            stage.prompts.answer_after, response, k=asked.k, item_path=stage.prompts.item_path
        )
        linked = link_items(listed, self._catalog)
        return linked, _distinct(linked.items)[: asked.k] if linked.status == "ok" else []

    def plain_request(self, asked: Request) -> Request | None:
        """The request of a stage that reads a query, with the plain query in place of the query
        that the first stage wrote; None for other stages.
        """
        if self._query is None:
            return None
        return replace(asked, prompt=history_query(self._request.history))

    def _take_query(self, stage: Stage, asked: Request, response: Response) -> None:
        entry = query_entry(stage.name, asked, response)
        written = response.status in _WITH_A_QUERY
        self._query = query_in(response.text or "") or None if written else None
        if self._query is not None:
            self._trace += [entry, *response.trace]
            return
        reason = response.reason or f"no query from stage {stage.name}"
        status = "no_answer" if response.status == "ok" else response.status
        self._end(replace(response, status=status, reason=reason, items=()), entry)

    def _end(self, response: Response, entry: Mapping[str, JsonValue]) -> None:
        trace = (*self._trace, entry, *response.trace)
        self.result = replace(response, trace=trace, usage=dict(self._usage))


def _distinct(items: tuple[RankedItem, ...]) -> list[RankedItem]:
    """Drop repeated items; an item outside the catalog is identified by its text."""
    found: dict[str, RankedItem] = {}
    for item in items:
        found.setdefault(f"id:{item.item_id}" if item.item_id else f"raw:{item.raw}", item)
    return list(found.values())
