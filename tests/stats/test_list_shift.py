from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.stats.list_shift import list_shift_tests
from auditkit.stats.relabeling import permutation_p, relabelings


def run(table, *, draws, rng=None):
    (test,) = list_shift_tests(
        np.asarray(table)[None], rng=rng or np.random.default_rng(0), draws=draws
    )
    return test


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
    test = run(table, rng=np.random.default_rng(0), draws=20_000)
    assert test.snsr.p == pytest.approx(exact, abs=0.01)
    assert test.snsv.p == test.snsr.p


def test_equal_columns_give_p_one():
    table = np.repeat(np.random.default_rng(0).random((10, 1)), 4, axis=1)
    assert run(table, rng=np.random.default_rng(0), draws=99).snsr.p == 1.0


def test_a_strong_effect_is_found():
    table = np.random.default_rng(0).normal(0.5, 0.02, (40, 4))
    table[:, 2] -= 0.05
    assert run(table, rng=np.random.default_rng(1), draws=999).snsr.p == 0.001


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(4)), st.integers(0, 5))
def test_p_hardly_depends_on_the_order_of_the_values(order, seed):
    table = np.random.default_rng(seed).random((12, 4))
    results = [
        run(x, rng=np.random.default_rng(0), draws=1999).snsr.p for x in (table, table[:, order])
    ]
    assert results[0] == pytest.approx(results[1], abs=0.06)


@pytest.mark.parametrize("table", [np.zeros((1, 3)), np.zeros((3, 1)), np.full((3, 3), np.nan)])
def test_an_incomplete_table_is_an_error(table):
    with pytest.raises(InvalidArgument):
        run(table, draws=9)


def test_largest_t_equals_the_paired_t_of_scipy():
    table = np.random.default_rng(3).random((25, 3))
    expected = [
        abs(stats.ttest_rel(table[:, a], table[:, b]).statistic)
        for a, b in itertools.combinations(range(3), 2)
    ]
    test = run(table, rng=np.random.default_rng(0), draws=99)
    assert test.pair_t == pytest.approx(expected)
    assert test.max_t.statistic == pytest.approx(max(expected))
    assert test.pair_p().min() == test.max_t.p


def test_tables_of_one_call_share_their_relabelings():
    table = np.random.default_rng(3).random((25, 3))
    one, other = list_shift_tests(
        np.stack((table, 2 * table)), rng=np.random.default_rng(0), draws=99
    )
    assert np.allclose(2 * one.snsr.null, other.snsr.null)
    assert np.allclose(one.max_t.null, other.max_t.null)


@pytest.mark.parametrize("labels", [3, 8])
def test_relabelings_are_uniform_orders(labels):
    blocks = relabelings(np.random.default_rng(0), draws=4000, n=5, labels=labels)
    orders = np.concatenate(list(blocks))
    assert orders.shape == (4000, 5, labels)
    assert np.all(np.sort(orders, axis=2) == np.arange(labels))
    for label in range(labels):
        shares = (orders == label).mean(axis=(0, 1))
        assert shares == pytest.approx(1 / labels, abs=0.015)


def test_the_number_of_tables_does_not_change_a_relabeling():
    table = np.random.default_rng(3).random((300, 4))
    alone = run(table, rng=np.random.default_rng(0), draws=999)
    both = list_shift_tests(np.stack((table, table)), rng=np.random.default_rng(0), draws=999)
    assert np.array_equal(alone.snsr.null, both[1].snsr.null)
