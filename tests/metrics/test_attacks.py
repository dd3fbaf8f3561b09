from __future__ import annotations

import doctest
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics import attacks
from auditkit.metrics.attacks import (
    budget_area,
    dcg_exposure,
    exposure_at_k,
    exposure_lift,
    kendall_tau_b,
    queries_per_success,
    rank_shift,
    success_by_budget,
)

ATTACKS = st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=30)
RANKS = st.lists(st.none() | st.integers(1, 20), min_size=1, max_size=30)


def test_the_worked_examples_hold():
    assert doctest.testmod(attacks).failed == 0
    assert doctest.testmod(attacks).attempted >= 8


def test_queries_of_failed_attacks_are_part_of_the_price():
    assert queries_per_success([5, 40], [True, False]) == 45
    assert queries_per_success([40, 40], [False, False]) is None


@given(rows=ATTACKS, budget=st.integers(1, 50))
def test_success_by_budget_never_falls_and_its_mean_is_the_mean_area(rows, budget):
    queries, succeeded = [q for q, _ in rows], [s for _, s in rows]
    curve = success_by_budget(queries, succeeded, budget=budget)
    if not rows:
        assert curve is None
        return
    assert all(0 <= a <= b <= 1 for a, b in zip(curve, [*curve[1:], 1.0], strict=True))
    areas = [budget_area(q, s, budget=budget) for q, s in rows]
    assert sum(curve) / budget == pytest.approx(sum(areas) / len(areas))


@given(ranks=RANKS, k=st.integers(1, 20), seed=st.integers(0, 9))
def test_exposure_does_not_depend_on_the_order_of_users_and_grows_with_k(ranks, k, seed):
    shuffled = random.Random(seed).sample(ranks, len(ranks))
    assert exposure_at_k(ranks, k=k) == exposure_at_k(shuffled, k=k)
    assert 0 <= exposure_at_k(ranks, k=k) <= exposure_at_k(ranks, k=k + 1) <= 1
    assert 0 <= dcg_exposure(ranks) <= 1


def test_exposure_of_no_list_is_missing_and_of_an_absent_item_is_zero():
    assert exposure_at_k([], k=3) is dcg_exposure([]) is None
    assert exposure_at_k([None, None], k=3) == dcg_exposure([None]) == 0


def test_lift_of_an_item_that_nobody_saw_counts_it_as_seen_once():
    assert exposure_lift(0, 0.3, n=20) == pytest.approx(6)
    assert exposure_lift(0.5, 0.5, n=20) == 1


@given(before=st.none() | st.integers(1, 9), after=st.none() | st.integers(1, 9))
def test_rank_shift_changes_its_sign_with_the_order(before, after):
    assert rank_shift(before, after, length=9) == -rank_shift(after, before, length=9)
    assert abs(rank_shift(before, after, length=9)) <= 9


@given(values=st.lists(st.integers(0, 5), max_size=12), seed=st.integers(0, 9))
def test_kendall_tau_b_equals_counting_pairs(values, seed):
    other = random.Random(seed).sample(values, len(values))
    tau = kendall_tau_b(values, other)
    if len(set(values)) < 2:
        assert tau is None
        return
    pairs = [(i, j) for j in range(len(values)) for i in range(j)]
    signs = [
        ((values[i] > values[j]) - (values[i] < values[j]),
         (other[i] > other[j]) - (other[i] < other[j])) for i, j in pairs
    ]  # fmt: skip
    top = sum(a * b for a, b in signs)
    bottom = (sum(a != 0 for a, _ in signs) * sum(b != 0 for _, b in signs)) ** 0.5
    assert tau == pytest.approx(top / bottom)
    assert -1 - 1e-9 <= tau <= 1 + 1e-9


def test_kendall_tau_b_is_missing_where_nothing_can_be_ordered():
    assert kendall_tau_b([1], [2]) is kendall_tau_b([1, 2], [3, 3]) is kendall_tau_b([], []) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: queries_per_success([1], []),
        lambda: success_by_budget([1], [True], budget=0),
        lambda: budget_area(-1, True, budget=3),
        lambda: exposure_at_k([0], k=3),
        lambda: exposure_at_k([1], k=0),
        lambda: exposure_lift(2, 0, n=3),
        lambda: rank_shift(4, 1, length=3),
        lambda: kendall_tau_b([1], [1, 2]),
    ],
)
def test_arguments_out_of_range_are_named(call):
    with pytest.raises(InvalidArgument, match=r"Give|Count"):
        call()
