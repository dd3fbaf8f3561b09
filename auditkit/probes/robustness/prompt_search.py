"""Adaptive attack: how often do a few searched edits change the list, with how many queries?

For every user, a search edits words of the instruction until at least ceil(k / 3) of the top k are
replaced or the budget of queries is spent; history, slots and stopwords are protected. A successful
request is sent again, and the success must be reproduced. The main rate counts only valid
successes, in which the normalized text is still similar to the original request. Two more rates are
reported: the rate without this check, and the main rate minus the noise floor, paired by user. The
noise floor is the rate at which a repeat or a meaningless edit of the request replaces as many
items.

If the noise floor is high, a success shows nothing about edits, so the net rate is not assessable.

Source: docs/explain/robustness.md; success by number of queries as in RobustBench (Croce et al.
2021), searches after DeepWordBug (Gao et al. 2018) and TextBugger (Li et al. 2019).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import JsonValue

from auditkit.errors import InvalidArgument
from auditkit.metrics.attacks import budget_area, success_by_budget
from auditkit.metrics.robustness import breaking_count, replaced
from auditkit.perturb.attack import N_CONFIRMATIONS, attack
from auditkit.perturb.attack_records import AttackRecord
from auditkit.perturb.goals import Goal, Ranking
from auditkit.perturb.text import MEANING_FREE
from auditkit.perturb.threat_model import ThreatModel
from auditkit.probes.base import NEVER_READS, Context, finding, neutral_request, unit_of
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.bootstrap import (
    ResampledEstimate,
    bootstrap_mean,
    bootstrap_ratio,
    paired_difference,
    undefined,
)
from auditkit.stats.rates import rate
from auditkit.types import Evidence, Finding, Request, Response

__all__ = ["PromptSearchProbe"]

_SHOWN = 5
_BUDGETS = ("2", "5", "10", "20", "40", "100", "200")  # shown points of the curve
_NOISY = 0.10  # lower end of the noise floor, above which an attack proves nothing
_UNANSWERED = ("target_error", "timeout")
# A repeat of the clean request, then the edits of `MEANING_FREE`.
_NEUTRAL = ("repeat", "doubled blank", "blank before the last full stop",
            "other line ends")  # fmt: skip
_NO_ATTACK = "no user had a clean list that can be attacked"


@dataclass(frozen=True)
class _Attacked:
    """The attack on one user, and whether meaningless edits replace as many items."""

    record: AttackRecord
    broken_by: tuple[str, ...]  # of `_NEUTRAL`

    @property
    def noisy(self) -> bool:
        return bool(self.broken_by)

    @property
    def valid(self) -> bool:
        return self.record.status == "success"


@dataclass(frozen=True, kw_only=True)
class PromptSearchProbe:
    """Attack success rate and required queries of an adaptive search over edits of the instruction.

    Attributes:
        n_users: number of users, each attacked once.
        k: length of the attacked list.
        budget: largest number of distinct prompts per user, not counting the confirmation.
        search: search method: `random_stop`, `greedy`, `local`, or TextAttack's `deepwordbug` or
            `textbugger`.
        max_words: largest number of edited words; None for max(5, a tenth of the words).
    """

    n_users: int = 50
    k: int = 10
    budget: int = 40
    search: Literal["random_stop", "greedy", "local", "deepwordbug", "textbugger"] = "local"
    max_words: int | None = None
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if min(self.n_users, self.k, self.budget) < 1:
            raise InvalidArgument(
                f"robustness.prompt.search got n_users={self.n_users}, k={self.k}, "
                f"budget={self.budget}. Give at least 1 for each."
            )
        self._threat_model()  # an error in max_words is one of the recipe

    def _threat_model(self) -> ThreatModel:
        return ThreatModel(budget=self.budget, max_words=self.max_words)

    def most_requests(self, n_users: int) -> int:
        """Return an upper bound on the number of requests for `n_users` users in the data."""
        fixed = 2 + len(MEANING_FREE)
        return min(self.n_users, n_users) * (fixed + self.budget + N_CONFIRMATIONS)

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Attack every user's request, and send meaningless edits of the request."""
        instruction = target.prompts.recommend[0]
        clean = [
            replace(neutral_request(user, k=self.k), instruction=instruction)
            for user in context.sample_users(self.n_users)
        ]
        records = attack(
            target,
            clean,
            Goal(k=self.k, m=breaking_count(self.k)),
            self._threat_model(),
            self.search,
            context.seed,
        )
        attacked = [i for i, record in enumerate(records) if record.attacked]
        neutral = [
            replace(clean[i], instruction=edit(clean[i].instruction))
            for i in attacked
            for edit in MEANING_FREE
        ]
        answers = iter(target.recommend(neutral))
        rows = {i: [next(answers) for _ in MEANING_FREE] for i in attacked}
        users = [
            _Attacked(record, self._broken_by(record, clean[i], rows.get(i, [])))
            for i, record in enumerate(records)
        ]
        for found in self._findings(context, users):
            notes = found.notes if target.reads_prompt else (*found.notes, *NEVER_READS)
            yield replace(found, notes=notes)

    def _broken_by(
        self, record: AttackRecord, clean: Request, answers: Sequence[Response]
    ) -> tuple[str, ...]:
        """Return the repeat or meaningless edits that replace as many items as an attack must."""
        after = [record.repeat_items] + [
            record.clean_items if one.status in _UNANSWERED else Ranking.of(one, clean).ids
            for one in answers
        ]
        return tuple(
            name
            for name, ids in zip(_NEUTRAL, after, strict=False)
            if replaced(record.clean_items, ids, k=self.k) >= breaking_count(self.k)
        )

    def _findings(self, context: Context, users: Sequence[_Attacked]) -> Iterator[Finding]:
        attacked = [user for user in users if user.record.attacked]
        n_missing = len(users) - len(attacked)
        valid, changed = (
            [user.valid for user in attacked],
            [user.record.changed for user in attacked],
        )
        shown = [user.record for user in attacked if user.valid]
        yield self._rate(
            context, "asr", attacked, valid, n_missing, users=users,
            evidence=_evidence(shown), n_cases=len(shown),
        )  # fmt: skip
        yield self._rate(context, "raw_asr", attacked, changed, n_missing, users=users)
        noisy = [user.noisy for user in attacked]
        floor = self._rate(context, "noise_floor", attacked, noisy, n_missing, users=users)
        broken: dict[str, JsonValue] = {
            name: sum(name in user.broken_by for user in attacked) for name in _NEUTRAL
        }
        floor = replace(floor, parameters={**floor.parameters, "users_broken_by": broken})
        yield floor
        yield self._net(context, attacked, n_missing, floor)
        yield self._price(context, attacked, n_missing)
        yield self._area(context, attacked, n_missing)

    def _parameters(self) -> dict[str, JsonValue]:
        return {
            "k": self.k,
            "m": breaking_count(self.k),
            "budget": self.budget,
            "search": self.search,
            "surface": "instruction",
        }

    def _rate(
        self,
        context: Context,
        metric: str,
        attacked: Sequence[_Attacked],
        values: Sequence[bool],
        n_missing: int,
        *,
        users: Sequence[_Attacked],
        evidence: Sequence[Evidence] = (),
        n_cases: int | None = None,
    ) -> Finding:
        name = f"{context.probe_id}.{metric}"
        unit, direction = unit_of(name)
        estimate = rate(
            sum(values), len(values), unit=unit, direction=direction, n_missing=n_missing,
            method="wilson", reason=_NO_ATTACK,
        )  # fmt: skip
        ids = [user.record.user for user in attacked]
        return finding(
            context, name, estimate, parameters={**self._parameters(), **_counts(users)},
            units=[(user, float(v), 1.0) for user, v in zip(ids, values, strict=True)],
            evidence=evidence, n_cases=n_cases, notes=_notes(users),
        )  # fmt: skip

    def _net(
        self, context: Context, attacked: Sequence[_Attacked], n_missing: int, floor: Finding
    ) -> Finding:
        """Estimate the rate of valid successes minus the noise floor; undefined if the floor is
        high.
        """
        name = f"{context.probe_id}.net_asr"
        unit, direction = unit_of(name)
        low = floor.estimate.low
        if low is not None and low > _NOISY:
            why = (
                "not_assessable: meaningless edits or a repeat of the request change the lists of "
                f"more than {_NOISY:.0%} of the users"
            )
            n = len(attacked)
            estimate = undefined(unit, direction, reason=why, n=n, n_missing=n_missing)
        else:
            estimate = paired_difference(
                [float(user.noisy) for user in attacked],
                [float(user.valid) for user in attacked],
                rng=context.rng(name), unit=unit, direction=direction, n_missing=n_missing,
                limits=(0, 1), reason=_NO_ATTACK,
            )  # fmt: skip
        return finding(context, name, estimate, parameters=self._parameters())

    def _price(self, context: Context, attacked: Sequence[_Attacked], n_missing: int) -> Finding:
        """Estimate the queries of all attacks, including failed ones, per valid success."""
        name = f"{context.probe_id}.queries_per_success"
        unit, direction = unit_of(name)
        queries = [user.record.queries for user in attacked]
        estimate = bootstrap_ratio(
            queries, [float(user.valid) for user in attacked], rng=context.rng(name),
            unit=unit, direction=direction, n_missing=n_missing,
            reason=f"no attack had a valid success within {sum(queries)} queries in total",
        )  # fmt: skip
        stated: dict[str, JsonValue] = {**self._parameters(), "queries": sum(queries)}
        return finding(context, name, estimate, parameters=stated)

    def _area(self, context: Context, attacked: Sequence[_Attacked], n_missing: int) -> Finding:
        """Estimate the area under the curve of the share of successful attacks by number of
        queries.
        """
        name = f"{context.probe_id}.budget_area"
        unit, direction = unit_of(name)
        most = self.budget + N_CONFIRMATIONS
        areas = [budget_area(u.record.queries, u.valid, budget=most) for u in attacked]
        estimate: ResampledEstimate = bootstrap_mean(
            areas, rng=context.rng(name), unit=unit, direction=direction, n_missing=n_missing,
            limits=(0, 1), reason=_NO_ATTACK,
        )  # fmt: skip
        curve = success_by_budget(
            [u.record.queries for u in attacked], [u.valid for u in attacked], budget=most
        )
        shares: dict[str, JsonValue] = {str(b): s for b, s in enumerate(curve or (), 1)}
        shown = {b: shares[b] for b in _BUDGETS if b in shares}
        return finding(
            context, name, estimate, parameters={**self._parameters(), "broken_within": shown}
        )


def _counts(users: Sequence[_Attacked]) -> dict[str, JsonValue]:
    """Count the attacks by outcome."""
    ended = Counter(user.record.status for user in users)
    return {
        "n_skipped": ended["skipped"],
        "n_missing_responses": ended["missing"],
        "n_unconfirmed": ended["unconfirmed"],
        "n_invalid": ended["invalid"],
        "n_breakdown": sum(u.record.changed and u.record.breakdown for u in users),
        "n_near_ties": sum(u.record.status == "failed" and u.record.near_tie for u in users),
    }


def _notes(users: Sequence[_Attacked]) -> list[str]:
    changed = sum(not user.record.deterministic for user in users)
    if not changed:
        return []
    return [
        f"non-deterministic: an equal request gives another list for {changed} of {len(users)} "
        "users, so a success must be reproduced in two of three repeats"
    ]


def _evidence(records: Sequence[AttackRecord]) -> list[Evidence]:
    """Cite the successes with the fewest queries, with their edits; invisible characters are
    escaped.
    """
    cheapest = sorted(records, key=lambda record: (record.queries, record.user))[:_SHOWN]
    return [
        Evidence(
            requests=(record.clean_request, record.attacked_request),
            what=f"user {record.user}, {record.queries} queries: {record.edits_in_words()}",
        )
        for record in cheapest
    ]
