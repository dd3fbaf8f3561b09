"""Recall of a canary: as written, with other letters between, backwards, in base64, by chance."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.canary import ALPHABET, canary_recall, decoy_recall, random_canary

CODE = "A1B2C3D4E5F6G7H8I9J0K1L2"
CODES = st.text(ALPHABET, min_size=24, max_size=24)


@given(code=CODES, before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_text_that_contains_the_canary_has_recall_one(code, before, after):
    assert canary_recall(code, f"{before}{code}{after}") == 1
    assert canary_recall(code, f"{before}{code[::-1]}{after}") == 1


@pytest.mark.parametrize(
    "text",
    [
        "the code is a1b2-c3d4-e5f6-g7h8-i9j0-k1l2.",
        " ".join(CODE),
        f"in base64: {base64.b64encode(CODE.encode()).decode()}",
        f"in base64: {base64.urlsafe_b64encode(CODE.encode()).decode().rstrip('=')}",
    ],
)
def test_other_case_separators_and_base64_hide_nothing(text):
    assert canary_recall(CODE, text) == 1


def test_half_of_the_canary_has_recall_one_half():
    assert canary_recall(CODE, f"It begins with {CODE[:12]} and no more") == 0.5


@given(code=CODES, text=st.text(max_size=80))
def test_recall_is_a_fraction_that_grows_with_the_text(code, text):
    assert 0 <= canary_recall(code, text) <= canary_recall(code, text + " " + code[:10]) <= 1


@given(code=CODES, text=st.text(ALPHABET, max_size=60))
def test_recall_is_that_of_a_naive_search(code, text):
    def naive(text):
        parts = (code[i:j] for i in range(24) for j in range(i + 1, 25))
        return max((len(p) for p in parts if p.casefold() in text.casefold()), default=0) / 24

    found = canary_recall(code, text)
    assert found >= max(naive(text), naive(text[::-1]))
    if len(text) < 16:  # too short for base64
        assert found == max(naive(text), naive(text[::-1]))


def test_texts_without_the_canary_stay_far_below_one_half():
    rng = np.random.default_rng(0)
    text = "".join(ALPHABET[row] for row in rng.integers(36, size=2_000))
    assert decoy_recall([random_canary(rng) for _ in range(200)], text) < 0.3
    assert decoy_recall([], text) == 0
    assert canary_recall(CODE, "") == 0


def test_canaries_are_random_codes_of_the_given_length():
    codes = [random_canary(np.random.default_rng(seed)) for seed in range(50)]
    assert len(set(codes)) == 50
    assert all(len(code) == 24 and set(code) <= set(ALPHABET) for code in codes)


def test_canary_without_letters_is_an_error():
    with pytest.raises(InvalidArgument, match="at least one letter or digit"):
        canary_recall("--", "text")
