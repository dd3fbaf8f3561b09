from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from auditkit.stats.permutation import group_gap_test, largest_welch_t


def test_largest_t_equals_welch_of_scipy():
    generator = np.random.default_rng(0)
    groups = [generator.normal(mean, 1, n) for mean, n in ((0, 20), (0.3, 30), (1, 25))]
    expected = max(
        abs(stats.ttest_ind(a, b, equal_var=False).statistic)
        for a, b in itertools.combinations(groups, 2)
    )
    sums = np.array([[g.sum() for g in groups]])
    squares = np.array([[(g**2).sum() for g in groups]])
    assert largest_welch_t(sums, squares, np.array([20, 30, 25]))[0] == pytest.approx(expected)


def test_group_gap_test_finds_a_gap_and_is_quiet_without_one():
    generator = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 60)
    noise = generator.random(180)
    assert group_gap_test(noise + 0.4 * (groups == 1), groups, rng=generator, draws=499) == 0.002
    assert group_gap_test(noise, groups, rng=generator, draws=499) > 0.05


def test_group_gap_test_has_its_size_for_rare_hits():
    generator = np.random.default_rng(5)
    groups = np.repeat([0, 1], [150, 50])
    rejected = sum(
        group_gap_test(
            (generator.random(200) < 0.1).astype(float), groups, rng=generator, draws=199
        )
        <= 0.05
        for _ in range(300)
    )
    assert rejected / 300 <= 0.085


def test_group_gap_test_of_equal_values_is_one():
    assert group_gap_test(np.ones(40), np.repeat([0, 1], 20), rng=np.random.default_rng(0)) == 1.0
