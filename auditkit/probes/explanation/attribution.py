"""Explanations: which history items caused the top recommendation, and is the attribution faithful?

Captum's FeatureAblation removes each history item in turn; the prompt is rendered again without it,
and all variants are scored in one batch. The deletion check tests whether the attribution is
faithful: removing items in the attributed order must lower the top item's log-probability more than
removing them in random order. Source: Captum (Kokhlikyan et al. 2020); comprehensiveness of ERASER
(DeYoung et al. 2020) with a random-order control.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.errors import InvalidArgument, MissingDependency, TargetError
from auditkit.probes.base import Context, User, finding, token_scores, unit_of
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Scores
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.types import Evidence, Finding, Item, Request

__all__ = ["AttributionProbe", "ablate"]

PREFIX = "explain.attribution"
Mask = tuple[bool, ...]


class Game:
    """The value function v(S): the log-probability in nats of a user's top item, given only the
    history items in S.

    Args:
        spans: removable history items, oldest first.
        top: the item whose recommendation is explained.
    """

    def __init__(self, target: Target, user_id: str, spans: Sequence[Item], top: Item) -> None:
        self._target, self._user_id, self._spans = target, user_id, tuple(spans)
        self.top = top
        self.request_ids: dict[Mask, str] = {}

    def values(self, masks: Sequence[Mask]) -> NDArray[np.float64]:
        """v for every mask, [n] nats; equal masks are scored once.

        Raises:
            TargetError: a score failed; the user then counts as missing.
        """
        requests = []
        for mask in masks:
            kept = tuple(item for item, keep in zip(self._spans, mask, strict=True) if keep)
            request = Request(user_id=self._user_id, history=kept, k=1)
            requests.append(Request(**{**request.__dict__, "prompt": self._target.render(request)}))
        answers = self._target.score(requests, [[self._target.reference(self.top)]] * len(requests))
        for mask, answer in zip(masks, answers, strict=True):
            if answer.status != "ok":
                raise TargetError(answer.reason or answer.status)
            self.request_ids[mask] = answer.request_id
        return np.array([sum(token_scores(answer)) for answer in answers])


def ablate(game: Game, *, n: int) -> NDArray[np.float64]:
    """Captum's FeatureAblation over `n` spans: v(all) - v(all without i) for each span i, in nats,
    computed in one batch.

    Raises:
        MissingDependency: the extra `explain` is not installed.
    """
    try:
        import torch
        from captum.attr import FeatureAblation
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name), extra="explain", purpose="Attribution") from None

    def forward(masks: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(
            game.values([tuple(bool(bit) for bit in row) for row in masks.tolist()])
        )

    everything = torch.ones((1, n), dtype=torch.float64)
    effects = FeatureAblation(forward).attribute(
        everything, baselines=0.0, perturbations_per_eval=n
    )
    return np.asarray(effects[0].numpy(), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class AttributionProbe:
    """Leave-one-out attribution of the top item over recent history, with a deletion check against
    random order.

    Attributes:
        n_users: number of users.
        n_spans: number of latest history items to attribute; older items are not in the prompt.
        n_orders: number of random deletion orders per user in the check.
    """

    n_users: int = 40
    n_spans: int = 10
    n_orders: int = 8
    needs: ClassVar[tuple[type, ...]] = (Recommends, Scores)

    def __post_init__(self) -> None:
        if self.n_users < 1 or self.n_spans < 3 or self.n_orders < 1:
            raise InvalidArgument(f"{PREFIX} needs n_users >= 1, n_spans >= 3 and n_orders >= 1.")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Explain each user's top item, then delete history items in attributed and in random
        order.
        """
        sampled = context.sample_users(self.n_users)
        users = [user for user in sampled if len(user.history) >= 3]
        spans = [user.history[-self.n_spans :] for user in users]
        lists = target.recommend(
            [
                Request(user_id=user.id, history=own, k=1)
                for user, own in zip(users, spans, strict=True)
            ]
        )
        effects: list[float] = []
        gains: list[tuple[User, float]] = []
        evidence: list[Evidence] = []
        for user, own, answer in zip(users, spans, lists, strict=True):
            top = _top(target, answer.items[0].item_id if answer.items else None)
            if top is None:
                continue
            game = Game(target, user.id, own, top)
            try:
                attribution = ablate(game, n=len(own))
                order = sorted(range(len(own)), key=lambda i: (-attribution[i], i))
                gain = self._comprehensiveness(game, order, context.rng("orders", user.id))
            except TargetError:
                continue
            effects.append(float(attribution[order[0]]))
            gains.append((user, gain))
            evidence.append(_evidence_of(game, own, order[0], float(attribution[order[0]])))
        yield from self._findings(
            context, effects, gains, evidence, n_missing=len(sampled) - len(effects)
        )

    def _comprehensiveness(
        self, game: Game, order: Sequence[int], rng: np.random.Generator
    ) -> float:
        """Mean drop in nats after k deletions in the attributed order, averaged over k = 2..n-1,
        minus the same mean for random orders.

        k = 1 is omitted because its value determined the order, so that even noise would look
        faithful. At k = n all items are deleted in every order. Pure noise has expectation 0.
        """
        orders = [
            list(order),
            *(rng.permutation(len(order)).tolist() for _ in range(self.n_orders)),
        ]
        masks = [
            tuple(i not in path[:k] for i in range(len(order)))
            for path in orders
            for k in range(2, len(order))
        ]
        whole = game.values([(True,) * len(order)])[0]
        drops = whole - game.values(masks).reshape(len(orders), -1)
        return float(drops[0].mean() - drops[1:].mean())

    def _findings(
        self,
        context: Context,
        effects: Sequence[float],
        gains: Sequence[tuple[User, float]],
        evidence: Sequence[Evidence],
        *,
        n_missing: int,
    ) -> Iterator[Finding]:
        parameters: dict[str, JsonValue] = {
            "n_spans": self.n_spans,
            "n_orders": self.n_orders,
            "method": "captum FeatureAblation",
        }
        for metric, values in (
            ("explain.comprehensiveness", [gain for _, gain in gains]),
            (f"{PREFIX}.top_effect", list(effects)),
        ):
            unit, direction = unit_of(metric)
            check = metric == "explain.comprehensiveness"
            yield finding(
                context,
                metric,
                bootstrap_mean(
                    values,
                    rng=context.rng(metric),
                    unit=unit,
                    direction=direction,
                    n_missing=n_missing,
                ),
                parameters=parameters,
                units=[(user.id, gain, 1.0) for user, gain in gains] if check else (),
                evidence=() if check else evidence[:5],
                notes=[
                    "leave-one-out misses redundant causes: if each of two items suffices, both "
                    "effects are 0"
                ],
            )


def _top(target: Target, item_id: str | None) -> Item | None:
    if item_id is None or item_id not in target.catalog.index:
        return None
    return Item(item_id, target.catalog[item_id].display_title)


def _evidence_of(game: Game, spans: Sequence[Item], strongest: int, effect: float) -> Evidence:
    everything = (True,) * len(spans)
    without = tuple(i != strongest for i in range(len(spans)))
    return Evidence(
        requests=(game.request_ids[everything], game.request_ids[without]),
        what=f"{game.top.title} was recommended first; without {spans[strongest].title} "
        f"its log-probability falls by {effect:.2f} nats",
    )
