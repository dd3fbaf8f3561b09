"""Figures of planted canaries: how exposed a secret is, and the epsilon that guesses show.

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
    """Positions of the canaries that are guessed to be in, and to be out."""

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]


def guesses(scores: ArrayLike, *, rng: np.random.Generator) -> Guesses:
    """Guess the coins: the top quarter of the scores is in, the bottom quarter is out.

    The rule is fixed before any score is seen. It abstains on half of the canaries, because the
    coins are not balanced: non-private tiny models with m = 200 gave a bound of 3.35, its ceiling,
    with 100 guesses, and 3.38, 3.17 and 1.99 with 200.

    Args:
        scores: finite, higher means more likely in, [canaries].
        rng: breaks ties, before the coins are read.

    Returns:
        Two sets of floor(n / 4) positions each, without a common one.
    """
    values = np.asarray(scores, dtype=np.float64)
    order = np.lexsort((rng.permutation(len(values)), -values))
    half = len(values) // 4
    return Guesses(order[:half], order[len(values) - half :])


def exposure(rank: int, space: int) -> float | None:
    """Exposure of a secret: log2(space) - log2(rank), in bits.

    By chance it is at least t with probability at most 2^-t, and 1 / ln 2 = 1.44 bits on average.

    Args:
        rank: 1 + number of secrets with a smaller negative log-likelihood, in 1..space.
        space: number of all secrets that fit the template, the canary among them.

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
    """The largest epsilon that guesses about canaries of one training run refute, nats.

    Args:
        canaries: m; each was put in with probability 1/2, independently.
        guesses: r <= m. correct: v <= r.
        delta: of the definition, in [0, 1).
        significance: probability of a bound above the true epsilon, in (0, 1). If t scores or t
            numbers of guesses are tried, each takes the t-th part.

    Returns:
        Nats, at least 0; 0 is ideal. m = 200, r = 100, v = 90, delta = 1e-4 gives 1.621.

    Raises:
        InvalidArgument: counts that do not fit each other, or a value outside its range.

    Source: Steinke, Nasr & Jagielski 2023, appendix D; `one_run_bound` also has the ceiling.
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
