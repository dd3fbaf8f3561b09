from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.list_similarity import jaccard_at_k
from auditkit.metrics.robustness import area_under_rates, p_for, rbo_ext, replaced

LISTS = st.lists(st.text("abcdefgh", min_size=1, max_size=1), max_size=8)


def test_rank_biased_overlap_by_hand():
    assert rbo_ext(["a", "b", "c"], ["a", "c", "b"], k=3, p=0.9) == pytest.approx(0.955)
    assert rbo_ext(["a", "b"], ["a", "b"], k=2) == pytest.approx(1.0)
    assert rbo_ext(["a"], ["b"], k=2) == 0.0


def test_empty_lists_are_missing_and_one_empty_list_is_zero():
    for metric in (jaccard_at_k, rbo_ext):
        assert metric([], [], k=3) is None
        assert metric(["a"], [], k=3) == 0.0


@pytest.mark.parametrize(
    ("k", "p"), [(1, 0.8), (5, 0.8), (6, 0.85), (9, 0.85), (10, 0.9), (50, 0.9)]
)
def test_persistence_follows_the_length(k, p):
    assert p_for(k) == p


@pytest.mark.parametrize(("m", "expected"), [(1, 0.818), (3, 0.538), (5, 0.333)])
def test_replaced_and_jaccard_agree_for_full_lists_of_ten(m, expected):
    left = [str(i) for i in range(10)]
    right = left[m:] + [f"new{i}" for i in range(m)]
    assert replaced(left, right, k=10) == m
    assert jaccard_at_k(left, right, k=10) == pytest.approx(expected, abs=5e-4)


def test_a_shorter_answer_counts_as_replaced():
    assert replaced(["a", "b", "c"], ["a"], k=3) == 2
    assert replaced([], [], k=3) == 0


@given(left=LISTS, right=LISTS, k=st.integers(1, 9))
def test_all_are_symmetric_and_in_range(left, right, k):
    for metric in (jaccard_at_k, rbo_ext):
        value = metric(left, right, k=k)
        assert value == metric(right, left, k=k)
        assert value is None or 0 <= value <= 1
    assert 0 <= replaced(left, right, k=k) == replaced(right, left, k=k) <= k


@given(items=LISTS.filter(bool), k=st.integers(1, 20), seed=st.integers(0, 99))
def test_jaccard_ignores_order_within_the_cut(items, k, seed):
    top = list(dict.fromkeys(items))[:k]
    shuffled = random.Random(seed).sample(top, len(top))
    assert jaccard_at_k(items, shuffled, k=k) == 1.0
    assert replaced(items, shuffled, k=k) == 0


@given(items=LISTS.filter(bool), k=st.integers(1, 9))
def test_identical_lists_overlap_fully(items, k):
    assert rbo_ext(items, items, k=k) == pytest.approx(1.0)


def test_rbo_weighs_the_first_rank_more_than_the_last():
    base = ["a", "b", "c", "d"]
    assert rbo_ext(base, ["x", "b", "c", "d"], k=4) < rbo_ext(base, ["a", "b", "c", "x"], k=4)


@pytest.mark.parametrize("call", [jaccard_at_k, rbo_ext, replaced])
def test_a_cut_off_below_one_is_an_error(call):
    with pytest.raises(InvalidArgument):
        call(["a"], ["a"], k=0)


def test_a_persistence_of_one_is_an_error():
    with pytest.raises(InvalidArgument, match="p=1"):
        rbo_ext(["a"], ["a"], k=1, p=1)


def test_the_area_under_a_curve_is_its_mean_height():
    assert area_under_rates((0.0, 0.1), (1.0, 0.0)) == pytest.approx(0.5)
    assert area_under_rates((0.0, 0.02, 0.1), (1.0, 1.0, 0.5)) == pytest.approx(0.8)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_the_area_is_numpys_and_between_the_lowest_and_the_highest_value(values):
    rates = [0.01 * i * i for i in range(len(values))]
    area = area_under_rates(rates, values)
    assert area == pytest.approx(np.trapezoid(values, rates) / rates[-1])
    assert min(values) - 1e-9 <= area <= max(values) + 1e-9


@pytest.mark.parametrize(
    ("rates", "values"), [((0.0,), (1.0,)), ((0.0, 0.0), (1, 1)), ((0, 1), (1,))]
)
def test_a_curve_needs_increasing_rates_and_a_value_for_each(rates, values):
    with pytest.raises(InvalidArgument, match="at least two increasing rates"):
        area_under_rates(rates, values)
