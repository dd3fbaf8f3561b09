"""Test of the interaction of two attributes.

The contrast of a cell is the part of its similarity that the effects of its two attributes do not
explain. Without an interaction, the sign of the whole contrast table of a probe is exchangeable, so
the test flips signs. Permuting the labels would instead test the null hypothesis that no attribute
has any effect.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.stats.list_shift import studentized
from auditkit.stats.relabeling import Tested, sign_flips
from auditkit.stats.simultaneous import RangeBounds, contrast_bounds

__all__ = ["Interaction", "interaction_test"]


class Interaction(NamedTuple):
    """Interaction contrasts of two crossed attributes, and the test of the largest.

    Attributes:
        contrasts: mean contrast of every cell, [g, h], similarity points; ideal 0.
        largest_t: largest |t| over the cells.
        bounds: simultaneous 95 % bounds of the largest absolute contrast.
    """

    contrasts: NDArray[np.float64]
    largest_t: Tested
    bounds: RangeBounds


def interaction_test(
    similarities: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 9_999,
    bootstrap_draws: int = 2_000,
) -> Interaction:
    """Test and bound the interaction of two crossed attributes.

    Args:
        similarities: [probes, g, h] in [0, 1], complete probes only, one cell per pair of values.
        rng: generator for the sign flips, then for the resamples.
        draws, bootstrap_draws: number of random sign flips, and number of resamples.

    Raises:
        InvalidArgument: fewer than 2 probes or values, or a similarity outside [0, 1].
    """
    cells = np.asarray(similarities, dtype=np.float64)
    if cells.ndim != 3 or min(cells.shape) < 2 or not np.all((cells >= 0) & (cells <= 1)):
        raise InvalidArgument(
            f"interaction_test got an array of shape {cells.shape}. Give similarities in [0, 1] "
            "of complete probes, at least 2 x 2 x 2."
        )
    over_g, over_h = cells.mean(axis=1, keepdims=True), cells.mean(axis=2, keepdims=True)
    overall = cells.mean(axis=(1, 2), keepdims=True)
    contrasts = (cells - over_g - over_h + overall).reshape(len(cells), -1)
    n = len(contrasts)
    signs = 1.0 - 2.0 * sign_flips(rng, draws=draws, n=n)
    squares = (contrasts**2).sum(axis=0)

    def largest(means: NDArray[np.float64]) -> NDArray[np.float64]:
        error = np.sqrt(np.maximum(squares - n * means**2, 0.0) / (n - 1) / n)
        return np.asarray(studentized(np.abs(means), error).max(axis=1))

    means = contrasts.mean(axis=0)
    tested = Tested(float(largest(means[None])[0]), largest(signs @ contrasts / n))
    bounds = contrast_bounds(contrasts, rng=rng, draws=bootstrap_draws)
    return Interaction(means.reshape(cells.shape[1:]), tested, bounds)
