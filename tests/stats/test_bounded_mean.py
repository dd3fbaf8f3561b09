from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.stats.bounded_mean import gaffke_upper
from auditkit.stats.intervals import clopper_pearson


def upper(values, level=0.95, **settings):
    return gaffke_upper(values, level=level, rng=np.random.default_rng(0), **settings)


@pytest.mark.parametrize("n", [1, 20, 100])
def test_zeros_alone_have_the_rule_of_three(n):
    assert upper(np.zeros(n)) == pytest.approx(1 - 0.05 ** (1 / n))


@pytest.mark.parametrize(("ones", "n"), [(1, 30), (7, 100), (30, 60), (59, 60)])
def test_zeros_and_ones_have_clopper_pearson(ones, n):
    values = np.repeat([1.0, 0.0], [ones, n - ones])
    expected = clopper_pearson(ones, n, 0.95, side="upper").high
    assert upper(values, draws=200_000) == pytest.approx(expected, abs=2e-3)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_bound_lies_between_the_mean_and_clopper_pearson_on_what_is_above_zero(values):
    bound = upper(values, draws=4_000)
    above = sum(value > 0 for value in values)
    assert np.mean(values) - 1e-9 <= bound
    assert bound <= clopper_pearson(above, len(values), 0.95, side="upper").high + 0.03


@pytest.mark.parametrize(
    ("share", "low", "high"),
    [(0.05, 1, 1), (0.08, 0.1, 0.1), (0.1, 0, 1), (0.3, 0.1, 0.3), (1, 0, 1)],
)
def test_bound_covers_the_mean(share, low, high):
    generator, covered = np.random.default_rng(1), 0
    for _ in range(400):
        hit = generator.random(60) < share
        values = hit * generator.uniform(low, high, 60)
        truth = share * (low + high) / 2
        covered += gaffke_upper(values, level=0.95, rng=generator, draws=1_000) >= truth
    assert covered / 400 >= 0.93


@pytest.mark.parametrize("values", [[], [1.2], [-0.1]])
def test_numbers_outside_the_unit_interval_are_an_error(values):
    with pytest.raises(InvalidArgument):
        upper(values)
