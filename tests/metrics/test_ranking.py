from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.metrics.ranking import (
    hr_at_k,
    mean_rank,
    mrr,
    ndcg_at_k,
    ndcg_of_list,
    rank_in_list,
    recall_of_list,
)


def test_ties_share_the_mean_rank():
    assert mean_rank([3, 2, 2, 2, 1], 1) == 2.0
    assert mean_rank([0, 0, 0], 0) == 1.0


def test_masked_items_do_not_count():
    assert mean_rank([5, 4, 3, 2], 3, masked=[0, 1]) == 1.0


def test_a_target_in_the_history_is_not_masked():
    assert mean_rank([5, 4], 1, masked=[1]) == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_not_finite_makes_the_user_missing(bad):
    assert mean_rank([1.0, bad, 0.0], 0) is None


@given(scores=st.lists(st.integers(0, 5), min_size=1, max_size=20), data=st.data())
def test_mean_rank_equals_scipy_rankdata(scores, data):
    target = data.draw(st.integers(0, len(scores) - 1))
    expected = stats.rankdata(-np.asarray(scores))[target] - 1
    assert mean_rank(scores, target) == expected


def test_metrics_of_a_rank_by_hand():
    ranks = [0, 1.5, 9.5, 10, math.inf]
    assert hr_at_k(ranks, k=10).tolist() == [1, 1, 1, 0, 0]
    assert ndcg_at_k(ranks, k=10) == pytest.approx(
        [1, 1 / math.log2(3.5), 1 / math.log2(11.5), 0, 0]
    )
    assert mrr(ranks) == pytest.approx([1, 0.4, 1 / 10.5, 1 / 11, 0])
    assert mrr(ranks, k=10) == pytest.approx([1, 0.4, 1 / 10.5, 0, 0])
    assert float(hr_at_k(None, k=10)) == 0.0


def test_a_constant_scorer_has_the_accuracy_of_chance():
    rank = mean_rank(np.zeros(1001), 0)
    assert rank == 500
    assert float(hr_at_k(rank, k=10)) == 0.0


def test_lists_drop_repeats_before_they_are_ranked():
    assert rank_in_list(["a", "a", "b"], "b") == 1
    assert rank_in_list(["a"], "b") is None


def test_list_metrics_by_hand():
    items = ["a", "x", "b", "b"]
    assert recall_of_list(items, {"a", "b", "c"}, k=3) == pytest.approx(2 / 3)
    best = 1 + 1 / math.log2(3) + 1 / 2
    assert ndcg_of_list(items, {"a", "b", "c"}, k=3) == pytest.approx(1.5 / best)
    assert ndcg_of_list([], {"a"}, k=3) == 0.0
    assert ndcg_of_list(items, set(), k=3) is None
    assert recall_of_list(items, [], k=3) is None


@given(st.lists(st.text("abcdef", min_size=1, max_size=1), max_size=8), st.integers(1, 9))
def test_list_and_rank_agree_for_one_target(items, k):
    rank = rank_in_list(items, "a")
    assert ndcg_of_list(items, ["a"], k=k) == pytest.approx(float(ndcg_at_k(rank, k=k)))
    assert recall_of_list(items, ["a"], k=k) == float(hr_at_k(rank, k=k))


def test_a_cut_off_below_one_is_an_error():
    with pytest.raises(InvalidArgument, match="k=0"):
        hr_at_k(1, k=0)
