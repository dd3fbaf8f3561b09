from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from auditkit.errors import InvalidArgument
from auditkit.metrics.exposure import coverage, gini
from auditkit.stats.exposure_bounds import concentration, disparity_bounds

UNITS = {"unit": "points", "direction": "lower"}


def rng(seed=0):
    return np.random.default_rng(seed)


def same_taste(generator, n=200, n_groups=6):
    """Lists and histories of users drawn from each user's own taste, so every true GU is 0."""
    tastes = generator.dirichlet(generator.dirichlet(np.full(n_groups, 2)) * 20, size=n)
    shown = np.array([generator.multinomial(10, taste) for taste in tastes])
    lengths = generator.integers(10, 60, size=n)
    history = [generator.multinomial(m, t) for m, t in zip(lengths, tastes, strict=True)]
    return shown, np.array(history)


def test_disparity_by_hand():
    shown, history = [[1.0, 1.0], [3.0, 3.0]], [[1.0, 3.0], [2.0, 6.0]]
    found = disparity_bounds(shown, history, rng=rng(), draws=99)
    assert found.utility.tolist() == [0.25, -0.25]
    assert (found.mgu, found.dgu) == (0.25, 0.5)
    assert found.dgu_bounds == (0.5, 0.5)  # all users agree


def test_bounds_contain_zero_where_lists_follow_the_taste():
    generator, contained, missed = rng(4), 0, 0
    for _ in range(150):
        shown, history = same_taste(generator)
        found = disparity_bounds(shown, history, rng=generator, draws=400)
        contained += found.dgu_bounds.low <= 0
        missed += found.mgu_bounds.low > 0
    assert contained / 150 >= 0.92
    assert missed / 150 <= 0.08


def test_bounds_find_a_group_that_is_left_out():
    shown, history = same_taste(rng(5))
    shown[:, 0] = 0
    found = disparity_bounds(shown, history, rng=rng(), draws=400)
    share = history[:, 0].sum() / history.sum()
    assert found.dgu_bounds.low > share / 2
    assert found.bounds[0, 1] < 0
    assert 0 < found.mgu_bounds.low <= found.mgu <= found.mgu_bounds.high


def test_bounds_of_many_groups_need_no_pairs_and_are_not_narrower():
    shown, history = same_taste(rng(6), n_groups=41)
    found = disparity_bounds(shown, history, rng=rng(), draws=400)
    fewer = disparity_bounds(shown[:, :40], history[:, :40], rng=rng(), draws=400)
    assert found.dgu_bounds.low <= found.dgu <= found.dgu_bounds.high
    assert found.dgu_bounds.high - found.dgu >= fewer.dgu_bounds.high - fewer.dgu


def test_nothing_shown_has_no_disparity():
    assert disparity_bounds(np.zeros((3, 2)), np.ones((3, 2)), rng=rng()) is None
    assert disparity_bounds(np.ones((3, 1)), np.ones((3, 1)), rng=rng()) is None


def test_arrays_of_unequal_shape_are_an_error():
    with pytest.raises(InvalidArgument):
        disparity_bounds(np.ones((3, 2)), np.ones((2, 2)), rng=rng())


def test_concentration_resamples_whole_users():
    exposure = sparse.csr_array(np.eye(30)[np.repeat(np.arange(10), 10)])
    estimate, _ = concentration(exposure, coverage, rng=rng(), draws=200, **UNITS)
    assert (estimate.value, estimate.n) == (pytest.approx(1 / 3), 100)
    assert estimate.low <= estimate.value <= estimate.high
    same = sparse.csr_array(np.tile([1.0, 0.0, 2.0], (40, 1)))
    estimate, _ = concentration(same, gini, rng=rng(), draws=200, **UNITS)
    assert estimate.low == pytest.approx(estimate.high) == pytest.approx(gini([1, 0, 2]))


def test_concentration_of_nothing_is_undefined():
    empty = sparse.csr_array(np.zeros((5, 3)))
    estimate, _ = concentration(empty, gini, rng=rng(), draws=20, n_missing=2, **UNITS)
    assert (estimate.value, estimate.n_missing) == (None, 2)
    assert estimate.reason == "no item of the catalog was shown"
