"""The certificate against every replacement that exists, and its confidence by simulation."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InvalidArgument
from auditkit.metrics.certificate import certified_words, reached_share
from auditkit.probes.robustness.certificate import certify
from auditkit.recommenders.prompting.word_masks import WordMasks


def test_worked_example():
    # 10 words, 2 kept: 45 copies, of which 9 keep a given word and 17 one of two given words.
    assert reached_share(words=10, kept=2, changed=1) == pytest.approx(9 / 45)
    assert reached_share(words=10, kept=2, changed=2) == pytest.approx(17 / 45)
    assert certified_words(1.0, words=10, kept=2) == 2
    assert certified_words(0.71, words=10, kept=2) == 1
    assert certified_words(0.69, words=10, kept=2) == 0
    assert certified_words(0.5, words=10, kept=2) is None


@given(st.integers(1, 9), st.data())
def test_reached_share_counts_the_masks(words, data):
    kept, changed = data.draw(st.integers(0, words)), data.draw(st.integers(0, words))
    masks = list(combinations(range(words), kept))
    reached = sum(any(position < changed for position in mask) for mask in masks)
    assert reached_share(words=words, kept=kept, changed=changed) == pytest.approx(
        reached / len(masks)
    )


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 12), st.data())
def test_a_larger_share_never_certifies_fewer_words(a, b, words, data):
    kept = data.draw(st.integers(1, words))
    less, more = (certified_words(s, words=words, kept=kept) for s in sorted((a, b)))
    assert (-1 if less is None else less) <= (-1 if more is None else more)


@pytest.mark.parametrize(
    "wrong", [{"words": 0, "kept": 0}, {"words": 3, "kept": 4}, {"words": 3, "kept": -1}]
)
def test_numbers_that_do_not_fit_are_refused(wrong):
    with pytest.raises(InvalidArgument, match="Give"):
        certified_words(0.9, **wrong)
    with pytest.raises(InvalidArgument, match="share"):
        certified_words(1.1, words=3, kept=1)


def winner(words, masks, first):
    votes = [first(tuple((i, words[i]) for i in mask)) for mask in masks]
    return max(sorted(set(votes)), key=votes.count), votes


@given(st.integers(2, 4), st.data(), st.integers(0, 2**32))
def test_no_replacement_of_certified_words_changes_the_winner(words, data, seed):
    """Every text over three words per place is tried, for a recommender that answers at random."""
    kept = data.draw(st.integers(1, words))
    lean = data.draw(st.floats(0.5, 1))

    def first(shown):
        rng = np.random.default_rng([seed, *(10 * i + w for i, w in shown)])
        return "a" if rng.random() < lean else str(rng.integers(3))

    masks = WordMasks.draw(words, share=kept / words, copies=99, rng=np.random.default_rng(0))
    assert masks.exact
    clean, votes = winner((0,) * words, masks.chosen, first)
    allowed = certify(votes, masks, confidence=0.95)
    if allowed is None:
        return
    for text in product(range(3), repeat=words):
        if sum(word != 0 for word in text) <= allowed:
            assert winner(text, masks.chosen, first)[0] == clean


def test_confidence_of_drawn_copies_is_kept():
    """The certificate exceeds what the exact share allows in at most 5 % of 2,000 draws."""
    words, share, exceeded, n = 12, 0.3, 0, 2_000
    kept = 4
    every = list(combinations(range(words), kept))
    assert len(every) == comb(words, kept)
    for seed in range(n):
        rng = np.random.default_rng(seed)
        # The exact share is just too small for one word, which a lucky draw would certify.
        level = 0.5 + reached_share(words=words, kept=kept, changed=1) - 1e-3
        wins = set(rng.permutation(len(every))[: int(level * len(every))].tolist())
        votes_of = {mask: "a" if i in wins else "b" for i, mask in enumerate(every)}
        masks = WordMasks.draw(words, share=share, copies=80, rng=rng)
        assert (masks.kept, masks.exact) == (kept, False)
        found = certify([votes_of[mask] for mask in masks.chosen], masks, confidence=0.95)
        exceeded += found is not None and found >= 1
    assert exceeded / n <= 0.05 + 3 * (0.05 * 0.95 / n) ** 0.5
    assert exceeded > 0  # the test can fail
