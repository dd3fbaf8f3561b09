from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_similarities import NAIVE

from auditkit.errors import InvalidArgument
from auditkit.metrics.ranking import jaccard_at_k, prag_at_k, serp_at_k

METRICS = {"jaccard": jaccard_at_k, "serp": serp_at_k, "prag": prag_at_k}
VARIANTS = ("normalized", "paper", "fairllm_code", "langfair")
LISTS = st.lists(st.text("abcdefgh", min_size=1, max_size=1), max_size=8)


def generated_pairs(n, seed):
    """Full, short, empty and repeated lists; some pairs equal, some cut inside a repeat."""
    draw = random.Random(seed)
    for _ in range(n):
        k = draw.choice((1, 1, 2, 3, 5, 8, 10, 20))
        letters = [f"i{n}" for n in range(draw.choice((1, 2, 4, 8, 25)))]
        lists = [
            draw.choices(letters, k=draw.randint(0, k + 3))
            if draw.random() < 0.5
            else draw.sample(letters, min(draw.randint(0, k + 3), len(letters)))
            for _ in range(2)
        ]
        yield k, lists[0], lists[0] if draw.random() < 0.1 else lists[1]


def full_lists():
    def pair(k):
        ids = st.permutations([f"i{i}" for i in range(2 * k)]).map(lambda order: order[:k])
        return st.tuples(st.just(k), ids, ids)

    return st.integers(2, 20).flatmap(pair)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", list(METRICS))
def test_variant_equals_its_formula_written_as_plain_loops(name, variant):
    compared = 0
    for k, left, right in generated_pairs(1_000, seed=7):
        ours = METRICS[name](left, right, k=k, variant=variant)
        theirs = NAIVE[name, variant](left, right, k)
        assert (ours is None) == (theirs is None), (k, left, right)
        if ours is not None:
            assert ours == pytest.approx(theirs, rel=0, abs=1e-12), (k, left, right)
            compared += 1
    assert compared > 500


@pytest.mark.parametrize(
    ("name", "kind"), [("jaccard", "JaccardSimilarity"), ("serp", "SERP"), ("prag", "PRAG")]
)
def test_langfair_variant_equals_langfair_where_it_is_installed(name, kind):
    langfair = pytest.importorskip("langfair.metrics.recommendation.metrics")
    metric = getattr(langfair, kind)()
    for k, left, right in generated_pairs(10_000, seed=11):
        ours = METRICS[name](left, right, k=k, variant="langfair")
        try:
            assert ours == metric.evaluate(left[:k], right[:k])
        except ZeroDivisionError:
            assert ours is None


def test_worked_example_by_hand():
    a, r = ["x", "y", "z"], ["y", "x", "w"]
    assert jaccard_at_k(a, r, k=3) == 0.5
    assert serp_at_k(a, r, k=3) == pytest.approx(5 / 6)
    # of the pairs (x, y), (x, z), (y, z) the neutral list contradicts only the first
    assert prag_at_k(a, r, k=3) == pytest.approx(2 / 3)
    assert prag_at_k(a, r, k=3, variant="paper") == pytest.approx(2 / 12)
    assert serp_at_k(a, r, k=3, variant="fairllm_code") == pytest.approx((4 + 3) / 24)


def test_normalized_variant_divides_by_the_longer_list_and_the_paper_by_k():
    a, r = ["x", "y"], ["x", "y", "z"]
    assert serp_at_k(a, r, k=10) == pytest.approx((3 + 2) / 6)
    assert serp_at_k(a, r, k=10, variant="paper") == pytest.approx((10 + 9) / 55)
    assert prag_at_k(a, r, k=10) == pytest.approx(1 / 3)
    assert prag_at_k(a, r, k=10, variant="paper") == pytest.approx(1 / 110)


def test_repeats_leave_before_the_cut_where_the_variant_drops_them():
    a, r = ["x", "x", "y"], ["x", "y"]
    assert jaccard_at_k(a, r, k=2) == 1.0
    assert jaccard_at_k(a, r, k=2, variant="paper") == 1.0
    assert jaccard_at_k(a, r, k=2, variant="fairllm_code") == 0.5
    assert jaccard_at_k(a, r, k=2, variant="langfair") == 0.5


@pytest.mark.parametrize("variant", ["paper", "langfair"])
def test_identical_lists_of_20_reach_less_than_one_in_prag(variant):
    items = [str(i) for i in range(20)]
    assert prag_at_k(items, items, k=20, variant=variant) == pytest.approx(19 / 42)


@pytest.mark.parametrize("variant", ["fairllm_code", "langfair"])
def test_identical_lists_of_20_reach_23_of_84_in_serp_of_the_code(variant):
    items = [str(i) for i in range(20)]
    assert serp_at_k(items, items, k=20, variant=variant) == pytest.approx(23 / 84)


def test_serp_of_the_code_exceeds_one_for_a_short_neutral_list():
    assert serp_at_k(["a", "b", "c", "d"], ["a"], k=5, variant="fairllm_code") == 5 / 4


@pytest.mark.parametrize("metric", list(METRICS.values()))
def test_two_empty_lists_are_missing_and_one_empty_list_is_zero(metric):
    assert metric([], [], k=5) is None
    assert metric(["a"], [], k=5) == 0.0
    assert metric([], ["a"], k=5) == 0.0


@pytest.mark.parametrize("k", [1, 5])
def test_one_item_agrees_with_itself_only(k):
    for metric in METRICS.values():
        assert metric(["a"], ["a"], k=k) == 1.0
        assert metric(["a"], ["b"], k=k) == 0.0


@pytest.mark.parametrize(
    ("metric", "variant", "left", "right", "expected"),
    [
        (jaccard_at_k, "paper", [], [], None),
        (serp_at_k, "paper", [], [], 0.0),
        (prag_at_k, "paper", [], [], 0.0),
        (prag_at_k, "paper", ["a"], ["a"], 0.0),
        (jaccard_at_k, "fairllm_code", [], [], None),
        (serp_at_k, "fairllm_code", [], [], 0.0),
        (serp_at_k, "fairllm_code", ["a"], [], 0.0),
        (serp_at_k, "fairllm_code", [], ["a"], 0.0),
        (prag_at_k, "fairllm_code", ["a"], ["a"], 1.0),
        (prag_at_k, "fairllm_code", ["a"], ["a", "b"], 0.0),
        (prag_at_k, "fairllm_code", [], ["a"], 0.0),
        (jaccard_at_k, "langfair", [], [], None),
        (serp_at_k, "langfair", [], [], 0.0),
        (serp_at_k, "langfair", ["a"], [], 0.0),
        (serp_at_k, "langfair", [], ["a"], None),
        (prag_at_k, "langfair", ["a"], ["a"], 1.0),
        (prag_at_k, "langfair", [], [], 0.0),
    ],
)
def test_edge_cases_of_the_published_variants(metric, variant, left, right, expected):
    assert metric(left, right, k=5, variant=variant) == expected


def test_prag_of_the_paper_is_zero_for_one_item():
    assert prag_at_k(["a", "b"], ["a", "b"], k=1, variant="paper") == 0.0


def test_the_code_counts_repeats_and_takes_their_last_position():
    assert serp_at_k(["a", "a"], ["a"], k=5, variant="fairllm_code") == pytest.approx(5 / 4)
    assert prag_at_k(["a", "b"], ["a", "b", "a"], k=5, variant="fairllm_code") == 0.0
    assert prag_at_k(["a", "b"], ["a", "b", "a"], k=5, variant="langfair") == pytest.approx(1 / 6)


@given(full_lists())
def test_variants_are_related_by_their_identities(pair):
    k, x, y = pair
    shared = len(set(x) & set(y))
    code = prag_at_k(x, y, k=k, variant="fairllm_code")
    paper = prag_at_k(x, y, k=k, variant="paper")
    assert prag_at_k(x, y, k=k, variant="langfair") == pytest.approx(paper, abs=1e-12)
    assert paper == pytest.approx(code * (k - 1) / (2 * (k + 1)), abs=1e-12)
    assert prag_at_k(x, y, k=k) == pytest.approx(code, abs=1e-12)
    of_paper = serp_at_k(x, y, k=k, variant="paper")
    of_code = serp_at_k(x, y, k=k, variant="fairllm_code")
    assert serp_at_k(x, y, k=k) == pytest.approx(of_paper, abs=1e-12)
    assert serp_at_k(x, y, k=k, variant="langfair") == pytest.approx(of_code, abs=1e-12)
    assert of_code == pytest.approx(of_paper / 4 + shared / (2 * k * (k + 1)), abs=1e-12)


@given(left=LISTS, right=LISTS, k=st.integers(1, 9))
def test_normalized_similarities_lie_between_zero_and_one(left, right, k):
    for metric in METRICS.values():
        value = metric(left, right, k=k)
        assert value is None or 0 <= value <= 1


@given(left=LISTS, right=LISTS, k=st.integers(1, 9), variant=st.sampled_from(VARIANTS))
def test_jaccard_is_symmetric(left, right, k, variant):
    forth = jaccard_at_k(left, right, k=k, variant=variant)
    assert forth == jaccard_at_k(right, left, k=k, variant=variant)


@given(items=LISTS.filter(bool), k=st.integers(1, 9))
def test_identical_lists_are_at_one(items, k):
    assert {metric(items, items, k=k) for metric in METRICS.values()} == {1.0}


@given(left=LISTS, right=LISTS, k=st.integers(1, 9))
def test_jaccard_and_serp_are_one_exactly_for_the_same_set(left, right, k):
    sets = [set(list(dict.fromkeys(items))[:k]) for items in (left, right)]
    if sets[0] or sets[1]:
        assert (serp_at_k(left, right, k=k) == 1.0) == (sets[0] == sets[1])
        assert (jaccard_at_k(left, right, k=k) == 1.0) == (sets[0] == sets[1])


@given(left=LISTS, right=LISTS, k=st.integers(1, 9))
def test_prag_is_one_for_identical_lists_or_a_foreign_last_item_only(left, right, k):
    a, r = (list(dict.fromkeys(items))[:k] for items in (left, right))
    if not a and not r:
        return
    foreign_last = (
        len(a) == max(len(a), len(r)) > 1
        and a[-1] not in r
        and [item for item in r if item in a] == a[:-1]
    )
    assert (prag_at_k(left, right, k=k) == 1.0) == (a == r or foreign_last)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("metric", list(METRICS.values()))
def test_a_cut_off_below_one_is_an_error(metric, variant):
    with pytest.raises(InvalidArgument):
        metric(["a"], ["a"], k=0, variant=variant)


def test_an_unknown_variant_is_an_error():
    with pytest.raises(InvalidArgument, match="raw"):
        jaccard_at_k(["a"], ["a"], k=1, variant="raw")
