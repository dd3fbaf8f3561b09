"""Stages of a pipeline: which stage loses held-out items, and which adds other items?

A retriever that misses the right items and a language model that drops them give equal hit rates
but need opposite repairs. The requests are those of `utility.ranking`, so an audit with both probes
sends each request only once; the candidates of every stage are read from the trace of the
responses. See docs/how-to/audit-a-pipeline.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from pydantic import JsonValue

from auditkit.errors import InvalidArgument
from auditkit.probes.base import (
    UTILITY_STATUSES,
    Context,
    NotAssessable,
    User,
    finding,
    neutral_request,
    require_unseen_test_items,
    split_by_status,
    unit_of,
)
from auditkit.probes.pipeline.stage_outcomes import StageOutcome, stage_outcomes
from auditkit.recommenders.execution.readable_form import unreadable_form
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.pipeline.stage_trace import has_trace, stage_records
from auditkit.recommenders.protocols import Recommends, Staged
from auditkit.stats.bootstrap import bootstrap_mean, paired_difference
from auditkit.types import Evidence, Finding

__all__ = ["StagesProbe"]

CUTOFF = 10
_N_SHOWN = 3
_ADDED = ("left_candidates", "out_of_candidates", "out_of_catalog")


class _Passed(NamedTuple):
    """One user whose response has a trace."""

    user: User
    request_id: str
    stages: Sequence[StageOutcome]


@dataclass(frozen=True, kw_only=True)
class StagesProbe:
    """Lost held-out items, added items and change of NDCG@10, for every stage of a pipeline.

    Attributes:
        n_users: largest number of users; from more users, a sample is taken with the seed of the
            run. None for all users.
    """

    n_users: int | None = 1_000
    needs: ClassVar[tuple[type, ...]] = (Staged, Recommends)

    def __post_init__(self) -> None:
        if self.n_users is not None and self.n_users < 1:
            raise InvalidArgument(
                f"utility.stages got n_users={self.n_users}. Give at least 1 user, or leave "
                "n_users out for all users."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request one list per user, and compare the output of every stage with its input."""
        require_unseen_test_items(context)
        users = [user for user in context.at_most(self.n_users) if user.test_items]
        if not users:
            raise NotAssessable("no user has a held-out item")
        responses = target.recommend([neutral_request(user, k=CUTOFF) for user in users])
        kept, _ = split_by_status(responses, UTILITY_STATUSES)
        unreadable = unreadable_form((responses[i].items for i in kept), target.catalog)
        if unreadable:
            raise NotAssessable(unreadable)
        names = getattr(target.recommender, "stages", ())
        query = getattr(target.recommender, "query_stage", None)
        passed = []
        for i in kept:
            if has_trace(responses[i]):
                asks = [StageOutcome()] if query else []
                stages = stage_outcomes(
                    stage_records(responses[i]),
                    names,
                    users[i].test_items,
                    catalog=target.catalog,
                    k=CUTOFF,
                    query=asks[0] if asks else None,
                )
                passed.append(_Passed(users[i], responses[i].request_id, [*asks, *stages]))
        notes = context.sampled(self.n_users)
        n_missing = len(users) - len(passed)
        asking = (query,) if query else ()
        every = (*asking, *names)
        yield from _Findings(context, every, passed, n_missing, notes, first=len(asking)).all()


@dataclass(frozen=True)
class _Findings:
    """Findings on the outcomes of all users; `n_missing` users have no response.

    `first` is the index of the first stage that returns items: 1 after a stage that writes a query,
    else 0.
    """

    context: Context
    names: Sequence[str]
    passed: Sequence[_Passed]
    n_missing: int
    notes: Sequence[str]
    first: int = 0

    def all(self) -> Iterator[Finding]:
        """Yield the findings on held-out items, then on added items, then on the order."""
        last = len(self.names) - 1
        for place in range(self.first, last):
            recall = [one.stages[place].has for one in self.passed]
            n = max((one.stages[place].n_items for one in self.passed), default=0)
            targets = sum(len(one.user.test_items) for one in self.passed)
            counts: dict[str, JsonValue] = {"n": n, "n_targets": targets}
            yield self._mean("candidate_recall", place, recall, counts=counts)
        if self.first:
            yield self._query_gain()
        for place in range(last + 1):
            lost = [one.stages[place].lost for one in self.passed]
            yield self._mean("lost_rate", place, lost, shows="lost")
        left_out = [one.stages[last].left_out for one in self.passed]
        yield self._mean("left_out_rate", last, left_out, shows="left_out")
        below = [one.stages[last].below_k for one in self.passed]
        yield self._mean("below_k_rate", last, below, shows="below_k")
        for place in range(self.first, last + 1):
            yield from self._added(place)
        for place in range(self.first, last + 1):
            yield self._mean("ndcg@10", place, [one.stages[place].ndcg for one in self.passed])
        for place in range(self.first + 1, last + 1):
            yield self._change(place)

    def _query_gain(self) -> Finding:
        """Estimate the recall of the written query minus that of the titles of the history."""
        ran = [one for one in self.passed if one.stages[0].ran]
        return self._difference(
            "query_gain",
            self.names[0],
            ran,
            before=[one.stages[0].has for one in ran],
            after=[one.stages[1].has for one in ran],
            said="recall {before:.2f} with the titles of the history as the query, {after:.2f} "
            "with the written query",
        )

    def _added(self, place: int) -> Iterator[Finding]:
        """Yield shares of a stage's items that were not candidates or, for the first, not in the
        catalog.
        """
        ran = [one for one in self.passed if one.stages[place].ran]
        for kind in _ADDED if place > self.first else _ADDED[-1:]:
            rows = [(one, one.stages[place].outside[kind]) for one in ran]
            yield self._mean(
                f"{kind}_rate",
                place,
                [share for _, share in rows if share is not None],
                of=[one for one, share in rows if share is not None],
                counts={"n_added": sum(one.stages[place].n_outside[kind] for one in ran)},
                shows=kind,
            )

    def _mean(
        self,
        name: str,
        place: int,
        values: Sequence[float],
        *,
        of: Sequence[_Passed] | None = None,
        counts: Mapping[str, JsonValue] | None = None,
        shows: str = "",
    ) -> Finding:
        """Average a share in [0, 1] over users, and cite the users with the largest values."""
        of = self.passed if of is None else of
        full = f"{self.context.probe_id}.{name}"
        unit, direction = unit_of(full)
        measured = bootstrap_mean(
            values,
            rng=self.context.rng(name, self.names[place]),
            unit=unit,
            direction=direction,
            n_missing=self.n_missing + len(self.passed) - len(of),
            reason="no response has an item of this stage that the linker can decide",
            limits=(0, 1),
        )
        n_targets = sum(len(one.user.test_items) for one in of)
        held_out: dict[str, JsonValue] = {"n_targets": n_targets}
        cases = [(one, value) for one, value in zip(of, values, strict=True) if shows and value]
        return finding(
            self.context,
            full,
            measured,
            group=f"stage={self.names[place]}",
            parameters={"k": CUTOFF, **(held_out if counts is None else counts)},
            units=[(one.user.id, value, 1.0) for one, value in zip(of, values, strict=True)],
            evidence=[
                Evidence(
                    requests=(one.request_id,),
                    what=f"user {one.user.id}: {one.stages[place].examples[shows]}",
                )
                for one, _ in sorted(cases, key=lambda case: -case[1])[:_N_SHOWN]
            ],
            n_cases=len(cases) if shows else None,
            notes=self.notes,
        )

    def _change(self, place: int) -> Finding:
        """Estimate NDCG@10 of a stage's output minus NDCG@10 of its input order."""
        return self._difference(
            "ndcg_change",
            self.names[place],
            self.passed,
            before=[one.stages[place - 1].ndcg for one in self.passed],
            after=[one.stages[place].ndcg for one in self.passed],
            said=f"NDCG@10 {{before:.2f}} in the order of {self.names[place - 1]}, {{after:.2f}} "
            f"after {self.names[place]}",
        )

    def _difference(
        self,
        name: str,
        stage: str,
        of: Sequence[_Passed],
        *,
        before: Sequence[float],
        after: Sequence[float],
        said: str,
    ) -> Finding:
        """Average the change of a share in [0, 1] over users, and cite the users with the worst
        changes.
        """
        full = f"{self.context.probe_id}.{name}"
        unit, direction = unit_of(full)
        measured = paired_difference(
            before,
            after,
            rng=self.context.rng(name, stage),
            unit=unit,
            direction=direction,
            n_missing=self.n_missing + len(self.passed) - len(of),
            limits=(0, 1),
        )
        rows = list(zip(of, before, after, strict=True))
        worse = sorted((row for row in rows if row[2] < row[1]), key=lambda row: row[2] - row[1])
        return finding(
            self.context,
            full,
            measured,
            group=f"stage={stage}",
            parameters={"k": CUTOFF, "n_worse": len(worse)},
            units=[(one.user.id, now - then, 1.0) for one, then, now in rows],
            evidence=[
                Evidence(
                    requests=(one.request_id,),
                    what=f"user {one.user.id}: {said.format(before=then, after=now)}",
                )
                for one, then, now in worse[:_N_SHOWN]
            ],
            n_cases=len(worse),
            notes=self.notes,
        )
