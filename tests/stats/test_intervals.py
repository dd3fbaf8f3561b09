"""Intervals of a rate against references and their own definitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from auditkit.errors import InvalidArgument
from auditkit.stats.intervals import clopper_pearson, korn_graubard_n_eff, newcombe, wilson


@st.composite
def counts(draw):
    n = draw(st.integers(1, 500))
    return draw(st.integers(0, n)), n


@given(counts(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_clopper_pearson_equals_the_exact_interval_of_scipy(count, level):
    x, n = count
    reference = binomtest(x, n).proportion_ci(level, method="exact")
    assert clopper_pearson(x, n, level) == pytest.approx((reference.low, reference.high), abs=1e-9)


@given(counts(), st.sampled_from([0.9, 0.95]))
def test_one_sided_bounds_equal_scipy(count, level):
    x, n = count
    above = binomtest(x, n, alternative="less").proportion_ci(level, method="exact")
    below = binomtest(x, n, alternative="greater").proportion_ci(level, method="exact")
    assert clopper_pearson(x, n, level, "upper") == pytest.approx((0, above.high), abs=1e-9)
    assert clopper_pearson(x, n, level, "lower") == pytest.approx((below.low, 1), abs=1e-9)


@given(counts(), st.sampled_from([0.8, 0.95]))
def test_wilson_equals_scipy_and_contains_the_rate(count, level):
    x, n = count
    reference = binomtest(x, n).proportion_ci(level, method="wilson")
    interval = wilson(x, n, level)
    assert interval == pytest.approx((reference.low, reference.high), abs=1e-9)
    assert interval.low <= x / n <= interval.high


def test_zero_violations_have_the_closed_form():
    assert clopper_pearson(0, 59, 0.95, "upper").high == pytest.approx(1 - 0.05 ** (1 / 59))
    assert clopper_pearson(59, 59, 0.95, "lower").low == pytest.approx(0.05 ** (1 / 59))


def test_effective_counts_need_not_be_whole():
    high = clopper_pearson(1.5, 40.25, 0.95, "upper").high
    assert high == pytest.approx(beta.ppf(0.95, 2.5, 38.75))


@pytest.mark.parametrize(
    ("x", "n", "level"), [(0, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1)]
)
def test_impossible_counts_are_refused(x, n, level):
    for interval in (wilson, clopper_pearson):
        with pytest.raises(InvalidArgument, match=f"x={x}, n={n}"):
            interval(x, n, level)


def test_identical_rows_of_a_unit_count_once():
    values = [1] * 10 + [0] * 10 + [1] * 10 + [0] * 10
    units = [unit for unit in "abcd" for _ in range(10)]
    # between-unit variance of four units that are all 0 or all 1: n_eff = G - 1 here, by hand
    assert korn_graubard_n_eff(values, units) == pytest.approx(3)


def test_one_row_per_unit_keeps_nearly_every_row():
    values = [1, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert korn_graubard_n_eff(values, range(10)) == pytest.approx(9)  # the factor G / (G - 1)


def test_a_constant_rate_counts_units():
    assert korn_graubard_n_eff([0, 0, 0, 0], ["a", "a", "b", "b"]) == 2


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=60))
def test_the_effective_size_never_exceeds_the_rows(rows):
    values, units = [v for v, _ in rows], [u for _, u in rows]
    if len(set(units)) > 1:
        assert 0 < korn_graubard_n_eff(values, units) <= len(rows)


@pytest.mark.parametrize(("values", "units"), [([], []), ([1, 0], ["a"]), ([1, 0], ["a", "a"])])
def test_rows_that_tell_nothing_about_the_spread_are_refused(values, units):
    with pytest.raises(InvalidArgument):
        korn_graubard_n_eff(values, units)


def test_newcombe_by_the_papers_example():
    # Newcombe 1998, table II, method 10: 56/70 - 48/80 is .2 with .0524 to .3339.
    found = newcombe(56, 70, 48, 80)
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)


@given(n1=st.integers(1, 40), n2=st.integers(1, 40), data=st.data())
def test_newcombe_contains_the_difference_and_is_antisymmetric(n1, n2, data):
    x1, x2 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    found, swapped = newcombe(x1, n1, x2, n2), newcombe(x2, n2, x1, n1)
    assert -1 <= found.low <= x1 / n1 - x2 / n2 <= found.high <= 1
    assert (found.low, found.high) == pytest.approx((-swapped.high, -swapped.low))
