from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.exposure import (
    coverage,
    gini,
    group_utility,
    hhi,
    lorenz_curve,
    memberships,
    popularity_lift,
    tail,
    tail_share,
)
from auditkit.metrics.item_groups import popularity_deciles

AMOUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any)
IDS = [f"i{n:02}" for n in range(12)]


# --- worked examples


def test_concentration_by_hand():
    exposure = [0, 1, 3]
    assert gini(exposure) == pytest.approx((-2 * 0 + 0 * 1 + 2 * 3) / (3 * 4))
    assert hhi(exposure) == pytest.approx((1 + 9) / 16)
    assert coverage(exposure) == pytest.approx(2 / 3)


def test_tail_share_by_hand():
    # Of five items one is the head; "a" and "b" are level, and the smaller id is in front.
    popularity, ids = [9, 9, 1, 1, 0], ["b", "a", "c", "d", "e"]
    assert tail(popularity, ids).tolist() == [True, False, True, True, True]
    assert tail_share([2, 6, 1, 1, 0], popularity, ids) == pytest.approx(0.4)


@pytest.mark.parametrize(("n", "n_head"), [(1, 1), (5, 1), (6, 2), (10, 2), (15, 3), (1682, 337)])
def test_the_head_is_a_fifth_rounded_up(n, n_head):
    assert np.sum(~tail(np.arange(n), [f"{i:04}" for i in range(n)])) == n_head


def test_popularity_lift_by_hand():
    assert popularity_lift([30, 10], [10, 10, 10]) == pytest.approx(1.0)
    assert popularity_lift([], [1.0]) is None
    assert popularity_lift([1.0], [0.0]) is None


def test_group_utility_by_hand():
    # Item 2 is half a comedy and half a drama; nobody saw or chose the western.
    groups = [("Comedy",), ("Drama",), ("Comedy", "Drama"), ("Western",), ()]
    found = group_utility([4, 0, 4, 0, 9], [1, 2, 2, 0, 9], groups)
    assert found.shown == {"Comedy": 0.75, "Drama": 0.25}
    assert found.history == {"Comedy": pytest.approx(0.4), "Drama": pytest.approx(0.6)}
    assert found.mgu == pytest.approx(0.35)
    assert found.dgu == pytest.approx(0.7)


def test_lorenz_curve_of_one_item_that_has_everything():
    assert lorenz_curve([0, 0, 0, 8], points=5) == [(0, 0), (0.25, 0), (0.5, 0), (0.75, 0), (1, 1)]


# --- missing and refused


@pytest.mark.parametrize("metric", [gini, hhi, coverage])
def test_without_exposure_there_is_no_concentration(metric):
    assert metric([0, 0]) is None


def test_without_exposure_there_is_no_share_and_no_group():
    assert tail_share([0, 0], [1, 2], ["a", "b"]) is None
    assert group_utility([0, 0], [1, 1], [("a",), ("b",)]) is None
    assert group_utility([1, 1], [1, 1], [(), ()]) is None
    assert lorenz_curve([0, 0]) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: gini([1, -1]),
        lambda: hhi([float("nan")]),
        lambda: group_utility([1], [1, 2], [("a",)]),
        lambda: tail([1], ["a"], head=2),
    ],
)
def test_numbers_that_are_no_exposure_are_an_error(call):
    with pytest.raises(InvalidArgument):
        call()


# --- properties, and equality with naive loops


def naive_gini(exposure):
    """Half the mean absolute difference of all pairs over the mean."""
    n = len(exposure)
    differences = sum(abs(a - b) for a in exposure for b in exposure)
    return differences / (2 * n * n * (sum(exposure) / n))


@given(AMOUNTS)
def test_gini_equals_the_mean_difference_of_all_pairs(exposure):
    assert gini(exposure) == pytest.approx(naive_gini(exposure), abs=1e-12)
    assert -1e-12 <= gini(exposure) <= 1 - 1 / len(exposure) + 1e-12


@given(AMOUNTS)
def test_gini_is_twice_the_area_above_the_lorenz_curve(exposure):
    curve = np.array(lorenz_curve(exposure, points=len(exposure) + 1))
    area = np.sum(np.diff(curve[:, 0]) * (curve[1:, 1] + curve[:-1, 1]) / 2)
    assert gini(exposure) == pytest.approx(1 - 2 * area, abs=1e-9)


@given(AMOUNTS, st.integers(1, 9))
def test_concentration_ignores_order_and_scale(exposure, factor):
    for metric in (gini, hhi, coverage):
        turned = metric([factor * amount for amount in reversed(exposure)])
        assert turned == pytest.approx(metric(exposure), abs=1e-12)


@given(AMOUNTS)
def test_hhi_and_coverage_lie_in_their_range(exposure):
    n = len(exposure)
    assert 1 / n - 1e-12 <= hhi(exposure) <= 1 + 1e-12
    assert coverage(exposure) == sum(amount > 0 for amount in exposure) / n
    assert 0 <= tail_share(exposure, exposure, IDS[:n]) <= 1


@given(AMOUNTS)
def test_equal_exposure_has_no_inequality(exposure):
    n = len(exposure)
    assert gini([3] * n) == pytest.approx(0, abs=1e-12)
    assert hhi([3] * n) == pytest.approx(1 / n)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.integers(0, 9), st.lists(st.sampled_from("abcd"), max_size=3)
        ),
        min_size=1,
        max_size=10,
    )
)
def test_group_utility_equals_loops_over_items(items):
    shown, history, groups = (list(column) for column in zip(*items, strict=True))
    names = sorted({name for own in groups for name in own})
    totals = [dict.fromkeys(names, 0.0) for _ in range(2)]
    for e, h, own in items:
        for name in set(own):
            totals[0][name] += e / len(set(own))
            totals[1][name] += h / len(set(own))
    sums = [sum(total.values()) for total in totals]
    found = group_utility(shown, history, groups)
    assert (found is None) == (0 in sums)
    if found is not None:
        utility = {
            name: totals[0][name] / sums[0] - totals[1][name] / sums[1]
            for name in names
            if totals[0][name] or totals[1][name]
        }
        assert found.utility == pytest.approx(utility, abs=1e-12)
        assert sum(found.utility.values()) == pytest.approx(0, abs=1e-12)
        assert 0 <= found.mgu <= found.dgu + 1e-12 <= 2 + 1e-12


@given(AMOUNTS)
def test_showing_what_was_chosen_has_no_group_utility(require_nonnegative):
    groups = [(f"g{i % 3}",) for i in range(len(require_nonnegative))]
    found = group_utility(require_nonnegative, require_nonnegative, groups)
    assert (found.mgu, found.dgu) == (0, 0)


def test_memberships_split_items_evenly_and_count_repeats_once():
    names, parts = memberships([("b", "a", "b"), (), ("a",)])
    assert names == ("a", "b")
    assert parts.toarray().tolist() == [[0.5, 0.5], [0, 0], [1, 0]]


def test_deciles_go_by_popularity_and_ties_by_id():
    ids = [f"{i:02}" for i in range(20)]
    counts = [5] * 10 + [9] * 10
    assert popularity_deciles(counts, ids) == [6, 6, 7, 7, 8, 8, 9, 9, 10, 10,
                                               1, 1, 2, 2, 3, 3, 4, 4, 5, 5]  # fmt: skip
    assert popularity_deciles([1.0, 2.0], ["b", "a"]) == [6, 1]
