"""Agreement of stated reasons with attribution and deletions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.stated_reasons import (
    Deletion,
    chance_of_hit,
    is_hit,
    pooled_p_values,
    positive_mass,
)


def test_a_hit_is_a_stated_item_among_the_first_k():
    assert is_hit([2, 0, 1], [0], k=2)
    assert not is_hit([2, 0, 1], [1], k=2)
    assert is_hit([2, 0, 1], [1, 2], k=1)


@given(n=st.integers(1, 7), data=st.data())
def test_chance_of_a_hit_is_the_share_of_sets_that_hit(n, data):
    size, k = data.draw(st.integers(1, n)), data.draw(st.integers(1, 9))
    sets = list(combinations(range(n), size))
    share = np.mean([is_hit(range(n), own, k=k) for own in sets])
    assert chance_of_hit(n, size, k=k) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(("n", "size", "k"), [(5, 0, 1), (5, 6, 1), (5, 1, 0)])
def test_a_hit_needs_stated_items_and_a_cut(n, size, k):
    with pytest.raises(InvalidArgument):
        chance_of_hit(n, size, k=k)
    with pytest.raises(InvalidArgument):
        is_hit(range(n), range(size), k=k)


def test_a_hit_needs_positions_of_the_order():
    with pytest.raises(InvalidArgument, match="only positions in the order"):
        is_hit([0, 1], [2], k=1)


def test_positive_mass_ignores_negative_effects():
    assert positive_mass([3.0, -5.0, 1.0], [0]) == pytest.approx(0.75)
    assert positive_mass([3.0, -5.0, 1.0], [1]) == 0
    assert positive_mass([0.0, -1.0], [0]) is None


def test_deletion_effect_is_the_drop_beyond_that_of_controls():
    assert Deletion(1, 3.0, (1.0, 0.0, 2.0)).effect == pytest.approx(2.0)


def test_pooled_p_value_by_hand():
    flat = Deletion(1, 0.0, (0.0,) * 50)
    strong = Deletion(1, 2.0, (0.0,) * 49)
    assert pooled_p_values({"a": flat, "b": strong}) == {"a": 1.0, "b": 1 / 100}
    few = pooled_p_values({"a": flat, "b": Deletion(1, 2.0, (0.0,) * 48)})
    assert few == {"a": None, "b": None}


def test_controls_of_other_sizes_and_single_controls_are_not_pooled():
    many = Deletion(1, 1.0, (0.0,) * 99)
    found = pooled_p_values({"a": many, "b": Deletion(2, 1.0, (0.0,) * 98), "c": many})
    assert (found["a"], found["b"]) == (1 / 199, None)
    assert pooled_p_values({str(i): Deletion(1, 1.0, (0.0,)) for i in range(200)})["7"] is None


def test_p_values_of_random_reasons_are_uniform_enough():
    """A reason drawn like its controls is significant in about 5 % of cases."""
    rng = np.random.default_rng(0)
    drops = rng.exponential(size=(400, 10))
    deletions = {str(i): Deletion(1, row[0], tuple(row[1:])) for i, row in enumerate(drops)}
    p_values = np.array(list(pooled_p_values(deletions).values()))
    assert 0.02 < np.mean(p_values < 0.05) < 0.08
