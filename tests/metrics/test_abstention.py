from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.metrics.abstention import (
    aurc,
    aurc_excess,
    confidence_aucs,
    coverage_at_risk,
    risk_at_coverage,
    risk_curve,
)

ITEMS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=1, max_size=25)


def curve_of(items):
    return risk_curve([c for c, _ in items], [w for _, w in items])


def by_brute_force(items):
    """Risk of the j best, the mean over every order that the confidences leave open."""
    ranked = sorted(items, key=lambda item: -item[0])
    found = []
    for j in range(1, len(items) + 1):
        edge = ranked[j - 1][0]
        above = [w for c, w in items if c > edge]
        tied = [w for c, w in items if c == edge]
        found.append((sum(above) + (j - len(above)) * sum(tied) / len(tied)) / j)
    return found


def test_a_curve_by_hand():
    risks = risk_curve([0.9, 0.6, 0.7, 0.8], [0, 1, 0, 1])
    assert risks == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert aurc(risks) == pytest.approx(1 / 3)
    # Two wrong of four, put last: (0 + 0 + 1/3 + 2/4) / 4.
    assert aurc_excess(risks) == pytest.approx(1 / 3 - 5 / 24)
    assert risk_at_coverage(risks, coverage=0.5) == 0.5
    assert risk_at_coverage(risks, coverage=0.51) == pytest.approx(1 / 3)
    assert risk_at_coverage(risks, coverage=1) == 0.5


def test_equal_confidences_share_their_mean_error():
    assert risk_curve([1, 1, 1, 0], [1, 0, 0, 1]) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1 / 2])


@given(ITEMS)
def test_curve_equals_the_mean_over_all_orders_of_ties(items):
    assert curve_of(items) == pytest.approx(by_brute_force(items))


@given(ITEMS, st.randoms())
def test_order_of_the_items_does_not_matter(items, draw):
    shuffled = draw.sample(items, len(items))
    assert curve_of(shuffled) == pytest.approx(curve_of(items))


@given(ITEMS)
def test_only_the_order_of_confidences_counts(items):
    assert curve_of([(3 * c - 100, w) for c, w in items]) == pytest.approx(curve_of(items))


@given(ITEMS)
def test_risks_are_fractions_and_end_at_the_error_rate(items):
    risks = curve_of(items)
    assert ((risks >= 0) & (risks <= 1)).all()
    assert risks[-1] == pytest.approx(np.mean([w for _, w in items]))
    assert 0 <= aurc_excess(risks) <= aurc(risks)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=25))
def test_best_order_has_no_excess_and_no_order_has_less(wrong):
    best = aurc(risk_curve([1 - w for w in wrong], wrong))
    ideal = risk_curve(-np.arange(len(wrong)), sorted(wrong))
    assert aurc_excess(ideal) == pytest.approx(0)
    assert best >= aurc(ideal) - 1e-12


@pytest.mark.parametrize("wrong", [0, 1])
def test_one_item_has_a_risk_of_0_or_1(wrong):
    risks = risk_curve([-3.0], [wrong])
    assert aurc(risks) == risk_at_coverage(risks, coverage=0.5) == wrong
    assert aurc_excess(risks) == coverage_at_risk(risks, risk=0.05) == 0


def test_no_items_have_no_risk():
    risks = risk_curve([], [])
    assert aurc(risks) is aurc_excess(risks) is risk_at_coverage(risks, coverage=0.5) is None
    assert coverage_at_risk(risks, risk=0.05) is None


@given(ITEMS, st.sampled_from([0.05, 0.3, 0.6]))
def test_coverage_at_risk_equals_the_interval_of_every_prefix(items, risk):
    risks = curve_of(items)
    n, certain = len(items), 0
    for j in range(1, n + 1):
        errors = risks[j - 1] * j
        upper = 1.0 if errors >= j else stats.beta.ppf(0.975, errors + 1, j - errors)
        certain = j if upper <= risk else certain
    assert coverage_at_risk(risks, risk=risk) == pytest.approx(certain / n)


def test_five_percent_need_72_right_items():
    assert coverage_at_risk(risk_curve(np.zeros(71), np.zeros(71)), risk=0.05) == 0
    assert coverage_at_risk(risk_curve(np.zeros(72), np.zeros(72)), risk=0.05) == 1


@pytest.mark.parametrize(
    ("confidence", "wrong"), [([1.0], [0, 1]), ([float("nan")], [0]), ([1.0], [0.5])]
)
def test_values_that_make_no_curve_are_refused(confidence, wrong):
    with pytest.raises(InvalidArgument, match="risk curve got"):
        risk_curve(confidence, wrong)


def test_fractions_out_of_range_are_refused():
    for call in (
        lambda: risk_at_coverage([0.0], coverage=0),
        lambda: coverage_at_risk([0.0], risk=1),
    ):
        with pytest.raises(InvalidArgument):
            call()


# --- AUC of confidence


def confidence_auc(confidence, wrong):
    (found,) = confidence_aucs(confidence, wrong, [np.ones(len(confidence))])
    return found


def test_auc_by_hand():
    """Right items at 3 and 1, wrong ones at 2 and 1: won 1 + 1 + 0 + 1/2 of four pairs."""
    assert confidence_auc([3, 1, 2, 1], [0, 0, 1, 1]) == 2.5 / 4


@given(ITEMS)
def test_auc_equals_the_share_of_pairs(items):
    right = [c for c, w in items if not w]
    wrong = [c for c, w in items if w]
    found = confidence_auc([c for c, _ in items], [w for _, w in items])
    if not right or not wrong:
        assert found is None
        return
    won = sum((r > w) + 0.5 * (r == w) for r in right for w in wrong)
    assert found == pytest.approx(won / len(right) / len(wrong))


@given(ITEMS)
def test_auc_is_one_half_for_equal_confidences(items):
    found = confidence_auc([0] * len(items), [w for _, w in items])
    assert found is None or found == pytest.approx(0.5)


@given(ITEMS, st.data())
def test_auc_of_a_resample_is_that_of_repeated_items(items, data):
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(items), max_size=len(items)))
    confidence, wrong = [c for c, _ in items], [w for _, w in items]
    (found,) = confidence_aucs(confidence, wrong, [times])
    repeated = confidence_auc(np.repeat(confidence, times), np.repeat(wrong, times))
    assert (found is None) == (repeated is None)
    assert found is None or found == pytest.approx(repeated)
