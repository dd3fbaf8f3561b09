"""Does an explanation depend on the weights of the model, or would random weights give the same?

The rank correlation of the attributions of the trained model and of a model with random weights is
compared with that of random rankings of the same length, because with ten spans even independent
rankings have a mean absolute correlation of 0.27. An explainer that ignores the model has exactly
1. Source: model-parameter randomization of Adebayo et al. 2018, with a null quantile instead of a
fixed threshold.
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
    """Explanations of models with random weights against those of the trained model.

    Attributes:
        correlations: |Spearman| in [0, 1], [draws of weights, prompts]; lower is better.
        prompts: positions of these prompts among the cases.
        quantile: 95 % quantile of |Spearman| of random rankings of one prompt, mean over prompts.
        chance: the same quantile of the mean over independent prompts; a mean below it cannot be
            told from chance.
        verdict: pass if the mean of every draw is at most `quantile`, fail if all are above.
    """

    correlations: Vector
    prompts: tuple[int, ...]
    quantile: float
    chance: float

    @property
    def verdict(self) -> Literal["pass", "fail", "inconclusive"]:
        """Judge all draws of weights together."""
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
    """Explain again with random weights and compare.

    Args:
        cases: per prompt the game, the masks of its explainer, and its attribution [n], whose
            values are log-probabilities. Prompts with fewer than six spans are left out.
        draws: number of draws of the weights. share: fraction of the cascade that is drawn again.
        explainer: gives the attribution of a game from its values; None for that of the plans.

    Returns:
        The correlations; Missing without the weights or with fewer than eight prompts.
    """
    from auditkit.recommenders.adapters.language_model import LanguageModel

    if not isinstance(recommender, LanguageModel):
        return Missing("needs the weights of the model")
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
            f"{len(kept)} prompts with at least {FEWEST_SPANS} spans and attributions that are not "
            f"constant; needs {FEWEST_PROMPTS}"
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
    """95 % quantiles of |Spearman| of random rankings of the given numbers of spans: of one prompt
    (mean over prompts), and of the mean over the prompts.
    """
    by_size = {}
    for n in sorted(set(sizes)):
        ranks = np.arange(n) - (n - 1) / 2
        drawn = rng.permuted(np.tile(ranks, (_PERMUTATIONS, 1)), axis=1)
        by_size[n] = np.abs(drawn @ ranks) / (ranks @ ranks)
    one = float(np.mean([np.quantile(by_size[n], 0.95) for n in sizes]))
    sums = sum(by_size[n][rng.permutation(_PERMUTATIONS)] for n in sizes)
    return one, float(np.quantile(sums / len(sizes), 0.95))
