"""Robustness: do choices between two items form one order, and is it the order of the list?

Every user gets a few candidates: once as a list to rank, and in pairs to choose from, each pair in
both orders. A pair is settled if both orders have the same winner. Three settled pairs of three
items form a circle if each item wins once; no ranking explains them. The wins of settled pairs are
compared with the ranks in the list, so that list-wise and pair-wise prompting are two measurements
of one preference.

Choices at random settle half of the pairs, and a quarter of their triads are circles.
Source: circular triads (Kendall & Babington Smith 1940); pairwise ranking prompting (Qin et al.
2024, arXiv 2306.17563).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import ClassVar

from auditkit.errors import InvalidArgument
from auditkit.metrics.attacks import kendall_tau_b
from auditkit.probes.base import Context, NotAssessable, finding, unit_of
from auditkit.probes.fairness.candidates import draw_candidates
from auditkit.probes.robustness.cue_findings import Choice
from auditkit.probes.robustness.item_text import listing_request, rank_of, require_item_text
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Sized
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.types import Evidence, Finding, Item, Request, Response

__all__ = ["PairwiseChoiceProbe"]

_SHOWN = 3
Pair = tuple[int, int]  # positions of two candidates, the smaller first


@dataclass(frozen=True)
class _Answers:
    """What one user's requests gave.

    Attributes:
        items: the candidates.
        listed: the response with all of them.
        choices: by pair, the choices in both orders; `a` is the candidate that is first in `items`.
    """

    items: tuple[Item, ...]
    listed: Response
    choices: Mapping[Pair, tuple[Choice, Choice]]

    @property
    def settled(self) -> dict[Pair, int]:
        """The winner of each pair that has the same one in both orders."""
        return {
            pair: pair[0] if one.chosen == "a" else pair[1]
            for pair, (one, other) in self.choices.items()
            if one.chosen is not None and one.chosen == other.chosen
        }

    @property
    def order_dependence(self) -> float | None:
        """Share of answered pairs whose winner changes with the order; None without one."""
        answered = [
            one.chosen != other.chosen
            for one, other in self.choices.values()
            if one.chosen is not None and other.chosen is not None
        ]
        return sum(answered) / len(answered) if answered else None

    @property
    def triads(self) -> list[tuple[tuple[int, int, int], bool]]:
        """Triads of settled pairs, and whether each is a circle."""
        settled = self.settled
        found = []
        for triad in combinations(range(len(self.items)), 3):
            winners = [settled.get(pair) for pair in combinations(triad, 2)]
            if None not in winners:
                found.append((triad, len(set(winners)) == len(triad)))
        return found

    @property
    def agreement(self) -> float | None:
        """Kendall's tau-b between wins and ranks; None if an item is not listed or all wins tie."""
        ranks = [rank_of(self.listed, item) for item in self.items]
        wins = Counter(self.settled.values())
        known = [rank for rank in ranks if rank is not None]
        if len(known) < len(ranks) or not wins:
            return None
        return kendall_tau_b([wins[i] for i in range(len(ranks))], [-rank for rank in known])


@dataclass(frozen=True, kw_only=True)
class PairwiseChoiceProbe:
    """Share of circles, share of pairs that depend on the order, and agreement with the list.

    Attributes:
        n_items: candidates of a user, 3 to 8; n (n - 1) + 1 requests.
        n_users: number of users.
    """

    n_items: int = 4
    n_users: int = 40
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if not 3 <= self.n_items <= 8 or self.n_users < 1:
            raise InvalidArgument(
                f"robustness.pairs got n_items={self.n_items}, n_users={self.n_users}. Give 3 to 8 "
                "items and at least 1 user."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Send the list and all pairs of every user, and compare their orders."""
        require_item_text(target)
        users = [user for user in context.sample_users(self.n_users) if user.history]
        drawn = [draw_candidates(context, user, n=self.n_items)[: self.n_items] for user in users]
        if not users or min(map(len, drawn)) < self.n_items:
            raise NotAssessable(f"the catalog has fewer than {self.n_items} items that are unseen")
        pairs = list(combinations(range(self.n_items), 2))
        one_choice = 2 if isinstance(target.recommender, Sized) else 1
        requests: list[Request] = []
        for user, items in zip(users, drawn, strict=True):
            requests.append(listing_request(target, user, items, {}, k=self.n_items))
            for i, j in pairs:
                for order in ((items[i], items[j]), (items[j], items[i])):
                    requests.append(listing_request(target, user, order, {}, k=one_choice))
        responses = iter(target.recommend(requests))
        answers = []
        for items in drawn:
            listed = next(responses)
            choices = {
                (i, j): (
                    Choice.of(next(responses), items[i], items[j]),
                    Choice.of(next(responses), items[i], items[j]),
                )
                for i, j in pairs
            }
            answers.append(_Answers(items, listed, choices))
        yield from self._findings(context, answers)

    def _findings(self, context: Context, answers: Sequence[_Answers]) -> Iterator[Finding]:
        circles = [
            sum(is_circle for _, is_circle in triads) / len(triads) if triads else None
            for triads in (one.triads for one in answers)
        ]
        found = [one for one in answers if any(is_circle for _, is_circle in one.triads)]
        yield self._found(
            context, "cycle_rate", circles, (0, 1), "no triad of pairs has a winner each",
            evidence=[_circle(one) for one in found[:_SHOWN]], n_cases=len(found),
        )  # fmt: skip
        yield self._found(
            context, "order_dependence", [one.order_dependence for one in answers], (0, 1),
            "no pair was answered in both orders",
        )  # fmt: skip
        yield self._found(
            context, "list_agreement", [one.agreement for one in answers], (-1, 1),
            "no list has all candidates, or no pair has a winner",
        )  # fmt: skip

    def _found(
        self,
        context: Context,
        metric: str,
        by_user: Sequence[float | None],
        limits: tuple[float, float],
        reason: str,
        *,
        evidence: Sequence[Evidence] = (),
        n_cases: int | None = None,
    ) -> Finding:
        name = f"{context.probe_id}.{metric}"
        unit, direction = unit_of(name)
        known = [value for value in by_user if value is not None]
        measured = bootstrap_mean(
            known, rng=context.rng(metric), unit=unit, direction=direction, limits=limits,
            n_missing=len(by_user) - len(known), reason=reason,
        )  # fmt: skip
        return finding(
            context, name, measured, parameters={"n_items": self.n_items},
            evidence=evidence, n_cases=n_cases,
        )  # fmt: skip


def _circle(answers: _Answers) -> Evidence:
    """The first circle of a user, in words."""
    first, second, third = next(triad for triad, is_circle in answers.triads if is_circle)
    if answers.settled[first, second] == second:
        second, third = third, second
    titles = [answers.items[i].title for i in (first, second, third, first)]
    asked = [
        answers.choices[pair][0].response.request_id
        for pair in combinations(sorted((first, second, third)), 2)
    ]
    steps = ", ".join(f'"{a}" over "{b}"' for a, b in pairwise(titles))
    return Evidence(requests=tuple(asked), what=f"prefers {steps}")
