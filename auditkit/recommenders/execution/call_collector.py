"""What an audit would ask, collected without asking, as lines that anyone can answer elsewhere.

Every line holds one request with the id under which `replay:` looks its answer up. A request that
several probes share stands there once, under the id of the first: the audit asks it once, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from auditkit.recommenders.execution.calls import Call
from auditkit.seeding import request_seed

__all__ = ["CallCollector"]


class CallCollector:
    """Takes questions in place of a run log and answers none.

    Attributes:
        questions: distinct questions by id, in the order in which probes asked.
    """

    def __init__(self) -> None:
        self.questions: dict[str, Call] = {}

    def ask(
        self,
        questions: Sequence[Call],
        ask: Callable[..., object],
        *,
        on_progress: Callable[[int], None],
    ) -> dict[str, None]:
        """Collect the questions; none gets a response."""
        self.questions.update((question.id, question) for question in questions)
        return dict.fromkeys(question.id for question in questions)

    def close(self) -> None:
        """Nothing is open."""

    def calls(self) -> list[Call]:
        """The questions that a recommender would get, the first of each that probes share."""
        first: dict[str, Call] = {}
        for question in self.questions.values():
            first.setdefault(question.cache_key(""), question)
        return list(first.values())

    def lines(self, seed: int) -> Iterator[dict[str, Any]]:
        """One JSON object per call: id, probe, operation, prompt and everything else asked."""
        for question in self.calls():
            fields = dict(question.fields)
            yield {
                "id": question.id,
                "probe": question.probe,
                "operation": fields.pop("op"),
                "seed": request_seed(seed, question.id),
                **fields,
            }
