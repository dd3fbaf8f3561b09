"""The smallest removals that change a top item, against a search through all of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.attribution import minimal_removal_sets


def tops_of(n, value):
    return {
        mask: value({i for i in range(n) if mask >> i & 1}) for mask in range(1 << n)
    }  # fmt: skip


def test_either_of_two_causes_needs_both_removed():
    found = minimal_removal_sets(tops_of(4, lambda s: bool(s & {1, 3})), n=4)
    assert found.sets == ((1, 3),)
    assert found.proven


def test_all_sets_of_the_smallest_size_are_listed_in_order():
    found = minimal_removal_sets(tops_of(4, lambda s: s >= {0, 2, 3}), n=4)
    assert found.sets == ((0,), (2,), (3,))


def test_a_top_item_that_nothing_changes_has_no_set():
    found = minimal_removal_sets(tops_of(3, lambda s: "always"), n=3)
    assert found == ((), 3)
    assert not found.proven


def test_a_set_found_without_all_smaller_ones_is_not_proven():
    everything = 0b1111
    tops = {everything: "a", 0b1110: "a", 0b1101: "a", 0b0011: "b"}
    found = minimal_removal_sets(tops, n=4)
    assert found == (((2, 3),), 0)
    assert not found.proven
    single = {everything ^ 1 << i: "a" for i in range(4)}
    assert minimal_removal_sets(tops | single, n=4).searched == 1


def test_ties_of_values_are_won_by_the_lower_candidate():
    values = np.array([[1.0, 1.0], [0.0, 2.0], [2.0, 2.0], [2.0, 1.0]])
    found = minimal_removal_sets(dict(enumerate(values.argmax(axis=1))), n=2)
    assert found.sets == ((1,),)


@given(n=st.integers(1, 6), seed=st.integers(0, 999), rare=st.floats(0, 1))
def test_sets_equal_those_of_a_search_through_all_removals(n, seed, rare):
    rng = np.random.default_rng(seed)
    tops = {mask: int(rng.random() < rare) for mask in range(1 << n)}
    whole = (1 << n) - 1
    changing = [
        removal
        for size in range(1, n + 1)
        for removal in combinations(range(n), size)
        if tops[whole - sum(2**i for i in removal)] != tops[whole]
    ]
    smallest = [r for r in changing if len(r) == len(changing[0])] if changing else []
    found = minimal_removal_sets(tops, n=n)
    assert list(found.sets) == smallest
    assert found.proven is bool(smallest)


@pytest.mark.parametrize(("tops", "n"), [({}, 2), ({3: 0, 4: 0}, 2), ({0: 0}, 0), ({0: 0}, 21)])
def test_removal_sets_refuse_a_missing_whole_or_a_strange_mask(tops, n):
    with pytest.raises(InvalidArgument):
        minimal_removal_sets(tops, n=n)
