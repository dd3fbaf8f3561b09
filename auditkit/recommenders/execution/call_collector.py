"""Collect the calls of an audit without sending them, to be answered outside of auditkit.

Each line is one request with the id under which `replay:` looks up its response. A request that
several probes share is written once, under the id of the first probe, because the audit also sends
it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from auditkit.recommenders.execution.calls import Call
from auditkit.seeding import request_seed

__all__ = ["CallCollector"]


class CallCollector:
    """Replaces the request executor: records the calls and sends none.

    Attributes:
        questions: distinct calls by id, in the order in which probes made them.
    """

    def __init__(self) -> None:
        self.questions: dict[str, Call] = {}

    def ask(
        self,
        questions: Sequence[Call],
        ask: Callable[..., object],
        *,
        on_progress: Callable[[int, int], None],
    ) -> dict[str, None]:
        """Collect the calls; none gets a response."""
        self.questions.update((question.id, question) for question in questions)
        return dict.fromkeys(question.id for question in questions)

    def close(self) -> None:
        """Do nothing: no connection is open."""

    def calls(self) -> list[Call]:
        """Calls that a recommender would receive; a call that several probes share is included
        once.
        """
        first: dict[str, Call] = {}
        for question in self.questions.values():
            first.setdefault(question.cache_key(""), question)
        return list(first.values())

    def lines(self, seed: int) -> Iterator[dict[str, Any]]:
        """One JSON object per call: id, probe, operation, seed and the fields of the request."""
        for question in self.calls():
            fields = dict(question.fields)
            yield {
                "id": question.id,
                "probe": question.probe,
                "operation": fields.pop("op"),
                "seed": request_seed(seed, question.id),
                **fields,
            }
