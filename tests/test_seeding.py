"""Chance depends on seed and names only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from auditkit.seeding import generator, request_seed


@given(st.integers(0, 2**40), st.text(), st.text())
def test_same_seed_and_names_draw_the_same(seed, first, second):
    assert generator(seed, first, second).random() == generator(seed, first, second).random()


@given(st.integers(0, 2**40), st.text(st.characters(codec="ascii")))
def test_another_seed_draws_differently(seed, name):
    assert generator(seed, name).random() != generator(seed + 1, name).random()


def test_another_name_draws_differently():
    assert generator(0, "a").random() != generator(0, "b").random()


def test_generators_do_not_disturb_each_other():
    first = generator(0, "a")
    first.random(3)
    expected = generator(0, "a").random(4)[3]
    generator(0, "b").random(100)
    assert first.random() == expected


@given(st.integers(0, 2**40), st.text(st.characters(codec="ascii")))
def test_request_seed_fits_a_signed_64_bit_integer(seed, request_id):
    assert 0 <= request_seed(seed, request_id) < 2**63
