"""Exposure and the bound of one run: worked examples, properties, and a direct implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from auditkit.errors import InvalidArgument
from auditkit.metrics.privacy import exposure, one_run_epsilon_lower_bound


def direct_bound(m, r, v, delta, significance):
    """The definition, term by term, with a search over a grid that is refined."""

    def p(epsilon):
        q = 1 / (1 + math.exp(-epsilon))
        beta = sum(binom.pmf(k, r, q) for k in range(v, r + 1))
        masses = [binom.pmf(k, r, q) for k in range(v)]
        alpha = max((sum(masses[v - i :]) / i for i in range(1, v + 1)), default=0.0)
        return min(1.0, beta + 2 * m * delta * alpha)

    if p(0.0) >= significance:
        return 0.0
    low, step = 0.0, 1.0
    while step > 1e-11:
        while p(low + step) < significance:
            low += step
        step /= 8
    return low


def test_exposure_by_hand():
    assert exposure(1, 1682) == pytest.approx(10.716, abs=1e-3)
    assert exposure(2, 1682) == pytest.approx(9.716, abs=1e-3)
    assert exposure(1682, 1682) == 0.0
    assert exposure(1, 1) is None


@given(space=st.integers(2, 2000), data=st.data())
def test_exposure_falls_with_the_rank_and_stays_in_range(space, data):
    rank = data.draw(st.integers(1, space))
    assert 0 <= exposure(rank, space) <= math.log2(space)
    assert exposure(rank, space) <= exposure(max(1, rank - 1), space)


def test_chance_exposure_is_1_44_bits():
    mean = np.mean([exposure(rank, 100_000) for rank in range(1, 100_001)])
    assert mean == pytest.approx(1 / math.log(2), abs=0.01)


@pytest.mark.parametrize(("rank", "space"), [(0, 10), (11, 10)])
def test_a_rank_outside_the_space_is_an_error(rank, space):
    with pytest.raises(InvalidArgument, match="Give a rank"):
        exposure(rank, space)


def test_the_bound_is_a_float_with_the_worked_value():
    found = one_run_epsilon_lower_bound(
        canaries=200, guesses=100, correct=90, delta=1e-4, significance=0.05
    )
    assert isinstance(found, float)
    assert found == pytest.approx(1.621, abs=6e-4)


@pytest.mark.parametrize(
    ("m", "r", "v"), [(20, 10, 10), (20, 10, 9), (40, 40, 31), (60, 30, 15), (8, 0, 0)]
)
@pytest.mark.parametrize("delta", [0.0, 1e-4])
def test_the_bound_equals_the_definition_term_by_term(m, r, v, delta):
    found = one_run_epsilon_lower_bound(canaries=m, guesses=r, correct=v, delta=delta)
    assert found == pytest.approx(direct_bound(m, r, v, delta, 0.05), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(m=st.integers(1, 30), data=st.data())
def test_a_stricter_significance_or_larger_delta_lowers_the_bound(m, data):
    r = data.draw(st.integers(0, m))
    v = data.draw(st.integers(0, r))

    def bound(delta, significance):
        return one_run_epsilon_lower_bound(
            canaries=m, guesses=r, correct=v, delta=delta, significance=significance
        )

    assert bound(0.0, 0.01) <= bound(0.0, 0.05) + 1e-9
    assert bound(1e-2, 0.05) <= bound(0.0, 0.05) + 1e-9


@pytest.mark.parametrize("significance", [0.0, 1.0])
def test_a_significance_outside_its_range_is_an_error(significance):
    with pytest.raises(InvalidArgument, match="significance"):
        one_run_epsilon_lower_bound(
            canaries=2, guesses=1, correct=1, delta=0, significance=significance
        )
