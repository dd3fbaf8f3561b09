"""Masked copies keep all slots and the chosen words, in order."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auditkit.recommenders.prompting.word_masks import WordMasks, words_of

TEXT = "Recommend {k} movies to {who},\nwho watched: {history}"


def masks(words, *, share=0.5, copies=1_000):
    return WordMasks.draw(words, share=share, copies=copies, rng=np.random.default_rng(0))


def test_words_are_those_outside_slots():
    assert [TEXT[a:b] for a, b in words_of(TEXT)] == [
        "Recommend", "movies", "to", ",", "who", "watched:",
    ]  # fmt: skip


def test_copies_keep_slots_lines_and_the_chosen_words():
    drawn = masks(6, share=0.17)
    assert drawn.exact
    copies = drawn.copies(TEXT)
    assert copies[0] == "Recommend {k} {who}\n {history}"
    assert copies[5] == "{k} {who}\n watched: {history}"


def test_few_copies_are_drawn_without_all():
    drawn = masks(12, copies=20)
    assert not drawn.exact
    assert len(drawn.chosen) == 20
    assert all(len(set(chosen)) == 6 for chosen in drawn.chosen)


@given(st.lists(st.text(st.characters(categories=["L", "N", "P"], exclude_characters="{}"),
                        min_size=1), min_size=1, max_size=8), st.data())  # fmt: skip
def test_a_copy_depends_only_on_the_words_that_it_keeps(written, data):
    """Replaced words that a copy drops leave it byte-equal, which the certificate needs."""
    drawn = masks(len(written), share=data.draw(st.floats(0.1, 1)))
    text = " ".join(written) + " {history}"
    for chosen, copy in zip(drawn.chosen, drawn.copies(text), strict=True):
        other = [word if i in chosen else "replaced" for i, word in enumerate(written)]
        assert drawn.copies(" ".join(other) + " {history}")[drawn.chosen.index(chosen)] == copy
        assert re.findall(r"\S+", copy) == [*(written[i] for i in chosen), "{history}"]
