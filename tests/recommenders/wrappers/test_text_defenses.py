# ruff: noqa: RUF001 -- look-alike letters are what is tested
"""Canonical text and snapped titles: what they undo, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import TargetUnavailable
from auditkit.perturb.text import EDITS
from auditkit.recommenders.loading.load import load_recommender
from auditkit.recommenders.wrappers.canonicalization import Canonicalizer
from auditkit.recommenders.wrappers.title_snapping import TitleSnapper
from auditkit.types import Item, Request

# The letters of TextAttack 0.3.11 (WordSwapHomoglyphSwap).
LOOK_ALIKES = dict(zip("abcdefghijklmnopqrstuvwxyz", "ɑЬϲԁе𝚏ɡհіϳ𝒌ⅼｍոорԛⲅѕ𝚝սѵԝ×уᴢ", strict=True))


@pytest.fixture(scope="module")
def titles(ml100k):
    return [item.display_title for item in ml100k.catalog.items]


def test_at_least_25_of_26_look_alike_letters_are_undone():
    canonical = Canonicalizer([])
    undone = [letter for letter, other in LOOK_ALIKES.items() if canonical.text(other) == letter]
    assert len(undone) >= 25


def test_no_clean_title_is_changed(titles):
    for known in ([], titles):
        canonical = Canonicalizer(known)
        assert [title for title in titles if canonical.text(title) != title] == []


@pytest.mark.parametrize("title", [
    "Amélie (2001)", "İstanbul Hatırası", "½ Pint Jug", "Солярис", "Straße", "千と千尋の神隠し",
])  # fmt: skip
def test_titles_of_the_catalog_are_kept_in_any_script(title):
    assert Canonicalizer([title]).text(title) == title


def test_words_of_a_script_that_the_catalog_uses_are_not_folded():
    assert Canonicalizer(["Солярис"]).text("Сталкер") == "Сталкер"
    assert Canonicalizer(["Solaris"]).text("Sоlаris") == "Solaris"


def test_deletion_controls_are_applied():
    assert Canonicalizer([]).text("Hexe\bat\x7ft") == "Hexat"
    assert Canonicalizer([]).text("\bHeat\n\bHeat") == "Heat\nHeat"


def test_joiners_keep_their_meaning_where_a_script_uses_them():
    persian = "می\u200cخواهم"
    assert Canonicalizer([]).text(persian) == persian
    assert Canonicalizer([]).text("He\u200cat") == "Heat"


@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_canonical_text_is_stable_and_keeps_lines(text):
    once = Canonicalizer([]).text(text)
    assert Canonicalizer([]).text(once) == once
    assert once.count("\n") == text.count("\n")
    assert not {"\u200b", "\u202e", "\b", "\x7f"} & set(once)


@given(text=st.text(alphabet=[chr(c) for c in range(32, 127)], max_size=60))
def test_plain_text_only_loses_repeated_blanks(text):
    assert Canonicalizer([]).text(text).split() == text.split()


@pytest.mark.parametrize(("edit", "least"), [("homoglyph", 0.98), ("zerowidth", 1.0)])
def test_edited_titles_are_canonical_again(titles, edit, least):
    canonical, rng = Canonicalizer(titles), np.random.default_rng(0)
    edited = [EDITS[edit].change(title, rng, 1) for title in titles]
    pairs = [(t, e) for t, e in zip(titles, edited, strict=True) if t != e]
    recovered = np.mean([canonical.text(e) == t for t, e in pairs])
    assert len(pairs) > 1_500
    assert recovered >= least


def misspelled(title, rng, count):
    """Random replacements, insertions, deletions and swaps outside a year at the end."""
    end = title.rfind(" (") if title.endswith(")") and " (" in title else len(title)
    core, rest = list(title[:end]), title[end:]
    for _ in range(count):
        at, kind = int(rng.integers(len(core))), int(rng.integers(4))
        letter = chr(ord("a") + int(rng.integers(26)))
        if kind == 0:
            core[at] = letter
        elif kind == 1:
            core.insert(at, letter)
        elif kind == 2 and len(core) > 4:
            del core[at]
        elif at + 1 < len(core):
            core[at], core[at + 1] = core[at + 1], core[at]
    return "".join(core) + rest


@pytest.mark.parametrize("count", [1, 3])
def test_snapping_recovers_titles_of_at_least_ten_letters(titles, count):
    snapper, rng = TitleSnapper(titles), np.random.default_rng(count)
    chosen = [t for t in rng.permutation(titles).tolist() if len(t) >= 17][:400]
    recovered = [snapper.snap(misspelled(title, rng, count)) == title for title in chosen]
    assert np.mean(recovered) >= 0.97


def test_a_title_far_from_all_others_stays_as_it_is(titles):
    snapper = TitleSnapper(titles)
    assert snapper.snap("Quantum Gardeners (2031)") == "Quantum Gardeners (2031)"


def test_a_title_between_two_others_stays_as_it_is():
    snapper = TitleSnapper(["Alien 1 (1979)", "Alien 2 (1979)"])
    assert snapper.snap("Alien 3 (1979)") == "Alien 3 (1979)"


def test_a_snapped_request_changes_items_and_texts():
    snapper = TitleSnapper(["Toy Story (1995)", "Heat (1995)"])
    asked = Request(
        prompt="I liked: Toy Stroy (1995)", history=(Item("1", "Toy Stroy (1995)"),), k=5
    )
    snapped = snapper.request(asked)
    assert snapped.prompt == "I liked: Toy Story (1995)"
    assert snapped.history == (Item("1", "Toy Story (1995)"),)


def test_the_prefixes_load_and_say_what_they_do(ml100k):
    plain = load_recommender("baseline:popularity", dataset=ml100k)
    loaded = load_recommender("canonical:snapped(floor=.8):baseline:popularity", dataset=ml100k)
    assert loaded.fingerprint != plain.fingerprint
    assert "look-alike letters" in " ".join(loaded.notes)
    assert "0.8" in " ".join(loaded.notes)


@pytest.mark.parametrize("floor", ["2", "-1", "nan", "high"])
def test_a_floor_that_is_no_similarity_is_named(ml100k, floor):
    with pytest.raises(TargetUnavailable, match="between 0 and 1"):
        load_recommender(f"snapped(floor={floor}):baseline:popularity", dataset=ml100k)
