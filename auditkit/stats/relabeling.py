"""Label permutations inside probes, and their p-values.

A probe is one anchor with one request per attribute value. If the attribute value has no effect,
the responses of a probe are exchangeable, so a test that permutes labels inside every probe is
exact regardless of differences between probes. p = (1 + #{T* >= T - 1e-12}) / (B + 1), so it is
never 0. Tests with equal generators and equal shapes use the same permutations, which keeps their
dependence for a joint adjustment. Source: Phipson & Smyth 2010 for the +1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK_BYTES", "TOLERANCE", "Tested", "permutation_p", "relabelings", "sign_flips"]

BLOCK_BYTES = 16 << 20  # about the size of the processor caches
TOLERANCE = 1e-12
_LISTED = 7  # up to 7 labels, all orders are enumerated (7! = 5,040)


class Tested(NamedTuple):
    """A test statistic and its permutation values; large values are evidence of a difference.

    Attributes:
        statistic: value for the data.
        null: values under the permutations, [draws].
    """

    statistic: float
    null: NDArray[np.float64]

    @property
    def p(self) -> float:
        """p-value in (0, 1]."""
        return permutation_p(self.statistic, self.null)


def permutation_p(observed: float, draws: NDArray[np.float64]) -> float:
    """Return the share of permutations whose value is at least as large as the observed value.

    The observed labels count as one of the permutations, so the p-value is in (0, 1].
    """
    return float((1 + np.sum(draws >= observed - TOLERANCE)) / (len(draws) + 1))


def relabelings(
    rng: np.random.Generator, *, draws: int, n: int, labels: int
) -> Iterator[NDArray[np.intp]]:
    """Yield blocks [block, n, labels] of independent uniform orders of the labels of every row."""
    block = max(1, BLOCK_BYTES // (8 * n * labels))
    if labels > _LISTED:
        for begin in range(0, draws, block):
            shape = (min(block, draws - begin), n, labels)
            yield rng.random(shape, dtype=np.float32).argsort(axis=2)
        return
    orders = np.array(list(itertools.permutations(range(labels))), dtype=np.intp)
    for begin in range(0, draws, block):
        shape_of_draws = (min(block, draws - begin), n)
        yield orders[rng.integers(math.factorial(labels), size=shape_of_draws, dtype=np.int32)]


def sign_flips(rng: np.random.Generator, *, draws: int, n: int) -> NDArray[np.bool_]:
    """Sample which signs to flip in each draw, [draws, n], each with probability 1/2."""
    return rng.integers(2, size=(draws, n), dtype=np.int8).astype(np.bool_)
