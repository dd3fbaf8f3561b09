"""Say-do gap: do the stated reasons determine the recommendation?

Every user's list is requested with reasons that name items of the history ("because you watched
X"). The named items are linked to the history, and the effect of deleting them on the
recommendation is measured. See docs/explain/explanations.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import JsonValue

from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, NotAssessable
from auditkit.probes.explanation.reason_controls import measure_deletions
from auditkit.probes.explanation.reason_statements import Statement, ask_again, ask_for_reasons
from auditkit.probes.explanation.saydo_findings import Release, saydo_findings
from auditkit.probes.explanation.top_items import STORED, By, source_of
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Generates, Recommends, Scores
from auditkit.types import Finding

__all__ = ["SayDoProbe", "require_sentences"]


@dataclass(frozen=True, kw_only=True)
class SayDoProbe:
    """Hits, deletion effects and flips of stated reasons, and reasons that name absent items.

    Attributes:
        n_users: number of users, one statement each.
        n_items: number of latest history items in the request, 2..20.
        k: length of the list; its items are the candidates.
        by: what determines the top item: `scores`, `lists`, or `auto`, which means scores if the
            recommender returns them.
        draws: number of random sign flips in the test of all statements together.
    """

    n_users: int = 50
    n_items: int = 10
    k: int = 5
    by: By = "auto"
    draws: int = 9_999
    needs: ClassVar[tuple[type, ...]] = (Generates, Recommends)

    def __post_init__(self) -> None:
        if min(self.n_users, self.draws) < 1 or not 2 <= self.n_items <= 20 or self.k < 2:
            raise InvalidArgument(
                f"explain.saydo got n_users={self.n_users}, n_items={self.n_items}, k={self.k}, "
                f"draws={self.draws}. Give n_users and draws of at least 1, n_items from 2 to 20, "
                "and k of at least 2."
            )
        if self.by not in ("auto", "scores", "lists"):
            raise InvalidArgument(
                f"explain.saydo got by={self.by!r}. Give 'auto', 'scores' or 'lists'."
            )

    def most_requests(self, n_users: int) -> int:
        """Return an upper bound on the number of requests for `n_users` users in the data."""
        return min(self.n_users, n_users) * (self.n_items + 24)

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request reasons, delete the named items or equally many others, and request reasons
        again.
        """
        require_sentences(target)
        if self.by == "scores" and not isinstance(target.recommender, Scores):
            raise NotAssessable(
                "the recommender returns no scores of given items; set `by: lists` in the recipe"
            )
        users = context.sample_users(self.n_users)
        statements, missing = ask_for_reasons(
            target, users, n_items=self.n_items, k=self.k, by=self.by
        )
        named = [one for one in statements if one.reason.names_something]
        if len(named) < len(statements):
            missing["the reason names no item"] = len(statements) - len(named)
        # With all items stated, nothing is left to delete as a control; that is counted apart.
        resolved = [one for one in named if one.reason.positions]
        rngs = [context.rng("controls", one.explained.user.id) for one in resolved]
        release = Release(
            n_users=len(users),
            named=named,
            resolved=resolved,
            measured=measure_deletions(target, resolved, rngs),
            repeated=ask_again(target, resolved),
            source=source_of(target, self.by),
            missing=missing,
        )
        yield from saydo_findings(context, release, self._parameters(target, named), self.draws)

    def _parameters(self, target: Target, named: Sequence[Statement]) -> dict[str, JsonValue]:
        sizes = Counter(len(one.reason.positions) for one in named)
        return {
            "by": source_of(target, self.by),
            "n_items": self.n_items,
            "k": self.k,
            "statements_by_stated_items": {str(size): sizes[size] for size in sorted(sizes)},
        }


def require_sentences(target: Target) -> None:
    """Raise NotAssessable if the recommender cannot state reasons in sentences."""
    if not target.reads_history:
        raise NotAssessable(STORED)
    if not target.reads_prompt or target.prompts.history == "item_tokens":
        raise NotAssessable(
            "the recommender does not answer prompts in sentences; audit a recommender that "
            "answers in sentences"
        )
    if "reasons" not in target.prompts.tasks:
        raise NotAssessable(
            "the prompts of the recommender have no task `reasons`; add it to its prompt file if "
            "it can give reasons"
        )
