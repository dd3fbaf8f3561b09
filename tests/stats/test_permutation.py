from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.stats.permutation import (
    disturbance_test,
    group_gap_test,
    largest_welch_t,
    permutation_p,
)


def test_p_counts_the_observed_statistic_and_is_never_zero():
    assert permutation_p(5.0, np.zeros(99)) == 0.01
    assert permutation_p(0.0, np.zeros(99)) == 1.0


def test_p_equals_full_enumeration_on_a_small_table():
    table = np.array([[0.1, 0.5], [0.2, 0.9], [0.4, 0.3]])
    gaps = [
        abs(np.mean([sign * (a - b) for sign, (a, b) in zip(signs, table, strict=True)]))
        for signs in itertools.product([1, -1], repeat=3)
    ]
    observed = abs(np.mean(table[:, 0] - table[:, 1]))
    exact = np.mean([gap >= observed - 1e-12 for gap in gaps])
    test = disturbance_test(table, rng=np.random.default_rng(0), draws=20_000)
    assert test.p_snsr == pytest.approx(exact, abs=0.01)
    assert test.p_snsv == test.p_snsr


def test_equal_columns_give_p_one():
    table = np.repeat(np.random.default_rng(0).random((10, 1)), 4, axis=1)
    assert disturbance_test(table, rng=np.random.default_rng(0), draws=99).p_snsr == 1.0


def test_a_strong_effect_is_found():
    table = np.random.default_rng(0).normal(0.5, 0.02, (40, 4))
    table[:, 2] -= 0.05
    assert disturbance_test(table, rng=np.random.default_rng(1), draws=999).p_snsr == 0.001


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(4)), st.integers(0, 5))
def test_p_hardly_depends_on_the_order_of_the_values(order, seed):
    table = np.random.default_rng(seed).random((12, 4))
    results = [
        disturbance_test(x, rng=np.random.default_rng(0), draws=1999).p_snsr
        for x in (table, table[:, order])
    ]
    assert results[0] == pytest.approx(results[1], abs=0.06)


def test_size_is_five_percent_for_a_fair_recommender_with_unequal_probes():
    generator = np.random.default_rng(2)
    rejected = 0
    for _ in range(400):
        table = generator.random((25, 1)) * 0.5 + generator.normal(0, 0.07, (25, 4))
        rejected += disturbance_test(table, rng=generator, draws=199).p_snsr <= 0.05
    assert 0.025 <= rejected / 400 <= 0.085


@pytest.mark.parametrize("table", [np.zeros((1, 3)), np.zeros((3, 1)), np.full((3, 3), np.nan)])
def test_an_incomplete_table_is_an_error(table):
    with pytest.raises(InvalidArgument):
        disturbance_test(table, rng=np.random.default_rng(0))


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
