"""Attribute importance: which stated attributes change the recommendation more than a placebo?

An absolute change is above 0 even for an irrelevant attribute, because every edit changes the text.
Attributes are therefore compared with placebo attributes of the same user ("whose favorite color is
green"), and tested together. If an attribute changes the recommendation and no stated reason names
the attribute, this is undisclosed use. See docs/explain/explanations.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, NotAssessable
from auditkit.probes.explanation.attribute_edits import (
    KINDS,
    measure_edits,
    placebos,
    stating_request,
)
from auditkit.probes.explanation.attribute_findings import attribute_findings
from auditkit.probes.explanation.attribute_tests import Measured
from auditkit.probes.explanation.reason_statements import reasons_for
from auditkit.probes.explanation.top_items import STORED, By, explained_users, source_of
from auditkit.probes.fairness.group_gaps import choose_groupings
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Generates, Recommends, Scores
from auditkit.types import Finding, Request

__all__ = ["AttributeImportanceProbe"]


@dataclass(frozen=True, kw_only=True)
class AttributeImportanceProbe:
    """Effect of deleting or exchanging each stated attribute, minus that of placebo attributes.

    Attributes:
        attributes: user attributes of the data set; empty for all with at least two values.
        n_users: number of users.
        n_items: number of latest history items in the request, 1..20.
        k: length of the list; by scores, its items are the candidates.
        top: number of top items whose overlap is measured by scores; by lists, the overlap of all k
            items is measured.
        by: what determines the top item: `scores`, `lists`, or `auto`, which means scores if the
            recommender returns them.
        draws: number of random sign flips in the tests.
    """

    attributes: tuple[str, ...] = ()
    n_users: int = 50
    n_items: int = 10
    k: int = 10
    top: int = 3
    by: By = "auto"
    draws: int = 9_999
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        smallest = min(self.n_users, self.n_items, self.top, self.draws)
        if smallest < 1 or self.n_items > 20 or self.k < 2:
            raise InvalidArgument(
                f"explain.attributes got n_users={self.n_users}, n_items={self.n_items}, "
                f"k={self.k}, top={self.top}, draws={self.draws}. Give n_users, top and draws of "
                "at least 1, n_items from 1 to 20, and k of at least 2."
            )
        if self.by not in ("auto", "scores", "lists"):
            raise InvalidArgument(
                f"explain.attributes got by={self.by!r}. Give 'auto', 'scores' or 'lists'."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """State all attributes and the placebos, then delete and exchange each attribute and
        placebo.
        """
        names = [g.name for g in choose_groupings(context.users, self.attributes, ())]
        if not names:
            raise NotAssessable("no user attribute has at least two known values")
        users = context.sample_users(self.n_users)
        requests = [
            stating_request(
                user, names, n_items=self.n_items, k=self.k, rng=context.rng("order", user.id)
            )
            for user in users
        ]
        self._require_statements(target, requests)
        explained, missing = explained_users(target, users, requests, by=self.by, kinds=KINDS)
        by_lists = source_of(target, self.by) == "lists"
        changes = measure_edits(
            target,
            explained,
            _values(context, names),
            [context.rng("swap", one.user.id) for one in explained],
            top=self.k if by_lists else self.top,
        )
        measured = Measured(
            names=names,
            n_users=len(users),
            explained=explained,
            changes=changes,
            source=source_of(target, self.by),
            missing=missing,
            reasons=_reasons(target, requests),
        )
        yield from attribute_findings(context, measured, draws=self.draws)

    def _require_statements(self, target: Target, requests: Sequence[Request]) -> None:
        if not target.reads_history:
            raise NotAssessable(STORED)
        if not target.reads_prompt:
            raise NotAssessable(
                "the recommender never reads the prompt text, so it cannot depend on stated "
                "attributes"
            )
        if self.by == "scores" and not isinstance(target.recommender, Scores):
            raise NotAssessable(
                "the recommender returns no scores of given items; set `by: lists` in the recipe"
            )
        first = requests[0]
        bare = Request(user_id=first.user_id, history=first.history, k=first.k)
        if target.render(first) == target.render(bare):
            raise NotAssessable(
                "the prompts of the recommender do not state attributes; add the slot {who} to its "
                "prompt file"
            )


def _values(context: Context, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the known values of every attribute and placebo, sorted."""
    found = {
        name: sorted(
            {user.attributes.get(name, "") for user in context.users} - {"", "unknown"}
        )
        for name in names
    }  # fmt: skip
    return {**found, **{name: list(values) for name, values in placebos().items()}}


def _reasons(target: Target, requests: Sequence[Request]) -> Mapping[str, str] | None:
    """Return stated reasons by user; None if the recommender does not answer in sentences."""
    tells = isinstance(target.recommender, Generates) and "reasons" in target.prompts.tasks
    if not tells or target.prompts.history == "item_tokens":
        return None
    return reasons_for(target, requests)
