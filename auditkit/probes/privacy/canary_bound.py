"""From the scores of canaries to a bound of epsilon, and what it says about a claim."""

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
    """Scores of all canaries, None where one is missing, and their coins."""

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
        """Scores of `kept`."""
        return np.array([score for score in self.scores if score is not None], dtype=np.float64)

    def sides(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores of the canaries that are in, and of those that are out."""
        values, inside = self.values(), np.array([self.planted[i] for i in self.kept], dtype=bool)
        return values[inside], values[~inside]

    def too_many_missing(self, most: float) -> str | None:
        """Why the scores cannot be used: on one side more than a share `most` is missing, and
        failures may depend on what was planted. None if they can.
        """
        for wanted, words in ((True, "planted"), (False, "other")):
            side = [s for s, planted in zip(self.scores, self.planted, strict=True)
                    if planted == wanted]  # fmt: skip
            n_missing = sum(score is None for score in side)
            if n_missing > most * len(side):
                return f"not_assessable: {n_missing} of {len(side)} {words} canaries have no score"
        return None


class CanaryBound(NamedTuple):
    """A bound, the claim of `repeats` units with which it is compared, and a sentence on both."""

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
    """Guess, count and bound.

    Args:
        claim: section `privacy` of recommender.yaml; None without a claim.
        repeats: records of a planted canary; the claim for one unit is converted to that of a group
            of this size.
        n_units: number of units in the training data; without a claim, delta is 1 / (10 n_units).
        rng: breaks ties between scores.
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
    """Bound and ceiling; both 0 if delta is so large that nothing is claimed."""
    if delta >= 1:
        return LowerBound(0.0, 0.0)
    found, ceiling = (
        one_run_epsilon_lower_bound(canaries=canaries, guesses=n_guesses, correct=v, delta=delta)
        for v in (correct, n_guesses)
    )
    return LowerBound(found, ceiling)


def _verdict(bound: LowerBound, claimed: Claim | None, repeats: int) -> str:
    if claimed is None:
        return f"no claim was made; measured leakage is at least {bound.epsilon:.2f} nats"
    group = f" for {repeats} copies" if repeats > 1 else ""
    if bound.epsilon > claimed.epsilon:
        return (
            f"contradicted: epsilon is at least {bound.epsilon:.2f}, and {claimed.epsilon:.2f} is "
            f"claimed{group}; the training loop or the accounting is wrong"
        )
    sentence = f"not contradicted, testable up to {bound.ceiling:.2f}"
    if bound.ceiling < claimed.epsilon:
        sentence += (
            f"; {bound.ceiling:.2f} to {claimed.epsilon:.2f}, the claim{group}, was beyond this "
            "audit"
        )
    return sentence
