from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.stats.interaction import interaction_test
from auditkit.stats.placebo import placebo_contrast


def rng(seed=0):
    return np.random.default_rng(seed)


def tables(n=5, n_values=3):
    return rng(1).random((n, n_values)), rng(2).random((n, n_values))


def test_p_values_equal_full_enumeration():
    own, other = tables()

    def statistics(swapped):
        left = np.where(np.array(swapped)[:, None], other, own)
        right = np.where(np.array(swapped)[:, None], own, other)
        shift = right.mean() - left.mean()
        return shift, np.ptp(left.mean(axis=0)) - np.ptp(right.mean(axis=0))

    observed = statistics([False] * 5)
    every = np.array([statistics(s) for s in itertools.product([False, True], repeat=5)])
    exact = (every >= np.array(observed) - 1e-12).mean(axis=0)
    contrast = placebo_contrast(own, other, rng=rng(), draws=20_000)
    assert (contrast.shift.statistic, contrast.snsr.statistic) == pytest.approx(observed)
    assert (contrast.shift.p, contrast.snsr.p) == pytest.approx(exact, abs=0.012)


def test_interval_is_the_paired_t_interval_of_scipy():
    own, other = tables(n=30)
    expected = stats.ttest_rel(other.mean(axis=1), own.mean(axis=1)).confidence_interval()
    assert placebo_contrast(own, other, rng=rng(), draws=9).interval == pytest.approx(
        (expected.low, expected.high)
    )


def test_an_attribute_that_does_more_than_a_placebo_is_found_and_the_reverse_is_not():
    own, other = 0.3 + 0.05 * rng(1).random((40, 3)), 0.6 + 0.05 * rng(2).random((40, 3))
    assert placebo_contrast(own, other, rng=rng(), draws=999).shift.p == 0.001
    assert placebo_contrast(other, own, rng=rng(), draws=999).shift.p == 1.0


def test_lists_that_differ_more_between_values_than_between_placebos_are_found():
    own, other = tables(n=40)
    between = {"attribute_between": np.full(40, 0.3), "placebo_between": np.full(40, 0.1)}
    contrast = placebo_contrast(own, other, **between, rng=rng(), draws=999)
    assert contrast.between.statistic == pytest.approx(0.2)
    assert contrast.between.p == 0.001
    assert placebo_contrast(own, other, rng=rng(), draws=9).between is None


def test_rare_differences_are_bounded_by_their_share():
    own = np.full((50, 2), 0.5)
    reach = 1 - 0.025 ** (1 / 50)
    equal = placebo_contrast(own, own, rng=rng(), draws=9)
    assert equal.interval == pytest.approx((-reach, reach))
    constant = placebo_contrast(own, own + 0.25, rng=rng(), draws=9)
    assert constant.interval == pytest.approx((0.25 - reach, 0.25 + reach))


@pytest.mark.parametrize("share", [0.04, 0.08, 0.12, 0.3])
def test_upper_end_covers_rare_large_differences(share):
    generator, covered = rng(5), 0
    for _ in range(400):
        own = np.full((100, 2), 0.9)
        own[generator.random(100) < share] = 0.1
        found = placebo_contrast(own, np.full((100, 2), 0.9), rng=generator, draws=9)
        covered += found.interval.high >= 0.8 * share
    assert covered / 400 >= 0.95


def test_tables_with_a_hole_are_an_error():
    hole = np.full((5, 2), 0.5)
    hole[2, 1] = np.nan
    with pytest.raises(InvalidArgument):
        placebo_contrast(np.full((5, 2), 0.5), hole, rng=rng())


def test_tables_of_unequal_size_are_an_error():
    with pytest.raises(InvalidArgument):
        placebo_contrast(np.ones((5, 3)), np.ones((5, 2)), rng=rng())


# --- interactions


def crossed(effect, n=60):
    """Main effects of both attributes, and a cell that is lower by `effect`."""
    cells = rng(3).uniform(0.5, 0.7, (n, 1, 1)) + rng(4).normal(0, 0.02, (n, 2, 3))
    cells += np.array([0.0, 0.1])[:, None] + np.array([0.0, 0.05, 0.1])
    cells[:, 1, 2] -= effect
    return cells


def test_main_effects_are_no_interaction():
    found = interaction_test(crossed(0.0), rng=rng(), draws=999, bootstrap_draws=500)
    assert found.largest_t.p > 0.05
    assert found.bounds.bounds.low == 0.0


def test_an_interaction_is_found_in_its_cell_and_bounded():
    found = interaction_test(crossed(0.12), rng=rng(), draws=999, bootstrap_draws=500)
    assert found.largest_t.p == 0.001
    assert np.abs(found.contrasts).max(axis=0).argmax() == 2
    assert found.contrasts[1, 2] < 0
    # the cell's contrast is effect x (1 - 1/2) x (1 - 1/3)
    assert found.bounds.bounds.low < 0.12 / 3 < found.bounds.bounds.high
    assert found.contrasts.sum() == pytest.approx(0, abs=1e-12)


def test_size_of_the_interaction_test():
    rejected = 0
    for seed in range(300):
        generator = rng(seed)
        cells = generator.uniform(0.4, 0.5, (30, 1, 1)) + generator.normal(0, 0.03, (30, 2, 2))
        tested = interaction_test(cells, rng=generator, draws=199, bootstrap_draws=10)
        rejected += tested.largest_t.p <= 0.05
    assert 0.02 <= rejected / 300 <= 0.085


@pytest.mark.parametrize("effect", [0.25, 0.2])
def test_the_same_interaction_in_every_probe_is_found(effect):
    cells = np.full((30, 2, 2), 0.5)
    cells[:, 1, 1] += effect
    assert interaction_test(cells, rng=rng(), draws=999).largest_t.p <= 0.002


@pytest.mark.parametrize("shape", [(5, 2), (5, 1, 2), (1, 2, 2)])
def test_what_is_not_crossed_is_an_error(shape):
    with pytest.raises(InvalidArgument):
        interaction_test(np.full(shape, 0.5), rng=rng())
