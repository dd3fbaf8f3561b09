"""Recorded responses of a run by request id, and differences between the responses of two runs.

Records may contain hostile text, so fields of an unexpected type are ignored. Personal data are
masked, because a comparison is passed on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.security.personal_data import mask
from auditkit.security.redaction import map_text

__all__ = ["Answer", "AnswerChanges", "answer_changes", "answer_of", "by_request"]

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """One response in readable form; `items` are pairs (title, whether it is in the catalog)."""

    status: str
    reason: str
    items: tuple[tuple[str, bool], ...]
    text: str


@dataclass(frozen=True, kw_only=True)
class AnswerChanges:
    """How the responses to equal requests differ.

    Attributes:
        shared: number of requests in both runs. only_baseline, only_candidate: number of requests
            in only one run.
        equal: number of shared requests with the same status and the same items in the same order.
        newly_failed, newly_answered: number of shared requests whose status changed from `ok` or to
            `ok`.
        transitions: (status in the baseline, status in the candidate, count) for changed statuses,
            most frequent first. examples: one request id for each transition.
    """

    shared: int
    only_baseline: int
    only_candidate: int
    equal: int
    newly_failed: int
    newly_answered: int
    transitions: tuple[tuple[str, str, int], ...]
    examples: tuple[str, ...]


def by_request(records: Sequence[Body]) -> dict[str, Body]:
    """Map request ids to records; of several records of a request, the last is used."""
    return {str(body.get("request_id")): body for body in records}


def answer_of(body: Body) -> Answer:
    """Convert a record to a readable response, with personal data masked."""
    shown = map_text(body, mask)
    rows = shown.get("items")
    items = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return Answer(
        status=_text(shown.get("status")),
        reason=_text(shown.get("reason")),
        items=tuple((_text(row.get("raw")), row.get("item_id") is not None) for row in items),
        text=_text(shown.get("text")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _listed(body: Body) -> tuple[object, ...]:
    """Values that are equal for equal responses: status and items, or the text if there are no
    items.
    """
    rows = body.get("items")
    items = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    listed = tuple(_text(row.get("item_id")) or _text(row.get("raw")) for row in items)
    return (body.get("status"), listed, None if listed else _text(body.get("text")))


def answer_changes(baseline: Mapping[str, Body], candidate: Mapping[str, Body]) -> AnswerChanges:
    """Compare the responses of two runs to the requests that both runs sent.

    Args:
        baseline, candidate: records by request id, see `by_request`.
    """
    shared = [request for request in candidate if request in baseline]
    moved: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for request in shared:
        pair = (
            _text(baseline[request].get("status")), _text(candidate[request].get("status"))
        )  # fmt: skip
        if pair[0] != pair[1]:
            moved[pair] += 1
            first.setdefault(pair, request)
    ranked = sorted(moved.items(), key=lambda entry: (-entry[1], entry[0]))
    return AnswerChanges(
        shared=len(shared),
        only_baseline=len(baseline) - len(shared),
        only_candidate=len(candidate) - len(shared),
        equal=sum(_listed(baseline[r]) == _listed(candidate[r]) for r in shared),
        newly_failed=sum(n for (before, _), n in ranked if before == "ok"),
        newly_answered=sum(n for (_, after), n in ranked if after == "ok"),
        transitions=tuple((before, after, n) for (before, after), n in ranked),
        examples=tuple(first[pair] for pair, _ in ranked),
    )
