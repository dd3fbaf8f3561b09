"""Many decisions at once: adjusted p-values that keep the chance of any wrong one small."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from auditkit.errors import InvalidArgument
from auditkit.stats.relabelling import TOLERANCE, Tested

__all__ = ["holm", "westfall_young"]

K = TypeVar("K", bound=Hashable)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment.

    Args:
        p_values: one per decision, in [0, 1], in any order.

    Returns:
        Adjusted p-values in the given order, in [0, 1], never below the given ones. Rejecting where
        the adjusted value is below alpha keeps the chance of any wrong rejection at most alpha,
        whatever the dependence.

    Source: Holm 1979; p_(j) = max over i <= j of min(1, (m - i + 1) p_(i)).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def westfall_young(tests: Mapping[K, Tested]) -> dict[K, float]:
    """Step-down maxT over permutation tests, which learns how they hang together from their joint
    relabellings.

    Every statistic is standardised by mean and standard deviation of its own relabellings, the
    observed one included, so tests of different units compare.

    Args:
        tests: statistic and null draws of every test; the same number of draws in all. Tests with
            the same relabellings keep their dependence; independent ones make the adjustment
            conservative under positive dependence.

    Returns:
        Adjusted p-value of every test, in (0, 1]; 1 where relabelling changes nothing.

    Raises:
        InvalidArgument: tests with different numbers of draws.

    Source: Westfall & Young 1993, step-down maxT; p_(j) = (1 + #{b : max_{k >= j} z*_(k)b >=
    z_(j)}) / (B + 1), then the cumulative maximum.
    """
    if len({len(test.null) for test in tests.values()}) > 1:
        raise InvalidArgument(
            "westfall_young got tests with different numbers of draws. Draw equally many for all."
        )
    adjusted: dict[K, float] = dict.fromkeys(tests, 1.0)
    standard = {}
    for key, test in tests.items():
        every = np.append(test.null, test.statistic)
        spread = float(every.std())
        if spread > TOLERANCE:
            standard[key] = (every - every.mean()) / spread
    order = sorted(standard, key=lambda key: -float(standard[key][-1]))
    if not order:
        return adjusted
    highest = np.full(len(standard[order[0]]) - 1, -np.inf)
    raw: dict[K, float] = {}
    for key in reversed(order):  # from the least extreme up: the maximum of those behind it
        highest = np.maximum(highest, standard[key][:-1])
        at_least = np.sum(highest >= standard[key][-1] - TOLERANCE)
        raw[key] = float((1 + at_least) / (len(highest) + 1))
    largest = 0.0
    for key in order:
        largest = max(largest, raw[key])
        adjusted[key] = largest
    return adjusted
