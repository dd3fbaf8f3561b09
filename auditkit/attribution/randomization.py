"""Test whether an explanation depends on the weights of the model.

The rank correlation of the attributions of the trained model and of a model with random weights is
compared with that of random rankings of the same length, because with ten spans even independent
rankings have a mean absolute correlation of 0.27. An explainer that ignores the model has a
correlation of exactly 1. Source: model-parameter randomization of Adebayo et al. 2018, with a null
quantile instead of a fixed threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.attribution.estimators import Plan, estimate
from auditkit.attribution.faithfulness import spearman
from auditkit.attribution.missing import Missing
from auditkit.attribution.values import Game

__all__ = ["Explainer", "RandomizationTest", "null_quantile", "randomization_test"]

FEWEST_SPANS, FEWEST_PROMPTS = 6, 8
_PERMUTATIONS = 10_000
Vector = NDArray[np.float64]
Explainer = Callable[[Game, Mapping[int, float]], Vector | Missing]


@dataclass(frozen=True, eq=False)
class RandomizationTest:
    """Comparison of explanations of models with random weights with those of the trained model.

    Attributes:
        correlations: absolute Spearman correlation with the trained model's explanation, in [0, 1],
            [draws of weights, prompts]; lower is better.
        prompts: positions, among the cases, of the prompts in `correlations`.
        quantile: 95 % quantile of |Spearman| between random rankings of one prompt, averaged over
            prompts.
        chance: 95 % quantile of the mean |Spearman| over prompts between random rankings; a mean
            below it does not differ from chance.
        verdict: pass if the mean correlation of every draw is at most `quantile`, fail if the means
            of all draws are above, otherwise inconclusive.
    """

    correlations: Vector
    prompts: tuple[int, ...]
    quantile: float
    chance: float

    @property
    def verdict(self) -> Literal["pass", "fail", "inconclusive"]:
        """Verdict over all draws of weights."""
        above = self.correlations.mean(axis=1) > self.quantile
        return "fail" if above.all() else "inconclusive" if above.any() else "pass"


def randomization_test(
    recommender: object,
    cases: Sequence[tuple[Game, Plan, Vector]],
    *,
    rng: np.random.Generator,
    draws: int = 3,
    share: float = 1.0,
    explainer: Explainer | None = None,
) -> RandomizationTest | Missing:
    """Explain prompts again with random weights, and compare with the given attributions.

    Args:
        recommender: the trained recommender.
        cases: for each prompt the game, the masks of the explainer, and the attribution [n] of
            log-probabilities. Prompts with fewer than six spans are left out.
        rng: generator for weights and random rankings.
        draws: number of models with random weights.
        share: fraction of the cascade that is randomized.
        explainer: function that computes the attribution of a game from its values; None for the
            estimator of the plans.

    Returns:
        The correlations; Missing without the weights or with fewer than eight prompts.
    """
    from auditkit.recommenders.adapters.language_model import LanguageModel

    if not isinstance(recommender, LanguageModel):
        return Missing("this test needs the weights of the model")
    from auditkit.attribution.random_weights import scores_of, with_random_weights

    usable = [i for i, (game, _, _) in enumerate(cases) if game.n >= FEWEST_SPANS]
    rows = []
    for _ in range(draws):
        drawn = with_random_weights(recommender, rng, share=share)
        games, masks = [cases[i][0] for i in usable], [cases[i][1].needed for i in usable]
        row = []
        for i, known in zip(usable, scores_of(drawn, games, masks), strict=True):
            game, plan, before = cases[i]
            after = _explained(game, plan, known, rng, explainer)
            found = after if isinstance(after, Missing) else spearman(before, after)
            row.append(np.nan if isinstance(found, Missing) else abs(found))
        rows.append(row)
    table = np.array(rows).reshape(draws, len(usable))
    kept = np.flatnonzero(np.isfinite(table).all(axis=0))
    if len(kept) < FEWEST_PROMPTS:
        return Missing(
            f"only {len(kept)} prompts have at least {FEWEST_SPANS} spans and an attribution that "
            f"is not constant; this test needs {FEWEST_PROMPTS}"
        )
    prompts = tuple(usable[int(j)] for j in kept)
    quantile, chance = null_quantile([cases[i][0].n for i in prompts], rng)
    return RandomizationTest(table[:, kept], prompts, quantile, chance)


def _explained(
    game: Game,
    plan: Plan,
    known: Mapping[int, float],
    rng: np.random.Generator,
    explainer: Explainer | None,
) -> Vector | Missing:
    if explainer is not None:
        return explainer(game, known)
    found = estimate(plan, known, rng)
    return found if isinstance(found, Missing) else found.values


def null_quantile(sizes: Sequence[int], rng: np.random.Generator) -> tuple[float, float]:
    """Simulate 95 % quantiles of |Spearman| between random rankings.

    Args:
        sizes: number of spans of each prompt.
        rng: generator for the rankings.

    Returns:
        Quantile for one prompt, averaged over prompts, and quantile of the mean over prompts.
    """
    by_size = {}
    for n in sorted(set(sizes)):
        ranks = np.arange(n) - (n - 1) / 2
        drawn = rng.permuted(np.tile(ranks, (_PERMUTATIONS, 1)), axis=1)
        by_size[n] = np.abs(drawn @ ranks) / (ranks @ ranks)
    one = float(np.mean([np.quantile(by_size[n], 0.95) for n in sizes]))
    sums = sum(by_size[n][rng.permutation(_PERMUTATIONS)] for n in sizes)
    return one, float(np.quantile(sums / len(sizes), 0.95))
