"""Relabellings inside a probe, and what a test makes of them.

A probe is one anchor that is asked once per attribute value. If the value makes no difference, its
answers may change places, so a test that relabels inside every probe is exact whatever the probes
differ in. p = (1 + #{T* >= T - 1e-12}) / (B + 1), so it is never 0. Tests that are given equal
generators and equal shapes see the same relabellings, which keeps their dependence in a joint
adjustment. Source: fairness recipe, 3.5; Phipson & Smyth 2010 for the +1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK_BYTES", "TOLERANCE", "Tested", "permutation_p", "relabellings", "sign_flips"]

BLOCK_BYTES = 16 << 20  # of 8-byte numbers: stays near the processor's caches
TOLERANCE = 1e-12
_LISTED = 7  # labels whose orders are listed: 7! = 5,040


class Tested(NamedTuple):
    """A statistic and its values under the relabellings; large speaks against "no difference".

    Attributes:
        statistic: of the data. null: [draws].
    """

    statistic: float
    null: NDArray[np.float64]

    @property
    def p(self) -> float:
        """p-value in (0, 1]."""
        return permutation_p(self.statistic, self.null)


def permutation_p(observed: float, draws: NDArray[np.float64]) -> float:
    """Share of relabellings at least as extreme as the observed one, which counts too."""
    return float((1 + np.sum(draws >= observed - TOLERANCE)) / (len(draws) + 1))


def relabellings(
    rng: np.random.Generator, *, draws: int, n: int, labels: int
) -> Iterator[NDArray[np.intp]]:
    """Blocks [block, n, labels] of independent uniform orders of the labels of every row."""
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
    """Which rows change sides, [draws, n], each with probability one half."""
    return rng.integers(2, size=(draws, n), dtype=np.int8).astype(np.bool_)
