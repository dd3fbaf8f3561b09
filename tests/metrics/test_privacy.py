from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.privacy import auc, auc_value, tpr_at_fpr, tpr_at_fpr_value
from auditkit.types import Quantiles

SCORES = st.lists(st.integers(-3, 3), min_size=1, max_size=30)


def brute_force_tpr(members, others, fpr):
    rates = [0.0]
    for threshold in set(members) | set(others):
        if np.mean(np.asarray(others) >= threshold) <= fpr + 1e-12:
            rates.append(float(np.mean(np.asarray(members) >= threshold)))
    return max(rates)


def test_auc_by_hand_with_ties():
    assert auc_value([2, 3], [1, 2]) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert auc_value([], [1]) is None


@given(members=SCORES, others=SCORES)
def test_auc_of_swapped_sides_adds_up_to_one(members, others):
    assert auc_value(members, others) + auc_value(others, members) == pytest.approx(1)


def test_auc_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    members, others = rng.integers(0, 9, 80) + 1, rng.integers(0, 9, 50)
    labels = np.repeat([1, 0], [80, 50])
    expected = metrics.roc_auc_score(labels, np.concatenate((members, others)))
    assert auc_value(members, others) == pytest.approx(expected)


@given(members=SCORES, others=SCORES, fpr=st.sampled_from([0.05, 0.1, 0.25, 0.5]))
def test_tpr_equals_a_search_over_all_thresholds(members, others, fpr):
    value = tpr_at_fpr_value(members, others, fpr=fpr)
    if len(others) * fpr < 1:
        assert value is None
    else:
        assert value == pytest.approx(brute_force_tpr(members, others, fpr))


def test_ties_at_the_threshold_move_together():
    assert tpr_at_fpr_value([1] * 10, [1, 0, 0, 0, 0, 0, 0, 0, 0, 1], fpr=0.1) == 0.0
    assert tpr_at_fpr_value([1] * 10, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0], fpr=0.1) == 1.0


def test_too_few_non_members_are_undefined_with_the_reason():
    measured = tpr_at_fpr([1.0] * 50, [0.0] * 99, fpr=0.01, rng=np.random.default_rng(0))
    assert measured.estimate.value is None
    assert "needs 1 and 100" in measured.estimate.reason


def test_nobody_found_still_leaves_an_open_interval():
    rng = np.random.default_rng(0)
    estimate, law = tpr_at_fpr(np.zeros(100), np.ones(200), fpr=0.01, rng=rng)
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert estimate.high >= 1 - 0.025 ** (1 / 100) - 1e-9
    assert isinstance(law, Quantiles)
    assert list(law.q) == sorted(law.q)


def test_perfect_separation_does_not_claim_certainty():
    rng = np.random.default_rng(0)
    estimate, law = auc(np.ones(40), np.zeros(60), rng=rng)
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(0.025 ** (1 / 40), abs=0.01)
    assert list(law.q) == sorted(law.q)
    swapped = auc(np.zeros(40), np.ones(60), rng=rng).estimate
    assert (swapped.value, swapped.low) == (0.0, 0.0)
    assert swapped.high > 0.05


def test_one_empty_side_is_undefined():
    assert auc([], [1.0], rng=np.random.default_rng(0)).estimate.status == "undefined"


def test_auc_interval_covers_a_known_truth():
    rng = np.random.default_rng(1)
    truth, covered = 0.714, 0  # Phi(0.8 / sqrt 2)
    for _ in range(60):
        estimate = auc(rng.normal(0.8, 1, 60), rng.normal(0, 1, 60), rng=rng, draws=300).estimate
        covered += estimate.low <= truth <= estimate.high
    assert covered >= 52


@pytest.mark.parametrize("fpr", [0, 1, -0.1])
def test_a_false_positive_rate_outside_its_range_is_an_error(fpr):
    with pytest.raises(InvalidArgument):
        tpr_at_fpr_value([1], [0], fpr=fpr)


def test_a_score_that_is_not_finite_is_an_error():
    with pytest.raises(InvalidArgument):
        auc_value([float("nan")], [0])


def test_estimates_need_no_generator_and_are_then_the_same_every_time():
    members, nonmembers = [0.3, 0.7, 0.9], [0.1, 0.2, 0.8, 0.4]
    assert auc(members, nonmembers) == auc(members, nonmembers)
    assert auc(members, nonmembers).estimate.value == pytest.approx(9 / 12)
    assert tpr_at_fpr(members, nonmembers, fpr=0.25) == tpr_at_fpr(members, nonmembers, fpr=0.25)
