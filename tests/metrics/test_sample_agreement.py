from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.sample_agreement import agreement, majority

LISTS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=8)


def test_agreement_by_hand():
    samples = [["a", "b"], ["b", "a"], ["a", "c"], []]
    assert agreement(["a", "b", "x"], samples) == [0.75, 0.5, 0.0]


def test_vote_by_hand():
    """a is in three of four samples, b and c in two, where c is higher; d is in one."""
    samples = [["a", "b"], ["c", "a", "b"], ["a", "c"], ["d"]]
    assert majority(samples, k=5) == [("a", 0.75), ("c", 0.5), ("b", 0.5)]
    assert majority(samples, k=1) == [("a", 0.75)]
    assert majority(samples, k=5, share=0.75) == [("a", 0.75)]


@given(st.lists(st.sampled_from("abcdef")), LISTS)
def test_agreement_is_a_fraction_per_item(listed, samples):
    found = agreement(listed, samples)
    assert len(found) == len(listed)
    assert all(0 <= value <= 1 for value in found)


@given(st.lists(st.sampled_from("abcdef")), LISTS, st.randoms())
def test_order_of_samples_and_items_does_not_matter(listed, samples, draw):
    shuffled = [draw.sample(one, len(one)) for one in draw.sample(samples, len(samples))]
    assert agreement(listed, shuffled) == agreement(listed, samples)


@given(LISTS, st.integers(1, 6), st.randoms())
def test_vote_does_not_depend_on_the_order_of_the_samples(samples, k, draw):
    assert majority(draw.sample(samples, len(samples)), k=k) == majority(samples, k=k)


@given(LISTS, st.integers(1, 6))
def test_vote_has_at_most_k_items_that_half_of_the_samples_contain(samples, k):
    found = majority(samples, k=k)
    assert len(found) <= k
    shares = [share for _, share in found]
    assert shares == agreement([item for item, _ in found], samples)
    assert shares == sorted(shares, reverse=True)
    assert all(share >= 0.5 for share in shares)


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.integers(1, 5))
def test_equal_samples_agree_wholly_and_vote_for_themselves(listed, n):
    assert agreement(listed, [listed] * n) == [1] * len(listed)
    assert [item for item, _ in majority([listed] * n, k=6)] == listed


def test_no_sample_is_refused():
    with pytest.raises(InvalidArgument, match="no sample"):
        agreement(["a"], [])
    with pytest.raises(InvalidArgument, match="k=0"):
        majority([["a"]], k=0)
