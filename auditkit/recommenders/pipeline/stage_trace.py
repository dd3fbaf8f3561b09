"""Input and output of every stage of a pipeline, in the `trace` of a response.

The run log records the trace with the response, so the candidates of every stage can be read from
the evidence, and a probe that compares stages measures the same numbers when a run is resumed or
recomputed. The items and the text of the last stage are those of the response itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from auditkit.types import RankedItem, Request, Response

__all__ = ["StageRecord", "has_trace", "query_entry", "stage_records", "trace_entry"]

_STAGE, _WRITES, _PLAIN = "stage", "writes", "plain"


@dataclass(frozen=True)
class StageRecord:
    """The recorded input and output of one stage for one request.

    Attributes:
        name: name of the stage.
        given: candidates from the previous stage; None for a stage that chose from all items.
        items: what the stage returned, best first; ids are None for items outside the catalog.
        plain: items found by the plain query; None if it was not sent.
    """

    name: str
    given: tuple[RankedItem, ...] | None
    items: tuple[RankedItem, ...]
    plain: tuple[RankedItem, ...] | None = None


def trace_entry(
    name: str,
    asked: Request,
    response: Response,
    passed_on: Sequence[RankedItem] | None,
    *,
    plain: Sequence[RankedItem] | None = None,
) -> dict[str, JsonValue]:
    """Build the trace entry of one stage that returns items.

    Args:
        asked: the request to the stage. response: its response, with linked items.
        passed_on: candidates for the next stage; None for the last stage, whose items and text are
            in the response.
        plain: candidates found by the plain query; None if it was not sent.
    """
    entry = _entry(name, asked, response)
    if plain is not None:
        entry[_PLAIN] = _rows(plain)
    if passed_on is None:
        return entry
    if response.text is not None:
        entry["text"] = response.text
    entry["items"] = _rows(passed_on)
    return entry


def _rows(items: Sequence[RankedItem]) -> list[JsonValue]:
    return [
        {
            "rank": rank,
            "item_id": item.item_id,
            "raw": item.raw,
            "link": item.link,
            **({} if item.score is None else {"score": float(item.score)}),
        }
        for rank, item in enumerate(items, start=1)
    ]


def query_entry(name: str, asked: Request, response: Response) -> dict[str, JsonValue]:
    """Build the trace entry of a stage that writes a query; its text is recorded unchanged."""
    return {**_entry(name, asked, response), _WRITES: "query", "text": response.text or ""}


def _entry(name: str, asked: Request, response: Response) -> dict[str, JsonValue]:
    entry: dict[str, JsonValue] = {_STAGE: name, "n": asked.k, "status": response.status}
    if asked.prompt:
        entry["prompt"] = asked.prompt
    if asked.prompt and asked.messages:
        entry["messages"] = [{"role": m.role, "content": m.content} for m in asked.messages]
    return entry


def has_trace(response: Response) -> bool:
    """Whether a response comes from a pipeline, even if no stage returned an item."""
    return any(isinstance(entry.get(_STAGE), str) for entry in response.trace)


def stage_records(response: Response) -> tuple[StageRecord, ...]:
    """The recorded stages that return items, in order; empty if the response does not come from a
    pipeline, or if a first stage that should write a query wrote none.
    """
    entries = [
        entry
        for entry in response.trace
        if isinstance(entry.get(_STAGE), str) and _WRITES not in entry
    ]
    records: list[StageRecord] = []
    for entry in entries:
        listed = entry.get("items")
        items = tuple(_item(one) for one in listed) if isinstance(listed, list) else response.items
        given = records[-1].items if records else None
        plain = entry.get(_PLAIN)
        other = tuple(_item(one) for one in plain) if isinstance(plain, list) else None
        records.append(StageRecord(str(entry[_STAGE]), given, items, other))
    return tuple(records)


def _item(fields: Any) -> RankedItem:
    known: Mapping[str, Any] = fields if isinstance(fields, dict) else {}
    item_id, score = known.get("item_id"), known.get("score")
    return RankedItem(
        raw=str(known.get("raw", "")),
        item_id=item_id if isinstance(item_id, str) else None,
        link=str(known.get("link", "none")),
        score=float(score) if isinstance(score, int | float) else None,
    )
