from __future__ import annotations

import numpy as np
import pytest

from auditkit.errors import InvalidArgument
from auditkit.stats.intervals import clopper_pearson
from auditkit.stats.noise_floor import expected_range, noise_floor
from auditkit.stats.simultaneous import contrast_bounds, share_gap_bounds, snsr_bounds


def rng(seed=0):
    return np.random.default_rng(seed)


def table(generator, n, shifts, sigma=0.07):
    probe = generator.uniform(0.3, 0.7, (n, 1))
    return np.clip(probe + generator.normal(0, sigma, (n, len(shifts))) + np.asarray(shifts), 0, 1)


@pytest.mark.parametrize(
    ("n_values", "d2"), [(2, 1.128), (3, 1.693), (4, 2.059), (6, 2.534), (8, 2.847), (10, 3.078)]
)
def test_expected_range_equals_the_published_constants(n_values, d2):
    assert expected_range(n_values) == pytest.approx(d2, abs=6e-4)


def test_a_range_of_one_value_is_an_error():
    with pytest.raises(InvalidArgument):
        expected_range(1)


def test_noise_floor_predicts_the_snsr_of_a_fair_recommender():
    generator = rng()
    tables = [table(generator, 50, [0] * 4) for _ in range(300)]
    observed = [np.ptp(t.mean(axis=0)) for t in tables]
    floors = [noise_floor(t) for t in tables]
    assert np.mean(observed) == pytest.approx(np.mean([f.expected_snsr for f in floors]), abs=0.001)
    exceeded = np.mean([o > f.snsr_95 for o, f in zip(observed, floors, strict=True)])
    assert 0.02 <= exceeded <= 0.08


def test_noise_free_tables_have_no_floor():
    exact = np.arange(5)[:, None] / 10 + np.array([0, 0.1, 0.3])
    floor = noise_floor(exact)
    assert floor.sigma == pytest.approx(0, abs=1e-12)
    assert floor.snsv_corrected == pytest.approx(np.std([0, 0.1, 0.3]))


def test_all_lists_equal_is_bounded_and_never_zero():
    result = snsr_bounds(np.ones((100, 4)), rng=rng())
    assert result.value == 0.0
    assert result.bounds == (0.0, pytest.approx(1 - 0.05 ** (1 / 100)))
    assert result.n_sparse_pairs == 6


def test_sparse_and_ordinary_pairs_share_the_error():
    values = table(rng(), 60, [0, 0.1])
    matrix = np.column_stack((values, values[:, 1]))
    matrix[:2, 2] = 0.0
    result = snsr_bounds(matrix, rng=rng())
    assert result.n_sparse_pairs == 1
    assert result.bounds.high >= clopper_pearson(2, 60, 0.975, side="upper").high
    assert result.bounds.low > 0


def test_a_pilot_has_no_bounds():
    result = snsr_bounds(table(rng(), 19, [0, 0]), rng=rng())
    assert (result.pilot, result.bounds, result.of_standard_deviation(2)) == (True, None, None)


def test_bounds_of_two_values_halve_for_the_standard_deviation():
    result = snsr_bounds(table(rng(), 50, [0, 0.2]), rng=rng())
    assert result.of_standard_deviation(2) == pytest.approx(
        (result.bounds.low / 2, result.bounds.high / 2)
    )


@pytest.mark.parametrize("shifts", [[0, 0, 0, 0], [0, 0, 0, 0.05], [0, 0.03, 0.06, 0.09]])
def test_snsr_bounds_cover_the_truth(shifts):
    generator = rng(4)
    truth, covered = np.ptp(shifts), 0
    for _ in range(200):
        bounds = snsr_bounds(table(generator, 50, shifts), rng=generator, draws=400).bounds
        covered += bounds.low <= truth <= bounds.high
    assert covered / 200 >= 0.93


def test_snsr_bounds_cover_the_truth_of_rare_disturbances():
    generator, covered = rng(5), 0
    for _ in range(200):
        matrix = np.ones((50, 3))
        matrix[generator.random(50) < 0.04, 2] = 0.0
        bounds = snsr_bounds(matrix, rng=generator, draws=200).bounds
        covered += bounds.low <= 0.04 <= bounds.high
    assert covered / 200 >= 0.94


def test_a_difference_that_never_changes_keeps_a_width():
    always = np.tile([1.0, 0.7], (100, 1))
    farthest = 1.3 * (1 - 0.05 ** (1 / 100))
    assert snsr_bounds(always, rng=rng()).bounds == pytest.approx((0.3 - farthest, 0.3 + farthest))
    crossed = contrast_bounds(np.full((100, 1), -0.3), rng=rng()).bounds
    assert crossed == pytest.approx((0.3 - farthest, 0.3 + farthest))


def test_bounds_cover_a_difference_that_rarely_changes():
    generator, covered = rng(6), 0
    for _ in range(200):
        matrix = np.tile([1.0, 0.9, 0.7], (50, 1))
        matrix[generator.random(50) < 0.02, 2] = 0.0
        bounds = snsr_bounds(matrix, rng=generator, draws=200).bounds
        covered += bounds.low <= 0.3 + 0.02 * 0.7 <= bounds.high
    assert covered / 200 >= 0.94


@pytest.mark.parametrize("bad", [np.zeros((1, 2)), np.zeros((5, 1)), np.full((30, 2), 1.5)])
def test_a_table_that_holds_no_similarities_is_an_error(bad):
    with pytest.raises(InvalidArgument):
        snsr_bounds(bad, rng=rng())


@pytest.mark.parametrize("shift", [0.0, 0.08])
def test_bounds_over_many_rare_columns_cover_the_largest_gap_and_stay_finite(shift):
    generator, covered, widths = rng(8), 0, []
    for _ in range(150):
        shares = (generator.random((100, 4, 18)) < 0.04) * generator.choice([0.05, 0.1], 1)
        shares[:, 2, 0] = np.where(generator.random(100) < 0.8, shift, 0)
        truth = max(abs(0.8 * shift - 0.04 * 0.075), 0.0) if shift else 0.0
        bounds = share_gap_bounds(shares, rng=generator, draws=300).bounds
        covered += bounds.low - 0.001 <= truth <= bounds.high
        widths.append(bounds.high)
    assert covered / 150 >= 0.94
    assert max(widths) < 0.3
