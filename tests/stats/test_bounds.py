"""Bounds by law: closed forms, agreement of p-value and bound, and the table of verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from auditkit.errors import InvalidArgument
from auditkit.stats.bounds import one_sided_bounds, p_fail, quantile_levels
from auditkit.types import Band, Binomial, Estimate, Exact, Quantiles


def _rate(x, n, n_eff=None):
    estimate = Estimate(value=x / n, low=None, high=None, n=n, unit="fraction", direction="lower")
    return Binomial(x=x, n=n, n_eff=n_eff or n), estimate


def _quantiles(values, draws=10_000):
    estimate = Estimate(value=0.0, low=None, high=None, n=100, unit="x", direction="lower")
    return Quantiles(draws=draws, q=tuple(values)), estimate


NORMAL = _quantiles([-9.0, *norm.ppf(quantile_levels()[1:-1]), 9.0])


@given(st.integers(1, 300), st.data())
def test_the_p_value_of_a_rate_is_the_binomial_tail(n, data):
    x = data.draw(st.integers(0, n))
    limit = data.draw(st.floats(0.01, 0.99))
    law, estimate = _rate(x, n)
    assert p_fail(law, estimate, limit, "max") == pytest.approx(binom.sf(x - 1, n, limit), abs=1e-9)
    assert p_fail(law, estimate, limit, "min") == pytest.approx(binom.cdf(x, n, limit), abs=1e-9)


@given(st.integers(1, 200), st.data())
def test_p_value_and_bound_of_a_rate_agree(n, data):
    x = data.draw(st.integers(0, n))
    limit = data.draw(st.floats(0.001, 0.999))
    law, estimate = _rate(x, n, n_eff=max(1.0, 0.7 * n))
    lower, upper = one_sided_bounds(law, estimate, 0.95)
    if abs(lower - limit) > 1e-9:
        assert (p_fail(law, estimate, limit, "max") < 0.05) == (lower > limit)
    if abs(upper - limit) > 1e-9:
        assert (p_fail(law, estimate, limit, "min") < 0.05) == (upper < limit)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_quantile_bounds_step_outward(confidence):
    lower, upper = one_sided_bounds(*NORMAL, confidence)
    assert norm.ppf(confidence) <= upper <= norm.ppf(confidence) + 0.1
    assert upper == pytest.approx(-lower)


@given(st.floats(-4, 4))
def test_the_p_value_of_quantiles_is_never_too_small(limit):
    exact = norm.cdf(limit)  # the share of draws at or below the limit
    p = p_fail(*NORMAL, limit, "max")
    assert exact <= p + 1e-4
    assert p <= exact + 0.02
    assert p_fail(*NORMAL, -limit, "min") == pytest.approx(p, abs=0.01)


def test_a_limit_beyond_every_draw_keeps_one_draw_of_doubt():
    assert p_fail(*NORMAL, -20, "max") == pytest.approx(1 / 10_001)
    assert p_fail(*NORMAL, 20, "max") == 1
    assert p_fail(*NORMAL, 20, "min") == pytest.approx(1 / 10_001)


def test_a_bootstrap_that_never_varies_is_decided_by_its_value():
    law, estimate = _quantiles([0.3] * 201)
    assert one_sided_bounds(law, estimate, 0.95) == (0.3, 0.3)
    assert p_fail(law, estimate, 0.3, "max") == 1
    assert p_fail(law, estimate, 0.2, "max") == pytest.approx(1 / 10_001)


def test_bands_and_exact_values_are_their_own_bounds():
    estimate = Estimate(value=2.0, low=1.0, high=3.0, n=50, unit="x", direction="lower")
    assert one_sided_bounds(Band(), estimate, 0.99) == (1.0, 3.0)
    assert one_sided_bounds(Exact(), estimate, 0.99) == (2.0, 2.0)
    assert p_fail(Band(), estimate, 0.0, "max") is None
    assert p_fail(Exact(), estimate, 0.0, "max") is None


def test_what_has_no_value_has_no_bound():
    undefined = Estimate(
        value=None, low=None, high=None, n=0, unit="x", direction="lower",
        status="undefined", reason="no rows",
    )  # fmt: skip
    with pytest.raises(InvalidArgument, match="no rows"):
        one_sided_bounds(Exact(), undefined, 0.95)
    with pytest.raises(InvalidArgument, match="over 0 rows"):
        one_sided_bounds(Binomial(x=0, n=0, n_eff=0), _rate(0, 1)[1], 0.95)
    with pytest.raises(InvalidArgument, match="band"):
        one_sided_bounds(Band(), _rate(0, 1)[1], 0.95)


@pytest.mark.parametrize(
    ("n", "rate", "point", "fails", "passes"),
    [
        (200, 0.05, 0.42, 0.04, 0.03), (200, 0.08, 0.93, 0.54, 0.00), (400, 0.02, 0.00, 0.00, 0.94),
        (400, 0.08, 0.99, 0.79, 0.00), (1000, 0.08, 1.00, 0.98, 0.00),
    ],
)  # fmt: skip
def test_the_chances_of_each_verdict_are_those_of_the_specification(n, rate, point, fails, passes):
    x = np.arange(n + 1)
    weight = binom.pmf(x, n, rate)
    bounds = [one_sided_bounds(*_rate(int(k), n), 0.95) for k in x]
    lower, upper = np.array(bounds).T
    assert weight[x / n > 0.05].sum() == pytest.approx(point, abs=0.005)
    assert weight[lower > 0.05].sum() == pytest.approx(fails, abs=0.006)
    assert weight[upper <= 0.05].sum() == pytest.approx(passes, abs=0.006)
