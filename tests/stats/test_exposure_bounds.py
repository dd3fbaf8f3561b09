from __future__ import annotations

import numpy as np
import pytest

from auditkit.errors import InvalidArgument
from auditkit.stats.exposure_bounds import disparity_bounds
from auditkit.stats.intervals import clopper_pearson


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
    assert (found.bounds, found.mgu_bounds, found.dgu_bounds) == (None, None, None)  # a pilot


@pytest.mark.parametrize(("n", "n_groups"), [(30, 18), (60, 18), (200, 6)])
def test_bounds_contain_zero_where_lists_follow_the_taste(n, n_groups):
    generator, contained, missed = rng(4), 0, 0
    for _ in range(200):
        shown, history = same_taste(generator, n=n, n_groups=n_groups)
        found = disparity_bounds(shown, history, rng=generator, draws=400)
        contained += found.dgu_bounds.low <= 0
        missed += found.mgu_bounds.low > 0
    assert contained / 200 >= 0.93
    assert missed / 200 <= 0.07


def test_bounds_of_users_who_all_agree_say_how_many_others_there_may_be():
    shown, history = np.tile([6.0, 4.0, 0.0], (30, 1)), np.tile([5.0, 5.0, 10.0], (30, 1))
    found = disparity_bounds(shown, history, rng=rng(), draws=99)
    others = 1 - 0.05 ** (1 / 30)
    assert found.dgu == pytest.approx(0.85)
    assert found.dgu_bounds == pytest.approx((0.85 - others * 2.85, 0.85 + others * 2.85))
    assert found.bounds[2] == pytest.approx((-0.5 - others * 1.5, -0.5 + others * 1.5))
    assert found.mgu_bounds.low < found.mgu < found.mgu_bounds.high


def test_the_only_user_who_differs_widens_the_bounds_by_what_others_like_it_would():
    shown, history = np.tile([5.0, 5.0], (60, 1)), np.tile([5.0, 5.0], (60, 1))
    shown[0] = [10.0, 0.0]
    found = disparity_bounds(shown, history, rng=rng(), draws=400)
    assert found.dgu == pytest.approx(1 / 60)
    assert found.dgu_bounds.high >= clopper_pearson(1, 60, 0.95, side="upper").high


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


def test_a_group_that_nobody_saw_or_chose_is_left_out():
    shown, history = same_taste(rng(7), n=60)
    without = disparity_bounds(shown, history, rng=rng(), draws=99)
    padded = [np.c_[table[:, :2], np.zeros(60), table[:, 2:]] for table in (shown, history)]
    found = disparity_bounds(*padded, rng=rng(), draws=99)
    assert np.delete(found.bounds, 2, axis=0) == pytest.approx(without.bounds)
    assert found.bounds[2].tolist() == [0, 0]
    assert (found.mgu_bounds, found.dgu_bounds) == (without.mgu_bounds, without.dgu_bounds)


def test_nothing_shown_has_no_disparity():
    assert disparity_bounds(np.zeros((3, 2)), np.ones((3, 2)), rng=rng()) is None
    assert disparity_bounds(np.ones((3, 1)), np.ones((3, 1)), rng=rng()) is None


def test_arrays_of_unequal_shape_are_an_error():
    with pytest.raises(InvalidArgument):
        disparity_bounds(np.ones((3, 2)), np.ones((2, 2)), rng=rng())
