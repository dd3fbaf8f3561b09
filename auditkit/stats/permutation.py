"""Permutation tests whose relabelling stays inside a probe, or runs across independent users.

A probe is one anchor asked once per attribute value; under "the value makes no difference" its
answers may be swapped among the values, and the test is exact whatever the probes differ in. p = (1
+ #{T* >= T - 1e-12}) / (B + 1), so it is never 0. Source: fairness recipe, 3.5 and 3.8; Phipson &
Smyth 2010 for the +1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument

__all__ = [
    "DisturbanceTest",
    "disturbance_test",
    "group_gap_test",
    "largest_welch_t",
    "permutation_p",
]

BLOCK_BYTES = 64 << 20
TOLERANCE = 1e-12


class DisturbanceTest(NamedTuple):
    """p-values in (0, 1]; small: some values are disturbed more than others."""

    p_snsr: float
    p_snsv: float
    draws: int


def permutation_p(observed: float, draws: NDArray[np.float64]) -> float:
    """Share of relabellings at least as extreme as the observed one, which counts too."""
    return float((1 + np.sum(draws >= observed - TOLERANCE)) / (len(draws) + 1))


def disturbance_test(
    similarity: ArrayLike, *, rng: np.random.Generator, draws: int = 9_999
) -> DisturbanceTest:
    """Are some attribute values disturbed more than others?

    The statistic is the range (SNSR) and the population standard deviation (SNSV) of the value
    means; relabelling permutes the values inside each probe. With indicators of missing answers
    instead of similarities the SNSR part tests missing-answer disparity.

    Args:
        similarity: [probes, values], complete probes only.
        rng: generator of the relabellings.
        draws: number of relabellings.

    Raises:
        InvalidArgument: fewer than 2 probes or 2 values, or a number that is not finite.
    """
    matrix = np.asarray(similarity, dtype=np.float64)
    if matrix.ndim != 2 or min(matrix.shape) < 2 or not np.all(np.isfinite(matrix)):
        raise InvalidArgument(
            f"disturbance_test got an array of shape {matrix.shape}. Give complete probes only, "
            "at least 2 x 2."
        )
    block = max(1, BLOCK_BYTES // (2 * matrix.nbytes))
    means = [
        rng.permuted(
            np.broadcast_to(matrix, (min(block, draws - begin), *matrix.shape)), axis=2
        ).mean(axis=1)
        for begin in range(0, draws, block)
    ]
    relabelled = np.concatenate(means)
    observed = matrix.mean(axis=0)
    return DisturbanceTest(
        permutation_p(float(np.ptp(observed)), np.ptp(relabelled, axis=1)),
        permutation_p(float(observed.std()), relabelled.std(axis=1)),
        draws,
    )


def largest_welch_t(
    sums: NDArray[np.float64], squares: NDArray[np.float64], sizes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Largest |mean_a - mean_b| / sqrt(s_a^2/n_a + s_b^2/n_b) over all pairs of groups.

    Args:
        sums, squares: sums of values and of their squares, [draws, groups].
        sizes: [groups], each at least 2.

    Returns:
        [draws]; 0 where all means are equal, infinity where means differ without any spread.
    """
    means = sums / sizes
    variance = np.maximum(squares - sizes * means**2, 0.0) / (sizes - 1) / sizes
    a, b = np.triu_indices(len(sizes), 1)
    gaps = np.abs(means[:, a] - means[:, b])
    error = np.sqrt(variance[:, a] + variance[:, b])
    t = np.where(
        error > TOLERANCE,
        gaps / np.where(error > TOLERANCE, error, 1.0),
        np.where(gaps > TOLERANCE, np.inf, 0),
    )
    return np.asarray(t.max(axis=1))


def group_gap_test(
    values: ArrayLike, groups: ArrayLike, *, rng: np.random.Generator, draws: int = 9_999
) -> float:
    """Do independent groups have equal means? Permutes labels; statistic max Welch |t|.

    Args:
        values: one finite number per user, [n].
        groups: group number of each user from 0, [n]; every group has at least 2 users.
        rng: generator of the relabellings.
        draws: number of relabellings.

    Returns:
        p-value in (0, 1].
    """
    numbers = np.asarray(groups, dtype=np.int64)
    order = np.argsort(numbers, kind="stable")
    x = np.asarray(values, dtype=np.float64)[order]
    sizes = np.bincount(numbers)
    begins = np.concatenate(([0], np.cumsum(sizes)[:-1]))

    def statistic(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return largest_welch_t(
            np.add.reduceat(rows, begins, axis=1), np.add.reduceat(rows**2, begins, axis=1), sizes
        )

    block = max(1, BLOCK_BYTES // (3 * x.nbytes))
    relabelled = [
        statistic(rng.permuted(np.broadcast_to(x, (min(block, draws - begin), len(x))), axis=1))
        for begin in range(0, draws, block)
    ]
    return permutation_p(float(statistic(x[None, :])[0]), np.concatenate(relabelled))
