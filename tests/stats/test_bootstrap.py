from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.stats.bootstrap import bootstrap_mean, bootstrap_ratio, paired_difference, resample
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
    estimate, law = bootstrap_mean(np.zeros(n), rng=rng(), bounded_rate=True, **WORDS)
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    exact = 1 - 0.025 ** (1 / n)
    assert exact - 1e-12 <= estimate.high <= exact + 0.02 * (1 - exact) + 0.01
    for confidence in (0.8, 0.95, 0.99):
        bound = one_sided_bounds(law, estimate, confidence)
        assert bound.upper >= clopper_pearson(0, n, confidence, side="upper").high - 1e-12
        assert bound.lower == 0.0


def test_a_rate_of_one_is_the_mirror_of_a_rate_of_zero():
    zero = bootstrap_mean(np.zeros(30), rng=rng(), bounded_rate=True, **WORDS)
    one = bootstrap_mean(np.ones(30), rng=rng(), bounded_rate=True, **WORDS)
    assert one.estimate.high == 1.0
    assert one.estimate.low == pytest.approx(1 - zero.estimate.high)
    assert np.asarray(one.law.q) == pytest.approx(1 - np.asarray(zero.law.q)[::-1])


def test_few_units_widen_only_the_far_end():
    values = np.r_[np.full(4, 0.1), np.zeros(96)]
    plain = bootstrap_mean(values, rng=rng(), **WORDS)
    widened = bootstrap_mean(values, rng=rng(), bounded_rate=True, **WORDS)
    assert widened.estimate.low == plain.estimate.low
    assert widened.estimate.high >= clopper_pearson(4, 100).high > plain.estimate.high
    assert widened.law.q[:100] == plain.law.q[:100]


def test_the_skewed_tail_reaches_as_far_as_clopper_pearson_on_effective_rows():
    values = np.r_[np.full(20, 0.5), np.zeros(80)]
    plain = bootstrap_mean(values, rng=rng(), **WORDS)
    widened = bootstrap_mean(values, rng=rng(), bounded_rate=True, **WORDS)
    mirrored = bootstrap_mean(1 - values, rng=rng(), bounded_rate=True, **WORDS)
    n_eff = 0.1 * 0.9 / (values.var(ddof=1) / 100) * (1.95996 / 1.98422) ** 2
    assert widened.estimate.high >= clopper_pearson(0.1 * n_eff, n_eff).high > plain.estimate.high
    assert widened.estimate.low == plain.estimate.low
    assert mirrored.estimate.low == pytest.approx(1 - widened.estimate.high)


@given(share=st.floats(0, 1), n=st.integers(1, 40), one=st.floats(0, 1))
def test_no_bound_of_any_rates_is_nan(share, n, one):
    for values in (np.full(n, share), np.r_[np.full(n, share), one]):
        estimate, law = bootstrap_mean(values, rng=rng(), draws=50, bounded_rate=True, **WORDS)
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert np.all(np.diff(law.q) >= 0)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.8, 0.95])
def test_a_rate_of_unlike_users_is_covered_as_often_as_the_level_says(share):
    random, covered, repetitions = rng(7), 0, 1000
    for _ in range(repetitions):
        own = random.beta(4 * share, 4 * (1 - share), 100)
        values = random.binomial(10, own) / 10
        estimate = bootstrap_mean(
            values, rng=random, draws=500, bounded_rate=True, **WORDS
        ).estimate
        covered += estimate.low <= share <= estimate.high
    assert covered >= 0.935 * repetitions  # two standard errors below .95


def test_the_gate_cannot_fail_a_rate_of_zero():
    estimate, law = bootstrap_mean(np.zeros(50), rng=rng(), bounded_rate=True, **WORDS)
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
        bootstrap_mean(values, rng=rng(), bounded_rate=True, **WORDS)


def test_a_ratio_weighs_units_by_their_rows():
    estimate = bootstrap_ratio([1, 9], [1, 99], rng=rng(), **WORDS).estimate
    assert estimate.value == 0.1


def test_a_ratio_with_equal_denominators_is_a_mean():
    values = rng().random(40)
    ratio = bootstrap_ratio(10 * values, np.full(40, 10), rng=rng(5), **WORDS)
    mean = bootstrap_mean(values, rng=rng(5), **WORDS)
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
    estimate, law = paired_difference(
        np.ones(50), np.ones(50), rng=rng(), bounded_rate=True, **WORDS
    )
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
    estimate, law = bootstrap_mean(values, rng=rng(), draws=400, bounded_rate=True, **WORDS)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert list(law.q) == sorted(law.q)


def test_rare_faults_are_covered_where_a_plain_bootstrap_fails():
    generator, truth = rng(11), 0.02 * 0.5
    covered = {True: 0, False: 0}
    for _ in range(200):
        values = np.where(generator.random(60) < 0.02, 0.5, 0.0)
        for bounded in covered:
            estimate = bootstrap_mean(
                values, rng=generator, draws=400, bounded_rate=bounded, **WORDS
            ).estimate
            covered[bounded] += estimate.low <= truth <= estimate.high
    assert covered[True] >= 190 > covered[False]
