from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import ndcg_score

from auditkit.errors import InvalidArgument
from auditkit.metrics.ranking import (
    chance_of_a_hit,
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


LISTED = st.lists(st.text("abcdef", min_size=1, max_size=1), max_size=8)
TARGETS = st.sets(st.text("abcdef", min_size=1, max_size=1), min_size=1)
CUT = st.integers(1, 9)


@given(items=LISTED, targets=TARGETS, k=CUT)
def test_list_metrics_lie_between_nothing_found_and_the_best_possible(items, targets, k):
    unique = list(dict.fromkeys(items))[:k]
    hits = len(targets & set(unique))
    assert recall_of_list(items, targets, k=k) == hits / len(targets)
    gain = ndcg_of_list(items, targets, k=k)
    assert 0 <= gain <= 1 + 1e-12
    assert (gain == 0) == (hits == 0)
    ideal = set(unique[: min(k, len(targets))]) <= targets and hits == min(k, len(targets))
    assert (gain == pytest.approx(1)) == ideal


@given(items=LISTED, targets=TARGETS, k=CUT, extra=LISTED)
def test_a_longer_list_never_finds_less(items, targets, k, extra):
    for metric in (recall_of_list, ndcg_of_list):
        assert metric([*items, *extra], targets, k=k) >= metric(items, targets, k=k)


@given(items=LISTED, targets=TARGETS, k=CUT, seed=st.integers(0, 99))
def test_a_hit_nearer_the_top_never_lowers_ndcg(items, targets, k, seed):
    unique = list(dict.fromkeys(items))
    best = sorted(unique, key=lambda item: item not in targets)
    shuffled = np.random.default_rng(seed).permutation(unique).tolist()
    assert ndcg_of_list(best, targets, k=k) >= ndcg_of_list(shuffled, targets, k=k) - 1e-12


@given(n=st.integers(2, 30), data=st.data())
def test_ndcg_of_several_targets_equals_scikit_learn(n, data):
    ranked = data.draw(st.permutations(range(n)))
    targets = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    k = data.draw(st.integers(1, n))
    relevant = np.isin(np.arange(n), list(targets)).astype(float)
    scores = np.empty(n)
    scores[ranked] = np.arange(n, 0, -1)
    found = ndcg_of_list([str(item) for item in ranked], {str(t) for t in targets}, k=k)
    assert found == pytest.approx(ndcg_score([relevant], [scores], k=k))


@given(st.lists(st.text("abcdef", min_size=1, max_size=1), max_size=8), st.integers(1, 9))
def test_list_and_rank_agree_for_one_target(items, k):
    rank = rank_in_list(items, "a")
    assert ndcg_of_list(items, ["a"], k=k) == pytest.approx(float(ndcg_at_k(rank, k=k)))
    assert recall_of_list(items, ["a"], k=k) == float(hr_at_k(rank, k=k))


def test_a_cut_off_below_one_is_an_error():
    with pytest.raises(InvalidArgument, match="k=0"):
        hr_at_k(1, k=0)
    for metric in (recall_of_list, ndcg_of_list):
        with pytest.raises(InvalidArgument, match="k=0"):
            metric(["a"], {"a"}, k=0)


def test_a_random_ranking_hits_one_target_in_k_of_n_cases():
    assert chance_of_a_hit(60, 1, k=10) == pytest.approx(1 / 6)
    assert chance_of_a_hit(60, 0, k=10) == 0
    assert chance_of_a_hit(5, 1, k=10) == 1


def test_a_random_ranking_hits_several_targets_more_often():
    draw = np.random.default_rng(0)
    hits = [draw.permutation(30)[:5].min() < 4 for _ in range(20_000)]
    assert chance_of_a_hit(30, 4, k=5) == pytest.approx(np.mean(hits), abs=0.01)


@pytest.mark.parametrize(("n", "t", "k"), [(0, 0, 1), (3, 4, 1), (3, 1, 0)])
def test_a_chance_that_does_not_exist_is_an_error(n, t, k):
    with pytest.raises(InvalidArgument):
        chance_of_a_hit(n, t, k=k)
