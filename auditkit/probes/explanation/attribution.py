"""Explanations: which history items cause the top recommendation, and is the attribution faithful?

The default explainer is a linear fit of the top item's log-probability under random subsets of the
recent history. Each prompt is rendered again without the removed items, and all prompts are scored
together. Deleting items in the attributed order should lower the log-probability more than random
orders do. For some users, the whole faithfulness card is computed, and for some the values of all
subsets, which bound the fidelity of any additive explanation. Sources: ContextCite (Cohen-Wang et
al. 2024); ERASER (DeYoung et al. 2020); Adebayo et al. 2018; `docs/explain/explanations.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import JsonValue

from auditkit.attribution.estimators import ESTIMATORS, Estimator, ranking
from auditkit.attribution.explanation import Explanation, Settings, explain
from auditkit.attribution.faithfulness import AopcKind, above_random
from auditkit.attribution.missing import Missing
from auditkit.attribution.spans import spans_of
from auditkit.attribution.values import Game
from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context, User
from auditkit.probes.explanation.card_findings import (
    Parameters,
    Scored,
    blindness_finding,
    card_findings,
    ceiling_finding,
    mean_finding,
)
from auditkit.probes.explanation.example_by_token import example_by_token
from auditkit.probes.explanation.random_weights_findings import random_weights_findings
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Scores
from auditkit.types import Evidence, Finding, Item, Request

__all__ = ["AttributionProbe"]

PREFIX = "explain.attribution"
KINDS: tuple[AopcKind, ...] = ("comprehensiveness", "sufficiency")


@dataclass(frozen=True, kw_only=True)
class AttributionProbe:
    """Attribution of the top item to recent history, with random-order tests and faithfulness
    cards.

    Attributes:
        n_users: number of users.
        n_spans: number of latest history items to attribute; older items are not in the prompt.
        n_orders: number of random deletion orders per user in the check.
        explainer: the estimator whose attribution is tested.
        n_card: number of these users with a faithfulness card: LDS, infidelity, agreement and
            edits.
        n_tables: number of these users with values of all subsets of their latest 8 items.
        n_random: number of these users in the test with random weights.
    """

    n_users: int = 40
    n_spans: int = 10
    n_orders: int = 8
    explainer: Estimator = "linear"
    n_card: int = 20
    n_tables: int = 8
    n_random: int = 10
    needs: ClassVar[tuple[type, ...]] = (Recommends, Scores)

    def __post_init__(self) -> None:
        if self.n_users < 1 or self.n_spans < 3 or self.n_orders < 1:
            raise InvalidArgument(f"{PREFIX} needs n_users >= 1, n_spans >= 3 and n_orders >= 1.")
        if self.explainer not in ESTIMATORS or min(self.n_card, self.n_tables, self.n_random) < 0:
            raise InvalidArgument(
                f"{PREFIX} got explainer={self.explainer!r}, n_card={self.n_card}, "
                f"n_tables={self.n_tables}, n_random={self.n_random}. Give an explainer out of "
                f"{', '.join(ESTIMATORS)}, and n_card, n_tables and n_random of at least 0."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Explain each user's top item, delete history items in attributed and in random order, and
        test the attributions.
        """
        sampled = context.sample_users(self.n_users)
        games = self._games(target, [user for user in sampled if len(user.history) >= 3])
        carded = [user.id for user in sampled if user.id in games][: self.n_card]
        found = self._explained(target, games, carded, seed=context.seed)
        nothing = Missing(
            "no user has a recommended item of the catalog and at least 3 history items"
        )
        scored = [Scored(user.id, found.get(user.id, nothing)) for user in sampled]
        parameters: dict[str, JsonValue] = {
            "n_spans": self.n_spans, "n_orders": self.n_orders, "method": self.explainer,
        }  # fmt: skip
        by_token = example_by_token(target.recommender, scored)
        yield from self._order_findings(context, scored, parameters, by_token)
        cards = [row for row in scored if row.user_id in carded]
        # Users without an explanation were planned to have a card, too.
        cards += [row for row in scored if row not in cards][: self.n_card - len(cards)]
        if self.n_card:
            yield from card_findings(context, cards, parameters)
            yield blindness_finding(context, cards, parameters)
        if self.n_tables:
            tables = [games[user] for user in carded[: self.n_tables]]
            yield ceiling_finding(target, context, tables, self.explainer, parameters)
        if self.n_random:
            some = scored[: self.n_random]
            yield from random_weights_findings(target, context, some, parameters)

    def _games(self, target: Target, users: Sequence[User]) -> dict[str, Game]:
        """Create the game of every user whose top item is in the catalog."""
        requests = [
            Request(user_id=user.id, history=user.history[-self.n_spans :], k=1) for user in users
        ]
        games = {}
        for request, answer in zip(requests, target.recommend(requests), strict=True):
            top = _top(target, answer.items[0].item_id if answer.items else None)
            if top is not None:
                spans = spans_of(request, most=self.n_spans)
                games[request.user_id] = Game(request, spans, (top,))
        return games

    def _explained(
        self, target: Target, games: Mapping[str, Game], carded: Sequence[str], *, seed: int
    ) -> dict[str, Explanation | Missing]:
        """Explain by user; only for `carded` users are all masks of a card measured."""
        whole = Settings(estimator=self.explainer, n_orders=self.n_orders)
        order_only = replace(whole, n_evaluation=0, edits=False)
        rest = [user for user in games if user not in carded]
        found: dict[str, Explanation | Missing] = {}
        for users, settings in ((carded, whole), (rest, order_only)):
            own = [games[user] for user in users]
            found.update(
                zip(users, explain(target, own, settings=settings, seed=seed), strict=True)
            )
        return found

    def _order_findings(
        self,
        context: Context,
        scored: Sequence[Scored],
        parameters: Parameters,
        by_token: Parameters,
    ) -> Iterator[Finding]:
        """Yield drops in attributed order minus drops in random order, and the effect of the top
        span.
        """

        def gain(kind: AopcKind) -> Callable[[Explanation], float | Missing]:
            return lambda one: above_random(
                one.known, ranking(one.attribution.values), one.orders, kind
            )

        for kind in KINDS:
            yield mean_finding(
                context, f"explain.{kind}", scored, gain(kind), parameters, with_units=True
            )
        shown = [_evidence_of(one) for _, one in scored if not isinstance(one, Missing)]
        yield mean_finding(
            context, f"{PREFIX}.top_effect", scored, _top_effect,
            {**parameters, **by_token},
            evidence=[one for one in shown if one is not None][:5],
        )  # fmt: skip


def _top(target: Target, item_id: str | None) -> Item | None:
    if item_id is None or item_id not in target.catalog.index:
        return None
    return Item(item_id, target.catalog[item_id].display_title)


def _top_effect(one: Explanation) -> float | Missing:
    """Return the drop after removing the span with the largest attribution, nats."""
    if one.loo is None:
        return Missing("the request without this item got no response")
    return float(one.loo[ranking(one.attribution.values)[0]])


def _evidence_of(one: Explanation) -> Evidence | None:
    strongest, effect = ranking(one.attribution.values)[0], _top_effect(one)
    if isinstance(effect, Missing):
        return None
    rows, whole = one.game.rows, one.game.everything
    return Evidence(
        requests=(rows[whole].requests[0], rows[whole ^ 1 << strongest].requests[0]),
        what=f"{one.game.candidates[one.game.item].title} was recommended first; without "
        f"{one.game.spans[strongest].text} its log-probability falls by {effect:.2f} nats",
    )
