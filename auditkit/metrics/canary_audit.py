"""Metrics of planted canaries: exposure of a secret, and a lower bound of epsilon from guesses.

A canary is a random record that is put into the training data on purpose. Source: Carlini et al.
2019 (exposure); Steinke, Nasr & Jagielski 2023 (bound from one training run).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.privacy.bounds import one_run_bound

__all__ = ["Guesses", "exposure", "guesses", "one_run_epsilon_lower_bound"]


class Guesses(NamedTuple):
    """Positions of the canaries that are guessed to be in, and out of, the training data."""

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]


def guesses(scores: ArrayLike, *, rng: np.random.Generator) -> Guesses:
    """Guess which canaries were in training: the top quarter of the scores is in, the bottom out.

    The rule is fixed before any score is seen and abstains on half of the canaries. Guessing all of
    them is less reliable, because the numbers of canaries in and out differ by chance: with m =
    200, non-private tiny models gave a bound of 3.35, the ceiling, from 100 guesses, but 3.38, 3.17
    and 1.99 from 200 guesses.

    Args:
        scores: finite scores, [canaries]; higher means more likely in the training data.
        rng: generator that breaks ties between equal scores.

    Returns:
        Two disjoint sets of floor(n / 4) positions each.
    """
    values = np.asarray(scores, dtype=np.float64)
    order = np.lexsort((rng.permutation(len(values)), -values))
    half = len(values) // 4
    return Guesses(order[:half], order[len(values) - half :])


def exposure(rank: int, space: int) -> float | None:
    """Exposure of a secret: log2(space) - log2(rank), in bits.

    By chance, the exposure is at least t with probability at most 2^-t, and its mean is 1 / ln 2 =
    1.44 bits.

    Args:
        rank: 1 + number of secrets with a smaller negative log-likelihood, in 1..space.
        space: number of all secrets that fit the template, including the canary.

    Returns:
        Bits in [0, log2(space)]; 0 is ideal. None if the space has fewer than two secrets.

    Raises:
        InvalidArgument: a rank outside 1..space.

    Source: Carlini et al. 2019, definition 3.
    """
    if not 1 <= rank <= space:
        raise InvalidArgument(
            f"exposure got rank={rank} in a space of {space}. Give a rank from 1 to the number of "
            "secrets."
        )
    return math.log2(space) - math.log2(rank) if space > 1 else None


def one_run_epsilon_lower_bound(
    *, canaries: int, guesses: int, correct: int, delta: float, significance: float = 0.05
) -> float:
    """Lower bound of epsilon from guesses about the canaries of one training run, in nats.

    Args:
        canaries: number m of canaries, each independently put into training with probability 1/2.
        guesses: number r of guesses, at most m.
        correct: number v of correct guesses, at most r.
        delta: delta of (epsilon, delta)-differential privacy, in [0, 1).
        significance: probability that the bound exceeds the true epsilon, in (0, 1). If t scores or
            t numbers of guesses are tried, give each 1/t of it.

    Returns:
        Nats, at least 0; 0 is ideal. m = 200, r = 100, v = 90, delta = 1e-4 gives 1.621.

    Raises:
        InvalidArgument: not 0 <= correct <= guesses <= canaries, or a value outside its range.

    Source: Steinke, Nasr & Jagielski 2023, appendix D; `one_run_bound` also returns the ceiling.
    """
    if not 0 < significance < 1:
        raise InvalidArgument(
            f"one_run_epsilon_lower_bound got significance={significance:g}. Give a probability "
            "between 0 and 1, such as 0.05."
        )
    return one_run_bound(
        canaries=canaries,
        guesses=guesses,
        correct=correct,
        delta=delta,
        confidence=1 - significance,
    ).epsilon
