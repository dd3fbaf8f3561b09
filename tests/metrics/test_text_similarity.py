from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.metrics.text_similarity import chrf, trigram_cosine

TEXTS = st.text(alphabet="abcde xyzİß\u200b(1)", max_size=40)


def test_chrf_of_one_substituted_letter_by_hand():
    # n=1: 2 of 3, n=2: 1 of 2, n=3: 0 of 1; mean 7/18, and precision equals recall.
    assert chrf("abc", "abd") == pytest.approx(7 / 18)


def test_chrf_counts_recall_twice_as_much_as_precision():
    assert chrf("abcabc", "abc") > chrf("abc", "abcabc")


def test_adjacent_swaps_of_an_instruction_score_as_measured():
    clean = (
        "Recommend ten movies that this person would enjoy watching next given the following list "
        "of titles they already watched in recent months please"
    )
    three = clean.replace("movies", "mvoies").replace("titles", "titels").replace("next", "nxet")
    assert chrf(three, clean) == pytest.approx(0.89, abs=0.03)


@given(left=TEXTS, right=TEXTS)
def test_chrf_equals_sacrebleu(left, right):
    sacrebleu = pytest.importorskip("sacrebleu")
    if not "".join(left.split()) or not "".join(right.split()):
        return
    expected = sacrebleu.CHRF().sentence_score(left, [right]).score / 100
    assert chrf(left, right) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("similarity", [chrf, trigram_cosine])
@given(left=TEXTS, right=TEXTS)
def test_similarity_is_a_fraction_and_one_for_equal_texts(similarity, left, right):
    assert 0 <= similarity(left, right) <= 1
    assert similarity(left, left) == 1


@given(left=TEXTS, right=TEXTS)
def test_trigram_cosine_is_symmetric(left, right):
    assert trigram_cosine(left, right) == pytest.approx(trigram_cosine(right, left))


def test_texts_without_a_common_character_have_no_similarity():
    assert chrf("aaaa", "bbbb") == trigram_cosine("aaaa", "bbbb") == 0
    assert chrf("", "bbbb") == trigram_cosine("ab", "bbbb") == 0
