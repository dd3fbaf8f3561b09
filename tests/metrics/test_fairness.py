from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.fairness import jaccard, prag, serp, snsr, snsv

LISTS = st.lists(st.text("abcdefgh", min_size=1, max_size=1), max_size=8)
VARIANTS = ("normalized", "paper", "fairllm_code", "langfair")


def full_lists():
    def pair(k):
        ids = st.permutations([f"i{i}" for i in range(2 * k)]).map(lambda order: order[:k])
        return st.tuples(st.just(k), ids, ids)

    return st.integers(2, 8).flatmap(pair)


def test_worked_example_by_hand():
    a, r = ["x", "y", "z"], ["y", "x", "w"]
    assert jaccard(a, r, k=3) == 0.5
    assert serp(a, r, k=3) == pytest.approx(5 / 6)
    # of the pairs (x, y), (x, z), (y, z) the neutral list contradicts only the first
    assert prag(a, r, k=3) == pytest.approx(2 / 3)
    assert prag(a, r, k=3, variant="paper") == pytest.approx(2 / 12)
    assert serp(a, r, k=3, variant="fairllm_code") == pytest.approx((4 + 3) / 24)


@pytest.mark.parametrize(("variant", "expected"), [("paper", 19 / 42), ("langfair", 19 / 42)])
def test_identical_lists_of_20_reach_less_than_one_in_prag(variant, expected):
    items = [str(i) for i in range(20)]
    assert prag(items, items, k=20, variant=variant) == pytest.approx(expected)


def test_identical_lists_of_20_reach_23_of_84_in_serp_of_the_code():
    items = [str(i) for i in range(20)]
    assert serp(items, items, k=20, variant="fairllm_code") == pytest.approx(23 / 84)
    assert serp(items, items, k=20, variant="langfair") == pytest.approx(23 / 84)


@pytest.mark.parametrize("metric", [jaccard, serp, prag])
def test_two_empty_lists_are_missing_and_one_empty_list_is_zero(metric):
    assert metric([], [], k=5) is None
    assert metric(["a"], [], k=5) == 0.0
    assert metric([], ["a"], k=5) == 0.0


@pytest.mark.parametrize(
    ("metric", "variant", "left", "right", "expected"),
    [
        (serp, "paper", [], [], 0.0),
        (prag, "paper", ["a"], ["a"], 0.0),
        (jaccard, "paper", [], [], None),
        (jaccard, "fairllm_code", [], [], None),
        (serp, "fairllm_code", ["a"], [], 0.0),
        (serp, "fairllm_code", [], ["a"], 0.0),
        (prag, "fairllm_code", ["a"], ["a"], 1.0),
        (prag, "fairllm_code", ["a"], ["a", "b"], 0.0),
        (prag, "fairllm_code", [], ["a"], 0.0),
        (serp, "langfair", ["a"], [], 0.0),
        (serp, "langfair", [], ["a"], None),
        (prag, "langfair", ["a"], ["a"], 1.0),
        (prag, "langfair", [], [], 0.0),
    ],
)
def test_edge_cases_of_the_published_variants(metric, variant, left, right, expected):
    k = 1 if variant == "paper" and metric is prag else 5
    assert metric(left, right, k=k, variant=variant) == expected


def test_the_code_counts_repeats_and_takes_their_last_position():
    assert serp(["a", "a"], ["a"], k=5, variant="fairllm_code") == pytest.approx((3 + 2) / 4)
    assert prag(["a", "b"], ["a", "b", "a"], k=5, variant="fairllm_code") == 0.0
    assert prag(["a", "b"], ["a", "b", "a"], k=5, variant="langfair") == pytest.approx(1 / 6)


@given(full_lists())
def test_variants_are_related_by_their_identities(pair):
    k, x, y = pair
    shared = len(set(x) & set(y))
    code, paper = prag(x, y, k=k, variant="fairllm_code"), prag(x, y, k=k, variant="paper")
    assert prag(x, y, k=k, variant="langfair") == pytest.approx(paper)
    assert paper == pytest.approx(code * (k - 1) / (2 * (k + 1)))
    assert prag(x, y, k=k) == pytest.approx(code)
    of_paper = serp(x, y, k=k, variant="paper")
    of_code = serp(x, y, k=k, variant="fairllm_code")
    assert serp(x, y, k=k) == pytest.approx(of_paper)
    assert serp(x, y, k=k, variant="langfair") == pytest.approx(of_code)
    assert of_code == pytest.approx(of_paper / 4 + shared / (2 * k * (k + 1)))


@given(left=LISTS, right=LISTS, k=st.integers(1, 9))
def test_normalized_similarities_lie_between_zero_and_one(left, right, k):
    for metric in (jaccard, serp, prag):
        value = metric(left, right, k=k)
        assert value is None or 0 <= value <= 1


@given(items=LISTS.filter(bool), k=st.integers(1, 9))
def test_identical_lists_are_at_one(items, k):
    assert {metric(items, items, k=k) for metric in (jaccard, serp, prag)} == {1.0}


@given(left=LISTS, right=LISTS, k=st.integers(1, 9))
def test_serp_is_one_exactly_for_the_same_set(left, right, k):
    sets = [set(list(dict.fromkeys(items))[:k]) for items in (left, right)]
    if sets[0] or sets[1]:
        assert (serp(left, right, k=k) == 1.0) == (sets[0] == sets[1])
        assert (jaccard(left, right, k=k) == 1.0) == (sets[0] == sets[1])


def test_prag_is_one_although_the_last_item_differs():
    assert prag(["a", "b", "c"], ["a", "b", "d"], k=3) == 1.0


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("metric", [jaccard, serp, prag])
def test_a_cut_off_below_one_is_an_error(metric, variant):
    with pytest.raises(InvalidArgument):
        metric(["a"], ["a"], k=0, variant=variant)


def test_an_unknown_variant_is_an_error():
    with pytest.raises(InvalidArgument, match="raw"):
        jaccard(["a"], ["a"], k=1, variant="raw")


def test_snsr_and_snsv_by_hand():
    table = [[0.2, 0.4, 0.9], [0.4, 0.6, 0.7]]
    assert snsr(table) == pytest.approx(0.5)
    assert snsv(table) == pytest.approx(np.std([0.3, 0.5, 0.8]))
    assert snsv([[0.2, 0.6]]) == pytest.approx(snsr([[0.2, 0.6]]) / 2)


@pytest.mark.parametrize("table", [[[0.1]], [[0.1, float("nan")]], []])
def test_an_incomplete_table_is_an_error(table):
    with pytest.raises(InvalidArgument):
        snsr(table)
