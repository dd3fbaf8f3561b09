"""Run the searches of many users in lock-step, so that the Target gets their prompts in batches.

In every round, each unfinished search yields its candidates, and the Target gets the candidates of
all users in one call. What a search sees depends only on its own user, so the results are equal for
any batch size and any order of the users.
"""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.perturb.attempt import Attempt
from auditkit.perturb.searches import Searching, Try
from auditkit.perturb.span_edits import Edits, applied
from auditkit.recommenders.execution.target import Target

__all__ = ["Run", "run_in_lockstep"]

_MOST_KNOWN = 1000  # rounds without a new text, after which a search has run out of ideas


class Run:
    """One running search, with the attempt that records its results.

    Attributes:
        edits: edits of the text that reached the goal; empty if no text has.
    """

    def __init__(self, attempt: Attempt, searching: Searching) -> None:
        self.attempt, self.edits = attempt, Edits()
        self._searching = searching
        self._pending = next(searching, None)
        self._texts = self._candidates(self._pending)

    def _candidates(self, pending: Try | None) -> list[str | None]:
        """The text of every candidate; None for a candidate that the threat model does not
        allow.
        """
        if pending is None:
            return []
        original = self.attempt.text.text
        texts = [applied(original, edits) for edits in pending.candidates]
        final = pending.final
        return [text if not final or self.attempt.allows(text) else None for text in texts]

    def next_texts(self) -> list[str]:
        """The next texts to send; empty if the search has ended."""
        for _ in range(_MOST_KNOWN):
            if self._pending is None or self.attempt.exhausted:
                break
            if fresh := self.attempt.wanted(filter(None, self._texts)):
                return fresh
            self.advance()
        self._searching.close()
        return []

    def advance(self) -> None:
        """Continue the search with the outcomes of its last candidates."""
        pending = self._pending
        if pending is None:
            return
        if pending.final and self.attempt.settle(filter(None, self._texts)):
            place = self._texts.index(self.attempt.found)
            self.edits, self._pending = pending.candidates[place], None
            return
        outcomes = [self.attempt.outcome(text or "") for text in self._texts]
        try:
            self._pending = self._searching.send(outcomes)
        except StopIteration:
            self._pending = None
        self._texts = self._candidates(self._pending)


def run_in_lockstep(target: Target, runs: Sequence[Run]) -> None:
    """Run all searches to their ends, with their requests sent together; the attempts contain the
    results.
    """
    while True:
        asked = [(run, text) for run in runs for text in run.next_texts()]
        if not asked:
            return
        requests = [run.attempt.request_for(text) for run, text in asked]
        for (run, text), response in zip(asked, target.recommend(requests), strict=True):
            run.attempt.note(text, response)
        for run in dict.fromkeys(run for run, _ in asked):
            run.advance()
