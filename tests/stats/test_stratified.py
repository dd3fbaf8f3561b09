from __future__ import annotations

import numpy as np
import pytest

from auditkit.errors import InvalidArgument
from auditkit.stats.group_bounds import group_gap_bounds
from auditkit.stats.max_t import critical_value
from auditkit.stats.stratified import activity_strata, stratified_gap


def fair_users(generator, n=800):
    """Groups differ in activity and activity in hits, but equally active groups are alike."""
    group = generator.integers(0, 4, n)
    strata = activity_strata(generator.poisson(20 + 10 * group) + 5)
    hit = generator.random(n) < np.array([0.1, 0.2, 0.35])[strata]
    return hit / np.log2(generator.integers(0, 10, n) + 2), group, strata


def test_gap_by_hand_weighs_strata_by_their_users():
    # Stratum 0 (60 users): means 1 and 0; stratum 1 (20 users): both 0.5.
    values = [1.0] * 30 + [0.0] * 30 + [0.0, 1.0] * 5 + [1.0, 0.0] * 5
    groups, strata = [0] * 30 + [1] * 30 + [0] * 10 + [1] * 10, [0] * 60 + [1] * 20
    found = stratified_gap(values, groups, strata, rng=np.random.default_rng(0), draws=99)
    assert found.value == pytest.approx(0.75)
    assert (found.p, found.n_incomparable) == (0.01, 0)


def test_strata_with_fewer_than_five_users_of_a_group_do_not_count():
    values = [0.5] * 20 + [0.25] * 20 + [1.0] * 4 + [0.0] * 30
    groups, strata = [0] * 20 + [1] * 20 + [0] * 4 + [1] * 30, [0] * 40 + [1] * 34
    found = stratified_gap(values, groups, strata, rng=np.random.default_rng(0), draws=9)
    assert found.value == pytest.approx(0.25)


def test_groups_that_share_no_stratum_cannot_be_compared():
    values, groups = [0.5] * 60, [0] * 30 + [1] * 30
    assert stratified_gap(values, groups, groups, rng=np.random.default_rng(0), draws=9) is None


def test_terciles_keep_equal_lengths_together():
    strata = activity_strata([5, 5, 5, 7, 7, 9])
    assert strata.tolist() == [0, 0, 0, 1, 1, 2]
    assert activity_strata([3, 3, 3]).tolist() == [0, 0, 0]


def test_bounds_contain_zero_where_only_activity_differs():
    """The raw gap, which activity explains, is found nearly always."""
    generator = np.random.default_rng(2)
    stratified, raw, rejected = 0, 0, 0
    for _ in range(150):
        values, group, strata = fair_users(generator)
        found = stratified_gap(values, group, strata, rng=generator, draws=99, bootstrap_draws=300)
        stratified += found.bounds.low <= 0 <= found.bounds.high
        rejected += found.p <= 0.05
        raw += group_gap_bounds(values, group, rng=generator, draws=200).bounds.low <= 0
    assert stratified / 150 >= 0.94
    assert rejected / 150 <= 0.09
    assert raw / 150 <= 0.2


def test_bounds_cover_a_planted_gap():
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(150):
        group, strata = np.repeat([0, 1], 150), np.tile([0, 1, 2], 100)
        chance = np.array([0.2, 0.3, 0.4])[strata] + 0.15 * group
        hits = (generator.random(300) < chance).astype(float)
        found = stratified_gap(hits, group, strata, rng=generator, draws=9, bootstrap_draws=300)
        covered += found.bounds.low <= 0.15 <= found.bounds.high
    assert covered / 150 >= 0.93


def test_a_group_that_never_hits_has_an_exact_upper_bound():
    groups, strata = np.repeat([0, 1], 60), np.tile([0, 1, 2], 40)
    found = stratified_gap(np.zeros(120), groups, strata, rng=np.random.default_rng(0), draws=9)
    assert (found.value, found.bounds.low, found.p) == (0.0, 0.0, 1.0)
    assert found.bounds.high == pytest.approx(1 - 0.025 ** (1 / 60))


def test_groups_that_always_hit_are_bounded_like_groups_that_never_do():
    groups, strata = np.repeat([0, 1], 60), np.tile([0, 1, 2], 40)
    never, always = (
        stratified_gap(np.full(120, end), groups, strata, rng=np.random.default_rng(0), draws=9)
        for end in (0.0, 1.0)
    )
    assert always.bounds == pytest.approx(never.bounds)
    assert always.bounds.high > 0


def test_a_group_of_equal_values_is_not_certain():
    groups, strata = np.repeat([0, 1], 60), np.tile([0, 1, 2], 40)
    values = np.r_[np.full(60, 0.5), np.random.default_rng(0).uniform(0.2, 0.8, 60)]
    found = stratified_gap(values, groups, strata, rng=np.random.default_rng(0), draws=9)
    assert found.bounds.high - found.bounds.low > 2 * 0.5 * (1 - 0.025 ** (1 / 60))


def test_one_miss_does_not_widen_the_bounds_to_everything():
    groups, strata = np.repeat([0, 1], 60), np.tile([0, 1, 2], 40)
    values = np.r_[0.0, np.ones(119)]
    found = stratified_gap(values, groups, strata, rng=np.random.default_rng(0), draws=9)
    assert found.value <= found.bounds.high < 0.1


@pytest.mark.parametrize(("values", "strata"), [([0.5], [0, 0]), ([1.5, 0], [0, 0])])
def test_users_that_cannot_be_compared_are_an_error(values, strata):
    with pytest.raises(InvalidArgument):
        stratified_gap(values, [0, 1], strata, rng=np.random.default_rng(0))


def test_critical_value_of_one_estimate_is_that_of_a_normal():
    generator = np.random.default_rng(0)
    one = critical_value(generator.normal(size=(20_000, 1)), np.ones(1))
    two = critical_value(generator.normal(size=(20_000, 2)), np.ones(2))
    assert one == pytest.approx(1.96, abs=0.04)
    assert two == pytest.approx(2.24, abs=0.04)  # 1 - .05 of two independent ones


def test_a_resample_without_spread_counts_by_the_usual_error():
    deviations, errors = np.array([[1.0], [4.0]]), np.array([[2.0], [0.0]])
    assert critical_value(deviations, errors, level=0.9) == pytest.approx(4 / np.sqrt(2))


def test_estimates_without_spread_do_not_count():
    deviations = np.array([[1.0, 9.0], [2.0, 9.0]])
    assert critical_value(deviations, np.array([1.0, 0.0]), level=0.9) == 2.0
