"""Adjusted p-values that control the family-wise error rate or the false discovery rate."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from auditkit.errors import InvalidArgument
from auditkit.stats.relabeling import TOLERANCE, Tested

__all__ = ["benjamini_hochberg", "holm", "westfall_young"]

K = TypeVar("K", bound=Hashable)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up adjustment.

    Args:
        p_values: one per decision, in [0, 1], in any order.

    Returns:
        Adjusted p-values in the given order, in [0, 1], never below the given ones. Rejecting where
        the adjusted value is at most alpha keeps the expected share of false rejections at alpha,
        for independent or positively dependent tests.

    Source: Benjamini & Hochberg 1995; q_(j) = min over i >= j of min(1, m p_(i) / i).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    smallest = 1.0
    for rank, index in reversed(list(enumerate(order, start=1))):
        smallest = min(smallest, p_values[index] * len(p_values) / rank)
        adjusted[index] = smallest
    return adjusted


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment.

    Args:
        p_values: one per decision, in [0, 1], in any order.

    Returns:
        Adjusted p-values in the given order, in [0, 1], never below the given ones. Rejecting where
        the adjusted value is below alpha controls the family-wise error rate at alpha under any
        dependence.

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
    """Step-down maxT adjustment, which uses the dependence of tests under joint permutations.

    Every statistic is standardized by the mean and standard deviation of its permutation values,
    including the observed one, so that tests in different units are comparable.

    Args:
        tests: statistic and permutation values of every test, with the same number of permutations
            for each test. Tests with the same permutations keep their dependence; tests with
            independent permutations make the adjustment conservative under positive dependence.

    Returns:
        Adjusted p-value of every test, in (0, 1]; 1 if permutations do not change the statistic.

    Raises:
        InvalidArgument: the tests differ in their number of permutations.

    Source: Westfall & Young 1993, step-down maxT; p_(j) = (1 + #{b : max_{k >= j} z*_(k)b >=
    z_(j)}) / (B + 1), then the cumulative maximum.
    """
    if len({len(test.null) for test in tests.values()}) > 1:
        raise InvalidArgument(
            "westfall_young got tests with different numbers of permutations. Give tests with "
            "equal numbers of permutations."
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
    for key in reversed(order):  # least extreme first, with a running maximum
        highest = np.maximum(highest, standard[key][:-1])
        at_least = np.sum(highest >= standard[key][-1] - TOLERANCE)
        raw[key] = float((1 + at_least) / (len(highest) + 1))
    largest = 0.0
    for key in order:
        largest = max(largest, raw[key])
        adjusted[key] = largest
    return adjusted
