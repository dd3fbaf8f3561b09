"""Explain recommendations by attributions with faithfulness cards, in two calls of the target.

The masks of the explainer, of the other methods, of the tests and of the edited requests are known
in advance, and the first call measures them for all requests together. The second call measures
masks that depend on the attribution: masks that remove or keep only its top spans, and masks that
remove pairs of possibly redundant causes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditkit.attribution.captum_methods import CaptumMethod, record, replay
from auditkit.attribution.card import Card, card_of, pair_masks
from auditkit.attribution.edits import benign_edits, relative_change, reversed_history
from auditkit.attribution.estimators import (
    Attribution,
    Estimator,
    Plan,
    estimate,
    plan,
    ranking,
)
from auditkit.attribution.faithfulness import path_masks
from auditkit.attribution.integrated_gradients import integrated_gradients
from auditkit.attribution.masks import every_mask, uniform_masks
from auditkit.attribution.missing import Missing
from auditkit.attribution.values import Game, ValueKind, measure, value_of
from auditkit.recommenders.execution.target import Target
from auditkit.seeding import generator

__all__ = ["Explanation", "Settings", "explain", "known_values"]

_SECOND_SEED = "another mask seed"
_NATS: tuple[ValueKind, ...] = ("logp", "contrast", "margin", "first_divergent")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of explanations and of their tests.

    Attributes:
        estimator: name of the estimator.
        budget: number of evaluations of the estimator; None for max(32, 4n).
        value: the value function; the `source` of the games must provide it.
        n_evaluation: number of masks for LDS and infidelity.
        n_orders: number of random control orders.
        full_table: largest number of spans, at most 8, for which all subsets are measured.
        edits: whether to measure benign edits, the reversed history and a second mask seed.
        gradients: whether to compare with integrated gradients, which needs a local decoder-only
            model and the value `logp`.
        captum: names of Captum methods to compare with, at their default budgets.
    """

    estimator: Estimator = "linear"
    budget: int | None = None
    value: ValueKind = "logp"
    n_evaluation: int = 64
    n_orders: int = 20
    full_table: int = 6
    edits: bool = True
    gradients: bool = False
    captum: tuple[CaptumMethod, ...] = ()


@dataclass(frozen=True, eq=False)
class Explanation:
    """One explained recommendation.

    Attributes:
        game: the request with its measured values.
        attribution: the effect of every span of `game`.
        plan: masks of the attribution.
        loo: the effects by leave-one-out.
        orders: random control orders of the spans; empty if all subsets were measured.
        known: values by mask.
        card: tests of the attribution.
        value: the value function.
    """

    game: Game
    plan: Plan
    attribution: Attribution
    orders: Sequence[Sequence[int]]
    loo: NDArray[np.float64] | None
    known: Mapping[int, float]
    card: Card
    value: ValueKind


def explain(
    target: Target, games: Sequence[Game], *, settings: Settings, seed: int
) -> list[Explanation | Missing]:
    """Explain recommendations; Missing for a request without spans or with too few values.

    Args:
        target: the recommender that gets the requests.
        games: the recommendations to explain.
        settings: settings of explanations and tests.
        seed: seed of masks and orders; the generators depend on the user, so a result does not
            depend on the other games.
    """
    drafts = [_Draft(target, game, settings, seed) if game.n else None for game in games]
    able = [draft for draft in drafts if draft is not None]
    measure(target, [plan for draft in able for plan in draft.first()])
    measure(target, [(draft.game, draft.second()) for draft in able])
    nothing = Missing("the request has no removable spans")
    return [nothing if draft is None else draft.result() for draft in drafts]


def known_values(
    game: Game, masks: Sequence[int], kind: ValueKind = "logp", *, item: int | None = None
) -> dict[int, float]:
    """Return values by mask, without missing values.

    The result is empty for a value that compares with a fixed rival if the value of the whole
    request, which determines the rival, is missing.
    """
    whole = game.rows.get(game.everything)
    if kind in ("contrast", "first_divergent") and (whole is None or whole.reason):
        return {}
    table = game.table(masks)
    if not len(table.masks):
        return {}
    values = value_of(table, kind, item=item)
    return dict(zip(table.masks, values.tolist(), strict=True))


class _Draft:
    """Plans of one request between the two calls of the target."""

    def __init__(self, target: Target, game: Game, settings: Settings, seed: int) -> None:
        self.game, self._settings, self._seed = game, settings, seed
        self._value, self._target = settings.value, target
        n, whole = game.n, game.everything
        self._plan = plan(settings.estimator, n, self._rng("masks"), budget=settings.budget)
        self._loo = plan("loo", n, self._rng("loo"))
        self._full = n <= min(settings.full_table, 8)
        used = {*self._plan.masks, *self._loo.masks, 0, whole}
        self._evaluation = every_mask(n) if self._full else uniform_masks(
            n, settings.n_evaluation, self._rng("evaluation"), without=used
        )  # fmt: skip
        rng = self._rng("orders")
        half = [
            tuple(int(i) for i in rng.permutation(n)) for _ in range(-(-settings.n_orders // 2))
        ]
        self._orders = [] if self._full else [o for one in half for o in (one, one[::-1])]
        self._captum = [record(name, n, seed=seed) for name in settings.captum if n > 1]
        self._edits: list[tuple[str, Game, Plan]] = []
        if settings.edits:
            self._plan_edits(target.prompts.recommend)

    def _rng(self, *names: str) -> np.random.Generator:
        return generator(self._seed, "explain", self.game.request.user_id, *names)

    def _plan_edits(self, wordings: Sequence[str]) -> None:
        request, spans = self.game.request, self.game.spans
        edits = benign_edits(request, spans, wordings)
        turned = reversed_history(request, spans)
        for edit in [*edits, *([turned] if turned else [])]:
            game = replace(self.game, request=edit.request, spans=edit.spans, rows={})
            self._edits.append((edit.name, game, self._plan))
        again = self._settings.estimator, self.game.n, self._rng("second seed")
        self._edits.append((_SECOND_SEED, self.game, plan(*again, budget=self._settings.budget)))

    def first(self) -> list[tuple[Game, Sequence[int]]]:
        """Return the masks that do not depend on the attribution."""
        paths = [m for order in self._orders for m in path_masks(order, "comprehensiveness")]
        paths += [mask for run in self._captum for mask in run.masks]
        needed = (*self._plan.needed, *self._loo.masks, *self._evaluation, *paths)
        return [(self.game, needed), *((game, planned.needed) for _, game, planned in self._edits)]

    def second(self) -> list[int]:
        """Return the masks that depend on the attribution: of its order, and of pairs of its top
        spans.
        """
        self._known = known_values(self.game, list(self.game.rows), self._value)
        self._found = self._estimate(self._plan, self._known)
        single = estimate(self._loo, self._known, self._rng("bootstrap"))
        self._single = None if isinstance(single, Missing) else single.values
        if isinstance(self._found, Missing):
            return []
        order = ranking(self._found.values)
        masks = [*path_masks(order, "comprehensiveness"), *path_masks(order, "sufficiency")]
        if self._single is not None and self.game.n > 1:
            masks += pair_masks(self._single, self._found.values)
        return masks

    def result(self) -> Explanation | Missing:
        """Compute the attribution and its card."""
        if isinstance(self._found, Missing):
            return self._found
        known = known_values(self.game, list(self.game.rows), self._value)
        others, unavailable = self._others()
        card = card_of(
            self._found,
            known,
            fitted=self._plan.masks,
            evaluation=self._evaluation,
            orders=self._orders,
            others=others,
            n_asked=len(self.game.rows),
            seed=self._seed,
            rng=self._rng("card"),
            in_nats=self._value in _NATS,
        )
        card = replace(self._with_edits(card, self._found), unavailable=unavailable)
        return Explanation(
            game=self.game, plan=self._plan, attribution=self._found, orders=self._orders,
            loo=self._single, known=known, card=card, value=self._value,
        )  # fmt: skip

    def _others(self) -> tuple[dict[str, NDArray[np.float64]], dict[str, Missing]]:
        """Return the attributions by other methods, and the methods that cannot be used with the
        reason.
        """
        found = {} if self._single is None else {"loo": self._single}
        absent: dict[str, Missing] = {}
        if self._settings.gradients and self._value == "logp":
            game = self.game
            item = game.candidates[game.item]
            path = integrated_gradients(self._target.recommender, game.request, game.spans, item)
            if isinstance(path, Missing):
                absent["ig"] = path
            else:
                found["ig"] = path.values
        for run in self._captum:
            if all(mask in self._known for mask in run.masks):
                found[f"Captum {run.method}"] = replay(run, self._known)
            else:
                absent[f"Captum {run.method}"] = Missing(
                    "some requests of this method got no response"
                )
        return found, absent

    def _with_edits(self, card: Card, found: Attribution) -> Card:
        changes: dict[str, float | Missing] = {}
        for name, game, planned in self._edits:
            after = self._estimate(planned, known_values(game, planned.needed, self._value))
            changes[name] = (
                after if isinstance(after, Missing) else relative_change(found.values, after.values)
            )
        noise = changes.pop(_SECOND_SEED, card.noise)
        order = changes.pop("reversed order", card.order)
        measured = [value for value in changes.values() if not isinstance(value, Missing)]
        worst = max(measured) if measured else next(iter(changes.values()), card.sensitivity)
        return replace(card, sensitivity=worst, noise=noise, order=order)

    def _estimate(self, planned: Plan, known: Mapping[int, float]) -> Attribution | Missing:
        tokens = self.game.rows[self.game.everything].tokens
        n_tokens = len(tokens[self.game.item]) if tokens else 1
        return estimate(planned, known, self._rng("bootstrap"), n_tokens=n_tokens)
