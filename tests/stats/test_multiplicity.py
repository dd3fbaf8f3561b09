"""Adjusted p-values against worked examples and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.stats.multiplicity import benjamini_hochberg, holm, westfall_young
from auditkit.stats.relabeling import Tested

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_nothing_to_adjust_is_nothing():
    assert holm([]) == []


@given(p_lists)
def test_adjusted_values_keep_the_order_and_never_shrink(p_values):
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    ranked = [a for _, a in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)


@given(p_lists, st.randoms())
def test_the_order_of_the_decisions_does_not_matter(p_values, random):
    order = list(range(len(p_values)))
    random.shuffle(order)
    shuffled = holm([p_values[i] for i in order])
    assert [holm(p_values)[i] for i in order] == shuffled


# --- Westfall-Young


def normal_tests(seed, m, *, shared=0.0, effect=0.0, draws=499):
    """m statistics with joint null draws; `shared` is the variance that they have in common."""
    generator = np.random.default_rng(seed)
    common = generator.standard_normal((draws + 1, 1))
    values = np.sqrt(shared) * common + np.sqrt(1 - shared) * generator.standard_normal(
        (draws + 1, m)
    )
    values[0, 0] += effect
    return {j: Tested(float(values[0, j]), values[1:, j]) for j in range(m)}


def test_westfall_young_by_hand():
    null = np.array([0.0, 0.0, 1.0, -1.0])
    adjusted = westfall_young({"a": Tested(3.0, null), "b": Tested(0.0, null)})
    assert adjusted["a"] == 1 / 5
    # b alone: 0 is reached by three of four draws, whose maximum behind it is its own
    assert adjusted["b"] == 4 / 5


def test_one_test_keeps_its_p_value():
    (key,) = tests = normal_tests(1, 1)
    assert westfall_young(tests)[key] == tests[key].p


def test_the_unit_of_a_statistic_does_not_matter():
    tests = normal_tests(2, 4, effect=3.0)
    scaled = {k: Tested(1000 * t.statistic, 1000 * t.null) for k, t in tests.items()}
    assert westfall_young(scaled) == westfall_young(tests)


@given(st.integers(0, 500), st.integers(1, 8), st.floats(0, 0.99))
def test_adjusted_p_values_are_no_smaller_and_keep_the_order(seed, m, shared):
    tests = normal_tests(seed, m, shared=shared, draws=99)
    adjusted = westfall_young(tests)
    standard = {
        k: (t.statistic - np.append(t.null, t.statistic).mean())
        / np.append(t.null, t.statistic).std()
        for k, t in tests.items()
    }
    in_order = [adjusted[k] for k in sorted(standard, key=lambda k: -standard[k])]
    assert in_order == sorted(in_order)
    assert all(test.p - 1e-9 <= adjusted[key] <= 1 for key, test in tests.items())


def test_a_test_that_relabeling_cannot_move_gets_one():
    tests = {"flat": Tested(0.5, np.full(99, 0.5)), **normal_tests(3, 2, draws=99)}
    assert westfall_young(tests)["flat"] == 1.0


def test_dependence_is_used():
    alike = normal_tests(4, 24, shared=0.98, effect=2.6)
    apart = normal_tests(4, 24, shared=0.0, effect=2.6)
    assert westfall_young(alike)[0] < westfall_young(apart)[0]


def test_family_wise_error_is_five_percent():
    alarms = sum(
        min(westfall_young(normal_tests(s, 12, draws=199)).values()) <= 0.05 for s in range(600)
    )
    assert alarms / 600 <= 0.07


def test_different_numbers_of_draws_are_an_error():
    with pytest.raises(InvalidArgument):
        westfall_young({"a": Tested(0.0, np.zeros(9)), "b": Tested(0.0, np.zeros(10))})


def test_benjamini_hochberg_by_hand():
    found = benjamini_hochberg([0.01, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(found, [0.04, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5])
    assert benjamini_hochberg([]) == []


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_benjamini_hochberg_equals_that_of_scipy(p_values):
    expected = stats.false_discovery_control(p_values)
    np.testing.assert_allclose(benjamini_hochberg(p_values), expected, rtol=0, atol=1e-12)
