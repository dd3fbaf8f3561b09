from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.stats.power import detectable_difference, probes_to_detect, probes_to_pass
from auditkit.stats.simultaneous import snsr_bounds


@pytest.mark.parametrize(("n_values", "expected"), [(2, 61), (4, 104), (8, 145)])
def test_probes_to_pass_equal_the_table_of_the_recipe(n_values, expected):
    assert probes_to_pass(0.07, margin=0.05, n_values=n_values) == expected


@pytest.mark.parametrize(("difference", "expected"), [(0.02, 297), (0.03, 132), (0.05, 48)])
def test_probes_to_detect_equal_the_table_of_the_recipe(difference, expected):
    assert probes_to_detect(0.07, difference=difference, n_values=4) == expected


@given(st.floats(0.01, 0.3), st.integers(3, 2000), st.integers(2, 9))
def test_detectable_difference_inverts_the_sample_size(sigma, n, n_values):
    difference = detectable_difference(sigma, n=n, n_values=n_values)
    assert probes_to_detect(sigma, difference=difference * 1.000001, n_values=n_values) <= n
    assert probes_to_detect(sigma, difference=difference * 0.99, n_values=n_values) >= n


def test_passing_needs_the_probes_from_which_bounds_begin_and_more_where_all_lists_are_equal():
    assert probes_to_pass(0.001, margin=0.05, n_values=3) == 20
    needed = probes_to_pass(0.0, margin=0.05, n_values=3)
    assert needed == 59
    highs = [
        snsr_bounds(np.ones((n, 3)), rng=np.random.default_rng(0)).bounds.high
        for n in (needed - 1, needed)
    ]
    assert highs[1] < 0.05 < highs[0]


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"power": 1.0}, {"difference": float("nan")}])
def test_levels_that_are_none_are_an_error(wrong):
    with pytest.raises(InvalidArgument):
        probes_to_detect(0.1, **{"difference": 0.05, "n_values": 2, **wrong})


def test_twice_the_noise_needs_four_times_the_probes():
    assert probes_to_detect(0.2, difference=0.05, n_values=3) == pytest.approx(
        4 * probes_to_detect(0.1, difference=0.05, n_values=3), abs=4
    )


@pytest.mark.parametrize("wrong", [{"sigma": -1}, {"n_values": 1}, {"margin": 0}])
def test_numbers_outside_their_range_are_an_error(wrong):
    settings = {"sigma": 0.1, "margin": 0.05, "n_values": 2} | wrong
    with pytest.raises(InvalidArgument):
        probes_to_pass(settings["sigma"], margin=settings["margin"], n_values=settings["n_values"])
