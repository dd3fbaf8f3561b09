"""Noise operators change the stated number of places, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from auditkit.perturb.noise import NOISE
from auditkit.recommenders.wrappers.canonicalization import Canonicalizer

TEXT = "Please recommend ten films that I have not seen, with reasons: be honest."
INVISIBLE = ("zerowidth", "deletion_control")


@pytest.mark.parametrize("name", list(NOISE))
def test_the_same_seed_gives_the_same_text_and_the_text_is_changed(name):
    one, other = (NOISE[name].change(TEXT, np.random.default_rng(1), 2) for _ in range(2))
    assert one == other != TEXT


@pytest.mark.parametrize("name", list(NOISE))
@pytest.mark.parametrize("text", ["", "   ", "- -"])
def test_a_text_without_a_fitting_place_is_unchanged(name, text):
    changed = NOISE[name].change(text, np.random.default_rng(0), 3)
    assert changed == text or name == "punctuation"


@pytest.mark.parametrize(
    ("name", "per_edit"), [("keyboard", 1), ("joined_words", 1), ("typing", 2)]
)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_number_of_edits_is_the_stated_one(name, per_edit, count):
    changed = NOISE[name].change(TEXT, np.random.default_rng(count), count)
    distance = Levenshtein.distance(TEXT, changed)
    assert count <= distance <= per_edit * count


def test_a_key_is_replaced_by_its_neighbor_in_the_same_case():
    changed = NOISE["keyboard"].change("QQQQ", np.random.default_rng(0), 4)
    assert set(changed) <= {"W", "A"}


@pytest.mark.parametrize("name", INVISIBLE)
@given(text=st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=50),
       seed=st.integers(0, 99), count=st.integers(1, 5))  # fmt: skip
def test_canonical_text_undoes_what_is_invisible(name, text, seed, count):
    changed = NOISE[name].change(text, np.random.default_rng(seed), count)
    assert Canonicalizer([]).text(changed).split() == text.split()


@pytest.mark.parametrize("name", list(NOISE))
@given(text=st.text(max_size=40), seed=st.integers(0, 9), count=st.integers(1, 60))
def test_any_text_and_any_number_of_edits_are_accepted(name, text, seed, count):
    assert isinstance(NOISE[name].change(text, np.random.default_rng(seed), count), str)
