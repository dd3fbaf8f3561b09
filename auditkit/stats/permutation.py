"""Permutation test of the largest Welch t between independent groups of users.

Group labels are permuted across users. p = (1 + #{T* >= T - 1e-12}) / (B + 1), so it is never 0.
Source: Phipson & Smyth 2010 (for the +1 in p).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.stats.relabeling import BLOCK_BYTES, TOLERANCE, permutation_p

__all__ = ["group_gap_test", "largest_welch_t"]


def largest_welch_t(
    sums: NDArray[np.float64], squares: NDArray[np.float64], sizes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Largest |mean_a - mean_b| / sqrt(s_a^2/n_a + s_b^2/n_b) over all pairs of groups.

    Args:
        sums, squares: sums of values and of their squares, [draws, groups].
        sizes: [groups], each at least 2.

    Returns:
        Statistic [draws]; 0 if all means are equal, infinity if means differ without any spread.
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
    """Test whether independent groups have equal means, by permuting labels (max Welch |t|).

    Args:
        values: one finite number per user, [n].
        groups: group number of each user, from 0, [n]; every group has at least 2 users.
        rng: generator for the permutations.
        draws: number of permutations.

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
    permuted = [
        statistic(rng.permuted(np.broadcast_to(x, (min(block, draws - begin), len(x))), axis=1))
        for begin in range(0, draws, block)
    ]
    return permutation_p(float(statistic(x[None, :])[0]), np.concatenate(permuted))
