from __future__ import annotations

import pytest
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.stats.bounds import one_sided_bounds
from auditkit.stats.rates import clustered_rate, rate

WORDS = {"unit": "fraction of users", "direction": "lower"}


@pytest.mark.parametrize("method", ["exact", "wilson"])
def test_intervals_equal_scipy(method):
    ours = rate(
        3, 40, method="wilson" if method == "wilson" else "clopper_pearson", **WORDS
    ).estimate
    theirs = stats.binomtest(3, 40).proportion_ci(method=method)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_the_law_carries_the_counts():
    estimate, law = rate(0, 100, n_missing=3, **WORDS)
    assert (law.x, law.n, law.n_eff, estimate.n_missing) == (0, 100, 100, 3)
    assert one_sided_bounds(law, estimate, 0.95).upper == pytest.approx(1 - 0.05 ** (1 / 100))


def test_no_units_are_undefined():
    assert rate(0, 0, **WORDS).estimate.reason == "no unit could be scored"
    assert clustered_rate([], [], **WORDS).estimate.status == "undefined"


def test_rows_of_one_unit_are_undefined():
    assert "one unit" in clustered_rate([0, 1], ["u", "u"], **WORDS).estimate.reason


def test_one_row_per_unit_is_an_ordinary_rate():
    values = [1] * 5 + [0] * 45
    clustered = clustered_rate(values, list(range(50)), **WORDS)
    plain = rate(5, 50, **WORDS)
    assert clustered.law.n_eff == pytest.approx(50, rel=0.03)
    assert clustered.estimate.low == pytest.approx(plain.estimate.low, abs=0.005)
    assert clustered.estimate.n == 50


def test_rows_that_repeat_their_unit_carry_no_more_than_the_units():
    values = [v for v in [1] * 10 + [0] * 30 for _ in range(10)]
    estimate, law = clustered_rate(values, [u for u in range(40) for _ in range(10)], **WORDS)
    assert law.n_eff == pytest.approx(39, abs=1)
    assert (estimate.n, law.n) == (40, 400)
    assert estimate.high - estimate.low > 0.2


def test_a_row_that_is_neither_zero_nor_one_is_an_error():
    with pytest.raises(InvalidArgument):
        clustered_rate([0, 2], ["a", "b"], **WORDS)
