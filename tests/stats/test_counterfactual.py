from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.stats.counterfactual import counterfactual_test
from auditkit.stats.noise_floor import expected_range


def run(table, **settings):
    defaults = {"n_permutations": 199, "n_bootstrap": 200} | settings
    return counterfactual_test(table, rng=np.random.default_rng(0), **defaults)


def noisy(n, shifts, seed=0):
    generator = np.random.default_rng(seed)
    return (
        generator.uniform(0.3, 0.6, (n, 1)) + generator.normal(0, 0.03, (n, len(shifts))) + shifts
    )


def test_worked_example_by_hand():
    test = run([[0.1, 0.3], [0.2, 0.6], [0.3, 0.3]])
    assert test.snsr == pytest.approx(0.2)
    assert test.snsv == pytest.approx(0.1)
    # residuals of d = (.2, .4, 0) about .2: sigma^2 = var(d, ddof 1) / 2 = .02
    assert test.noise_floor == pytest.approx(expected_range(2) * np.sqrt(0.02 / 3))
    assert test.snsv_corrected == pytest.approx(np.sqrt(0.01 - 0.02 * 1 / (2 * 3)))
    assert (test.low, test.high, test.n, test.n_missing) == (None, None, 3, 0)


def test_a_missing_cell_drops_its_probe_and_is_counted():
    table = noisy(40, [0, 0.05, 0])
    with_gap = table.copy()
    with_gap[7, 1] = np.nan
    test, expected = run(with_gap), run(np.delete(table, 7, axis=0))
    assert (test.n, test.n_missing) == (39, 1)
    assert (test.snsr, test.p_value, test.low) == (expected.snsr, expected.p_value, expected.low)


@pytest.mark.parametrize("table", [np.full((5, 3), np.nan), [[0.1, 0.2]], [[0.1], [0.2], [0.3]]])
def test_too_little_to_compare_has_no_numbers(table):
    test = run(table)
    assert test.snsr is test.p_value is test.noise_floor is test.high is None
    assert test.n + test.n_missing == len(table)


@pytest.mark.parametrize(("n", "bounded"), [(19, False), (20, True)])
def test_bounds_begin_at_twenty_probes(n, bounded):
    assert (run(noisy(n, [0, 0])).low is not None) is bounded


def test_a_disturbed_value_is_found_and_bounded():
    test = run(noisy(60, [0, 0, -0.1]))
    assert test.p_value == 1 / 200
    assert 0.05 < test.low < test.snsr < test.high < 0.15


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(2, 30))
def test_bounds_hold_the_value_and_the_range_bounds_the_spread(seed, n_values, n):
    table = np.random.default_rng(seed).random((n, n_values))
    test = run(table, n_permutations=19, n_bootstrap=50)
    assert 0 < test.p_value <= 1
    assert test.snsr / np.sqrt(2 * n_values) - 1e-12 <= test.snsv <= test.snsr / 2 + 1e-12
    assert test.snsv_corrected <= test.snsv + 1e-12
    if test.low is not None:
        assert 0 <= test.low <= test.snsr <= test.high <= 1


@pytest.mark.parametrize("table", [[0.1, 0.2], [[0.1, 1.2]], [[-0.1, 0.2]], [[np.inf, 0.2]]])
def test_what_holds_no_similarities_is_an_error(table):
    with pytest.raises(InvalidArgument):
        run(table)
