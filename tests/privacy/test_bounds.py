"""Bounds of a claim and of an audit: worked examples, properties, and coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.privacy.bounds import Claim, group_claim, one_run_bound, tpr_allowed

CLAIMS = st.builds(Claim, st.floats(0, 10), st.floats(0, 1e-3))


@pytest.mark.parametrize(
    ("correct", "epsilon"),
    [(98, 2.699), (95, 2.158), (90, 1.621), (80, 0.952), (70, 0.467), (60, 0.047), (58, 0.0)],
)
def test_the_bound_of_one_run_by_hand(correct, epsilon):
    found = one_run_bound(canaries=200, guesses=100, correct=correct, delta=1e-4)
    assert found.epsilon == pytest.approx(epsilon, abs=6e-4)
    assert found.ceiling == pytest.approx(3.44, abs=6e-3)


def test_another_worked_example():
    found = one_run_bound(canaries=300, guesses=120, correct=111, delta=1e-5)
    assert found.epsilon == pytest.approx(1.924, abs=6e-4)


@pytest.mark.parametrize(
    ("guesses", "ceiling"),
    [(50, 2.79), (100, 3.49), (250, 4.42), (500, 5.11), (1000, 5.81), (2500, 6.73)],
)
def test_the_ceiling_without_delta_has_a_formula(guesses, ceiling):
    found = one_run_bound(canaries=2 * guesses, guesses=guesses, correct=guesses, delta=0)
    x = 0.05 ** (1 / guesses)
    assert found.ceiling == found.epsilon == pytest.approx(math.log(x / (1 - x)), abs=1e-6)
    assert found.ceiling == pytest.approx(ceiling, abs=6e-3)


@given(m=st.integers(1, 25), data=st.data(), delta=st.sampled_from([0, 1e-6, 1e-3]))
def test_the_bound_grows_with_correct_guesses_and_stays_below_its_ceiling(m, data, delta):
    r = data.draw(st.integers(0, m))
    bounds = [one_run_bound(canaries=m, guesses=r, correct=v, delta=delta) for v in range(r + 1)]
    values = [bound.epsilon for bound in bounds]
    assert values == sorted(values)
    assert all(0 <= bound.epsilon <= bound.ceiling + 1e-9 for bound in bounds)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
def test_the_bound_exceeds_the_true_epsilon_in_at_most_5_percent_of_audits(epsilon):
    """Randomized response has exactly this epsilon, and the best attack on it is its answer."""
    rng, n = np.random.default_rng(7), 2_000
    right = rng.binomial(100, 1 / (1 + math.exp(-epsilon)), size=n)
    bounds = {v: one_run_bound(canaries=100, guesses=100, correct=v, delta=0).epsilon
              for v in set(right.tolist())}  # fmt: skip
    exceeded = np.mean([bounds[v] > epsilon for v in right.tolist()])
    assert exceeded <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / n)


def test_five_thousand_canaries_take_no_loop():
    found = one_run_bound(canaries=5_000, guesses=2_500, correct=2_400, delta=1e-5)
    assert 2 < found.epsilon < found.ceiling < 6.74


def test_groups_of_units_by_hand():
    assert group_claim(Claim(0.2, 1e-7), 5) == pytest.approx((1.0, 7.76e-7), rel=1e-3)
    assert group_claim(Claim(1.0, 1e-7), 10).delta == pytest.approx(12_818e-7, rel=1e-3)
    assert group_claim(Claim(0.0, 1e-3), 4) == Claim(0.0, 4e-3)
    assert group_claim(Claim(8.0, 1e-5), 200) == Claim(1600.0, 1.0)


@given(claim=CLAIMS, size=st.integers(1, 30))
def test_a_group_of_one_is_the_claim_and_groups_are_never_better(claim, size):
    assert group_claim(claim, 1) == pytest.approx(claim)
    one, more = group_claim(claim, size), group_claim(claim, size + 1)
    assert more.epsilon >= one.epsilon
    assert more.delta >= one.delta * (1 - 1e-12)


@pytest.mark.parametrize(("epsilon", "rate"), [(1, 0.027), (3, 0.201), (8, 0.9997)])
def test_what_a_claim_allows_at_one_percent_false_positives(epsilon, rate):
    assert tpr_allowed(Claim(epsilon, 1e-5), 0.01) == pytest.approx(rate, abs=6e-4)


@given(claim=CLAIMS, fpr=st.floats(0, 1))
def test_an_allowed_rate_is_a_rate_and_at_least_chance(claim, fpr):
    allowed = tpr_allowed(claim, fpr)
    assert fpr - 1e-9 <= allowed <= 1
    assert tpr_allowed(Claim(0.0, 0.0), fpr) == pytest.approx(fpr)


@pytest.mark.parametrize(
    "counts",
    [{"correct": 11}, {"guesses": 21}, {"canaries": 0, "guesses": 0, "correct": 0},
     {"delta": 1.0}, {"confidence": 1.0}, {"correct": -1}],
)  # fmt: skip
def test_counts_that_do_not_fit_are_errors(counts):
    given_counts = {"canaries": 20, "guesses": 10, "correct": 5, "delta": 0.0, **counts}
    with pytest.raises(InvalidArgument, match="Give 0 <= correct"):
        one_run_bound(**given_counts)
