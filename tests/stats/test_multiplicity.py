"""Holm's adjustment against a worked example and its properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.stats.multiplicity import holm

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_nothing_to_adjust_is_nothing():
    assert holm([]) == []


@given(p_lists)
def test_adjusted_values_keep_the_order_and_never_shrink(p_values):
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    ranked = [a for _, a in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)


@given(p_lists, st.randoms())
def test_the_order_of_the_decisions_does_not_matter(p_values, random):
    order = list(range(len(p_values)))
    random.shuffle(order)
    shuffled = holm([p_values[i] for i in order])
    assert [holm(p_values)[i] for i in order] == shuffled
