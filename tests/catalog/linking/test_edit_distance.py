from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA, DamerauLevenshtein
from rapidfuzz.fuzz import ratio

from auditkit.catalog.linking.edit_distance import (
    damerau_counter,
    damerau_in_python,
    osa_counter,
    osa_in_python,
    ratio_counter,
    ratio_in_python,
)


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [("heat", "heat", 0), ("heat", "haet", 1), ("heat", "eat", 1), ("ca", "abc", 3), ("", "ab", 2)],
)
def test_distance_counts_changes_and_one_swap_as_one(left, right, distance):
    assert osa_in_python(left, right, 3) == distance


def words(n, letters):
    rng = np.random.default_rng(0)
    return [
        "".join(rng.choice(list(letters), int(length))) for length in rng.integers(0, 12, size=n)
    ]


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_python_and_rapidfuzz_agree_on_ten_thousand_pairs(limit):
    left, right = words(10_000, "abc"), words(10_000, "abcd")[::-1]
    left[::2] = [word[:3] + word[4:] for word in right[::2]]
    ours = [osa_in_python(a, b, limit) for a, b in zip(left, right, strict=True)]
    theirs = [OSA.distance(a, b, score_cutoff=limit) for a, b in zip(left, right, strict=True)]
    assert ours == theirs == osa_counter()(left, right, limit)
    assert set(range(limit + 2)) <= set(ours)


@given(st.text(max_size=30), st.text(max_size=30))
def test_likeness_is_that_of_rapidfuzz(left, right):
    assert ratio_in_python(left, right) == pytest.approx(ratio(left, right))


def test_without_rapidfuzz_python_counts(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    monkeypatch.setitem(sys.modules, "rapidfuzz.fuzz", None)
    osa_counter.cache_clear()
    ratio_counter.cache_clear()
    try:
        assert osa_counter()(["heat"], ["haet"], 2) == [1]
        assert ratio_counter() is ratio_in_python
    finally:
        osa_counter.cache_clear()
        ratio_counter.cache_clear()


def test_two_swapped_letters_may_be_edited_again():
    assert damerau_in_python("nian", "ninja", 2) == 2
    assert osa_in_python("nian", "ninja", 3) == 3


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_both_ways_to_count_edits_of_edited_letters_agree_with_rapidfuzz(limit):
    left, right = words(10_000, "abc"), words(10_000, "abcd")[::-1]
    left[::2] = [word[1:3] + word[:1] + word[4:] for word in right[::2]]
    theirs = [
        DamerauLevenshtein.distance(a, b, score_cutoff=limit)
        for a, b in zip(left, right, strict=True)
    ]
    assert [damerau_in_python(a, b, limit) for a, b in zip(left, right, strict=True)] == theirs
    assert damerau_counter()(left, right, limit) == theirs
    assert 0 < sum(distance <= limit for distance in theirs) < 10_000
