from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from auditkit.metrics.exposure import coverage, gini, hhi
from auditkit.stats.concentration import concentration

UNITS = {"unit": "points", "direction": "lower"}


def rng(seed=0):
    return np.random.default_rng(seed)


def lists(generator, n, n_items=200, power=1.0):
    """Ten different items per user, popular ones more often."""
    liking = generator.gumbel(size=(n, n_items)) - power * np.log(np.arange(1, n_items + 1))
    exposure = np.zeros((n, n_items))
    np.put_along_axis(exposure, np.argsort(-liking, axis=1)[:, :10], 1.0, axis=1)
    return exposure


def test_concentration_resamples_whole_users():
    exposure = sparse.csr_array(np.eye(30)[np.repeat(np.arange(10), 10)])
    estimate, _ = concentration(exposure, coverage, rng=rng(), draws=200, **UNITS)
    assert (estimate.value, estimate.n) == (pytest.approx(1 / 3), 100)
    assert estimate.low <= estimate.value <= estimate.high
    same = sparse.csr_array(np.tile([1.0, 0.0, 2.0], (40, 1)))
    estimate, _ = concentration(same, gini, rng=rng(), draws=200, **UNITS)
    assert estimate.value == pytest.approx(gini([1, 0, 2]))
    assert estimate.low < estimate.value < estimate.high


def test_concentration_of_nothing_is_undefined():
    empty = sparse.csr_array(np.zeros((5, 3)))
    estimate, _ = concentration(empty, gini, rng=rng(), draws=20, n_missing=2, **UNITS)
    assert (estimate.value, estimate.n_missing) == (None, 2)
    assert estimate.reason == "no item of the catalog was shown"


def test_intervals_reach_to_both_sides_of_the_estimate():
    for statistic in (gini, hhi, coverage):
        exposure = sparse.csr_array(lists(rng(1), 60))
        estimate, law = concentration(exposure, statistic, rng=rng(), draws=200, **UNITS)
        below, above = estimate.value - estimate.low, estimate.high - estimate.value
        assert 0.3 < below / above < 3
        assert 0 <= law.q[0] <= law.q[100] <= law.q[-1] <= 1


@pytest.mark.parametrize("statistic", [gini, hhi, coverage])
@pytest.mark.parametrize("power", [0.3, 1.0])
def test_intervals_cover_what_is_expected_of_as_many_lists(statistic, power):
    generator, n = rng(2), 40
    truth = np.mean([statistic(lists(generator, n, power=power).sum(axis=0)) for _ in range(300)])
    covered = 0
    for _ in range(100):
        exposure = sparse.csr_array(lists(generator, n, power=power))
        estimate, _ = concentration(exposure, statistic, rng=generator, draws=150, **UNITS)
        covered += estimate.low <= truth <= estimate.high
    assert covered / 100 >= 0.91


def test_one_user_has_no_interval():
    estimate, _ = concentration(sparse.csr_array(np.ones((1, 3))), gini, rng=rng(), **UNITS)
    assert estimate.reason == "one user says nothing about the spread between users"


def test_equal_lists_prove_nothing_about_lists_that_were_not_seen():
    """A share of 0 among 300 users has the bound of the rule of three, not [0, 0]."""
    exposure = sparse.csr_array(np.tile([1.0, 1.0, 0.0, 0.0], (300, 1)))
    tail = lambda amounts: float(amounts[2:].sum() / amounts.sum())  # noqa: E731
    estimate, _ = concentration(exposure, tail, rng=rng(), draws=50, **UNITS)
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert estimate.high == pytest.approx(1 - 0.025 ** (1 / 300), rel=0.02)
