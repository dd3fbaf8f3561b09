"""Lower bound of epsilon from the scores of canaries, and its comparison with a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.metrics.canary_audit import guesses, one_run_epsilon_lower_bound
from auditkit.privacy.bounds import Claim, LowerBound, group_claim

__all__ = ["CanaryBound", "CanaryScores", "bound_of"]


class CanaryScores(NamedTuple):
    """Scores of all canaries, None if missing, and whether each canary was planted."""

    scores: Sequence[float | None]
    planted: Sequence[bool]

    @property
    def kept(self) -> list[int]:
        """Positions of the canaries with a score."""
        return [i for i, score in enumerate(self.scores) if score is not None]

    @property
    def n_missing(self) -> int:
        """Number of canaries without a score."""
        return len(self.scores) - len(self.kept)

    def values(self) -> NDArray[np.float64]:
        """Scores of the canaries in `kept`."""
        return np.array([score for score in self.scores if score is not None], dtype=np.float64)

    def sides(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores of the planted canaries, and of the canaries that were not planted."""
        values, inside = self.values(), np.array([self.planted[i] for i in self.kept], dtype=bool)
        return values[inside], values[~inside]

    def too_many_missing(self, most: float) -> str | None:
        """Return why the scores cannot be used; None if they can.

        They cannot if more than a share `most` of the planted or of the other canaries has no
        score, because failures may then depend on planting.
        """
        for wanted, words in ((True, "planted"), (False, "other")):
            side = [s for s, planted in zip(self.scores, self.planted, strict=True)
                    if planted == wanted]  # fmt: skip
            n_missing = sum(score is None for score in side)
            if n_missing > most * len(side):
                return f"not_assessable: {n_missing} of {len(side)} {words} canaries have no score"
        return None


class CanaryBound(NamedTuple):
    """Lower bound of epsilon from the guesses about canaries, beside the privacy claim.

    Attributes:
        claimed: the claim, converted to groups of as many units as a planted canary has copies;
            None without a claim.
        verdict: a sentence that compares both.
    """

    bound: LowerBound
    claimed: Claim | None
    verdict: str
    parameters: Mapping[str, JsonValue]


def bound_of(
    scored: CanaryScores,
    claim: Mapping[str, Any] | None,
    *,
    repeats: int,
    n_units: int,
    rng: np.random.Generator,
) -> CanaryBound:
    """Guess which canaries were planted, count correct guesses, and bound epsilon.

    Args:
        scored: scores of all canaries.
        claim: section `privacy` of recommender.yaml; None without a claim.
        repeats: number of copies of a planted canary; the claim for one unit is converted to a
            claim for groups of this size.
        n_units: number of units in the training data; without a claim, delta is 1 / (10 n_units).
        rng: generator that breaks ties between scores.
    """
    guessed = guesses(scored.values(), rng=rng)
    coins = np.array([scored.planted[i] for i in scored.kept], dtype=bool)
    n_guesses = len(guessed.inside) + len(guessed.outside)
    correct = int(coins[guessed.inside].sum() + (~coins[guessed.outside]).sum())
    claimed = None
    if claim is not None:
        claimed = group_claim(Claim(float(claim["epsilon"]), float(claim["delta"])), repeats)
    delta = claimed.delta if claimed else 1 / (10 * n_units)
    bound = _bound(len(scored.scores), n_guesses, correct, delta)
    parameters: dict[str, JsonValue] = {
        "guesses": n_guesses, "correct": correct, "delta": delta, "repeats": repeats,
    }  # fmt: skip
    if claimed:
        parameters["claimed_epsilon"] = claimed.epsilon
    return CanaryBound(bound, claimed, _verdict(bound, claimed, repeats), parameters)


def _bound(canaries: int, n_guesses: int, correct: int, delta: float) -> LowerBound:
    """Compute bound and ceiling; both are 0 if delta is so large that the claim is empty."""
    if delta >= 1:
        return LowerBound(0.0, 0.0)
    found, ceiling = (
        one_run_epsilon_lower_bound(canaries=canaries, guesses=n_guesses, correct=v, delta=delta)
        for v in (correct, n_guesses)
    )
    return LowerBound(found, ceiling)


def _verdict(bound: LowerBound, claimed: Claim | None, repeats: int) -> str:
    if claimed is None:
        return (
            "recommender.yaml makes no privacy claim; the measured epsilon is at least "
            f"{bound.epsilon:.2f} nats"
        )
    group = f" for {repeats} copies" if repeats > 1 else ""
    if bound.epsilon > claimed.epsilon:
        return (
            f"contradicted: epsilon is at least {bound.epsilon:.2f}, but {claimed.epsilon:.2f} is "
            f"claimed{group}, so the training loop or the accounting is wrong"
        )
    sentence = f"not contradicted; this audit could show an epsilon of up to {bound.ceiling:.2f}"
    if bound.ceiling < claimed.epsilon:
        sentence += f", less than the claim of {claimed.epsilon:.2f}{group}"
    return sentence
