from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.stats.group_bounds import group_gap_bounds
from auditkit.stats.intervals import clopper_pearson


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("rates", [(0.3, 0.3, 0.3), (0.15, 0.3, 0.5), (0.04, 0.04, 0.25)])
def test_group_gap_bounds_cover_the_truth(rates):
    generator = rng(6)
    groups = np.repeat([0, 1, 2], [150, 60, 90])
    truth, covered = max(rates) - min(rates), 0
    for _ in range(200):
        hits = (generator.random(300) < np.asarray(rates)[groups]).astype(float)
        bounds = group_gap_bounds(hits, groups, rng=generator, draws=300).bounds
        covered += bounds.low <= truth <= bounds.high
    assert covered / 200 >= 0.93


def test_two_groups_have_about_the_interval_of_welch():
    generator = rng(7)
    values = np.r_[generator.beta(2, 5, 200), generator.beta(3, 4, 150)]
    result = group_gap_bounds(values, np.repeat([0, 1], [200, 150]), rng=generator)
    welch = stats.ttest_ind(values[200:], values[:200], equal_var=False).confidence_interval()
    assert result.bounds == pytest.approx((welch.low, welch.high), abs=0.01)


def test_groups_without_any_hit_are_bounded_exactly():
    result = group_gap_bounds(np.zeros(200), np.repeat([0, 1], 100), rng=rng())
    expected = clopper_pearson(0, 100, 0.975, side="upper").high
    assert result.bounds == (0.0, pytest.approx(expected))


def test_a_small_group_makes_a_pilot():
    assert group_gap_bounds(np.ones(40), np.repeat([0, 1], [21, 19]), rng=rng()).pilot


@pytest.mark.parametrize(
    ("values", "groups"),
    [([0.1, 0.2], [0, 0]), ([0.1, 0.2], [0, 2]), ([0.1, 2.0], [0, 1]), ([], [])],
)
def test_groups_that_cannot_be_compared_are_an_error(values, groups):
    with pytest.raises(InvalidArgument):
        group_gap_bounds(values, groups, rng=rng())


def test_groups_that_always_hit_are_bounded_like_groups_that_never_do():
    groups = np.repeat([0, 1], 40)
    never, always = (group_gap_bounds(np.full(80, end), groups, rng=rng()) for end in (0.0, 1.0))
    assert always.bounds == pytest.approx(never.bounds)
    assert always.bounds == (0.0, pytest.approx(1 - 0.025 ** (1 / 40)))


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_one_user_away_from_the_others_does_not_widen_the_bounds_to_everything(end):
    values = np.full(80, end)
    values[0] = 1 - end
    bounds = group_gap_bounds(values, np.repeat([0, 1], 40), rng=rng()).bounds
    expected = clopper_pearson(1, 40, 0.975, side="upper").high
    assert bounds == (0.0, pytest.approx(expected, rel=0.03))


def test_a_group_of_equal_values_is_not_certain():
    """Ten per cent of such a group may have the value 0 or 1 and not have been drawn."""
    values = np.r_[np.full(40, 0.5), rng().uniform(0.4, 0.6, 40)]
    bounds = group_gap_bounds(values, np.repeat([0, 1], 40), rng=rng()).bounds
    assert bounds.low == 0.0
    assert bounds.high >= 0.5 * (1 - 0.05 ** (1 / 40))


def test_a_group_that_never_hits_beside_one_that_mostly_does_is_a_gap():
    values = np.r_[np.zeros(40), np.ones(60), np.zeros(40)]
    bounds = group_gap_bounds(values, np.repeat([0, 1], [40, 100]), rng=rng()).bounds
    assert 0.4 < bounds.low < 0.6 < bounds.high < 0.75


@pytest.mark.parametrize("rates", [(0.97, 0.97, 0.97), (0.98, 0.9, 0.85), (0.03, 0.5, 0.97)])
def test_bounds_cover_the_truth_near_either_end(rates):
    generator, covered = rng(8), 0
    groups, truth = np.repeat([0, 1, 2], [30, 60, 40]), max(rates) - min(rates)
    for _ in range(200):
        hits = (generator.random(130) < np.asarray(rates)[groups]).astype(float)
        bounds = group_gap_bounds(hits, groups, rng=generator, draws=300).bounds
        covered += bounds.low <= truth <= bounds.high
    assert covered / 200 >= 0.94


def test_lengths_that_differ_are_an_error():
    with pytest.raises(InvalidArgument, match="80 values and 79 groups"):
        group_gap_bounds(np.ones(80), np.repeat([0, 1], [40, 39]), rng=rng())
