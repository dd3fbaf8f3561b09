from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.stats.bootstrap import (
    bootstrap_mean,
    bootstrap_ratio,
    bootstrap_statistic,
    paired_difference,
    resample,
)
from auditkit.stats.bounds import one_sided_bounds, p_fail
from auditkit.stats.intervals import clopper_pearson

WORDS = {"unit": "fraction of items", "direction": "lower"}


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_law_has_201_ascending_quantiles_around_the_mean():
    estimate, law = bootstrap_mean(rng().normal(size=200), rng=rng(), **WORDS)
    assert len(law.q) == 201
    assert list(law.q) == sorted(law.q)
    assert law.q[0] < estimate.low < estimate.value < estimate.high < law.q[200]
    assert law.draws == 10_000


def test_interval_has_the_width_of_the_normal_theory():
    values = rng().normal(size=400)
    estimate = bootstrap_mean(values, rng=rng(1), **WORDS).estimate
    expected = 2 * 1.96 * values.std() / 20
    assert estimate.high - estimate.low == pytest.approx(expected, rel=0.05)


def test_equal_seeds_give_equal_results():
    values = rng().random(50)
    assert bootstrap_mean(values, rng=rng(3), **WORDS) == bootstrap_mean(
        values, rng=rng(3), **WORDS
    )


@pytest.mark.parametrize("n", [1, 2, 20, 100])
def test_an_all_zero_rate_is_bounded_by_clopper_pearson(n):
    estimate, law = bootstrap_mean(np.zeros(n), rng=rng(), limits=(0, 1), **WORDS)
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    exact = 1 - 0.025 ** (1 / n)
    assert exact - 1e-12 <= estimate.high <= exact + 0.02 * (1 - exact) + 0.01
    for confidence in (0.8, 0.95, 0.99):
        bound = one_sided_bounds(law, estimate, confidence)
        assert bound.upper >= clopper_pearson(0, n, confidence, side="upper").high - 1e-12
        assert bound.lower == 0.0


def test_a_rate_of_one_is_the_mirror_of_a_rate_of_zero():
    zero = bootstrap_mean(np.zeros(30), rng=rng(), limits=(0, 1), **WORDS)
    one = bootstrap_mean(np.ones(30), rng=rng(), limits=(0, 1), **WORDS)
    assert one.estimate.high == 1.0
    assert one.estimate.low == pytest.approx(1 - zero.estimate.high)
    assert np.asarray(one.law.q) == pytest.approx(1 - np.asarray(zero.law.q)[::-1])


@pytest.mark.parametrize("ones", [1, 4, 30, 59])
def test_a_rate_of_hits_is_bounded_by_clopper_pearson(ones):
    values = np.repeat([1.0, 0.0], [ones, 60 - ones])
    estimate = bootstrap_mean(values, rng=rng(), draws=100_000, limits=(0, 1), **WORDS).estimate
    expected = clopper_pearson(ones, 60)
    assert (estimate.low, estimate.high) == pytest.approx(expected, abs=4e-3)


@pytest.mark.parametrize("value", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 10, 60, 300])
def test_equal_values_have_the_width_of_a_rate(value, n):
    """Up to 1 - alpha^(1/n) of all units may have other values and not have been drawn."""
    estimate = bootstrap_mean(np.full(n, value), rng=rng(), limits=(0, 1), **WORDS).estimate
    unseen = 1 - 0.025 ** (1 / n)
    assert estimate.low == pytest.approx(value * (1 - unseen), abs=0.01 * unseen)
    assert estimate.high == pytest.approx(value + (1 - value) * unseen, abs=0.01 * unseen)


def test_other_limits_shift_and_scale_the_bounds():
    values = rng().random(30)
    unit = bootstrap_mean(values, rng=rng(), limits=(0, 1), **WORDS).estimate
    stars = bootstrap_mean(1 + 4 * values, rng=rng(), limits=(1, 5), **WORDS).estimate
    assert (stars.low, stars.high) == pytest.approx((1 + 4 * unit.low, 1 + 4 * unit.high))


@pytest.mark.parametrize("n_others", [0, 1, 4])
def test_repeated_values_without_limits_have_no_interval(n_others):
    values = np.r_[np.full(60, 3.5), np.arange(n_others)]
    estimate, law = bootstrap_mean(values, rng=rng(), **WORDS)
    assert estimate.value == pytest.approx(values.mean())
    assert (estimate.low, estimate.high) == (None, None)
    assert "differ from the most common value" in estimate.reason
    assert law.kind == "band"


def test_no_other_statistic_is_certain():
    ones = np.ones(40)
    same = lambda rows: ones[rows].mean(axis=1)  # noqa: E731
    bounded = bootstrap_statistic(40, same, rng=rng(), limits=(0, 1), **WORDS).estimate
    assert bounded.low == pytest.approx(0.025 ** (1 / 40), abs=2e-3)
    assert bootstrap_statistic(40, same, rng=rng(), **WORDS).estimate.low is None
    assert bootstrap_ratio(2 * ones, ones, rng=rng(), **WORDS).estimate.low is None
    assert paired_difference(ones, 2 * ones, rng=rng(), **WORDS).estimate.low is None
    all_flip = paired_difference(0 * ones, ones, rng=rng(), limits=(0, 1), **WORDS).estimate
    assert all_flip.low == pytest.approx(1 - 2 * (1 - 0.025 ** (1 / 40)), abs=4e-3)
    assert all_flip.high == 1.0


@given(share=st.floats(0, 1), n=st.integers(1, 40), one=st.floats(0, 1))
def test_no_bound_of_any_rates_is_nan(share, n, one):
    for values in (np.full(n, share), np.r_[np.full(n, share), one]):
        estimate, law = bootstrap_mean(values, rng=rng(), draws=50, limits=(0, 1), **WORDS)
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert np.all(np.diff(law.q) >= 0)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.8, 0.95])
def test_a_rate_of_unlike_users_is_covered_as_often_as_the_level_says(share):
    random, covered, repetitions = rng(7), 0, 1000
    for _ in range(repetitions):
        own = random.beta(4 * share, 4 * (1 - share), 100)
        values = random.binomial(10, own) / 10
        estimate = bootstrap_mean(values, rng=random, draws=500, limits=(0, 1), **WORDS).estimate
        covered += estimate.low <= share <= estimate.high
    assert covered >= 0.935 * repetitions  # two standard errors below .95


def test_the_gate_cannot_fail_a_rate_of_zero():
    estimate, law = bootstrap_mean(np.zeros(50), rng=rng(), limits=(0, 1), **WORDS)
    assert p_fail(law, estimate, 0.01, "max") > 0.3


@pytest.mark.parametrize(("n", "why"), [(0, "no unit"), (1, "one unit")])
def test_too_few_units_are_undefined_with_a_reason(n, why):
    estimate, law = bootstrap_mean(np.ones(n), rng=rng(), n_missing=7, **WORDS)
    assert (estimate.status, estimate.n, estimate.n_missing) == ("undefined", n, 7)
    assert why in estimate.reason
    assert law.q == ()


@pytest.mark.parametrize("values", [[0.1, float("nan")], [0.5, 1.5]])
def test_a_value_that_is_no_rate_is_an_error(values):
    with pytest.raises(InvalidArgument):
        bootstrap_mean(values, rng=rng(), limits=(0, 1), **WORDS)


def test_a_ratio_weighs_units_by_their_rows():
    estimate = bootstrap_ratio([1, 9], [1, 99], rng=rng(), **WORDS).estimate
    assert estimate.value == 0.1


def test_a_ratio_with_equal_denominators_is_a_mean():
    values = rng().random(40)
    ratio = bootstrap_ratio(10 * values, np.full(40, 10), rng=rng(5), **WORDS)
    mean = paired_difference(np.zeros(40), values, rng=rng(5), **WORDS)
    assert np.asarray(ratio.law.q) == pytest.approx(np.asarray(mean.law.q))


def test_a_ratio_over_nothing_is_undefined():
    assert bootstrap_ratio([0, 0], [0, 0], rng=rng(), **WORDS).estimate.status == "undefined"
    assert bootstrap_ratio([], [], rng=rng(), **WORDS).estimate.reason == "no unit could be scored"


def test_a_paired_difference_is_narrower_than_its_parts():
    user = rng().normal(size=100)
    shift = rng(1).normal(0.2, 0.1, size=100)
    difference = paired_difference(user, user + shift, rng=rng(2), **WORDS).estimate
    assert difference.value == pytest.approx(shift.mean())
    assert 0.15 < difference.low < difference.high < 0.25


def test_no_difference_at_all_is_not_certain():
    estimate, law = paired_difference(np.ones(50), np.ones(50), rng=rng(), limits=(0, 1), **WORDS)
    assert estimate.value == 0.0
    assert -estimate.low == estimate.high >= 1 - 0.025 ** (1 / 50) - 1e-12
    assert list(law.q) == sorted(law.q)


def test_pairs_of_unequal_length_are_an_error():
    with pytest.raises(InvalidArgument, match="2 and 1"):
        paired_difference([1, 2], [1], rng=rng(), **WORDS)


def test_blocks_do_not_change_the_number_of_draws():
    assert resample(3_000_000, 3, rng(), lambda rows: rows.mean(axis=1)).shape == (3,)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=1, max_size=30))
def test_interval_of_a_rate_contains_it_and_stays_in_range(values):
    estimate, law = bootstrap_mean(values, rng=rng(), draws=400, limits=(0, 1), **WORDS)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert list(law.q) == sorted(law.q)
