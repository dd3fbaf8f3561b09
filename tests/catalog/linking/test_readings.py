from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.linking.normalize import full_key
from auditkit.catalog.linking.readings import Reading, articles_mended, readings


def all_readings(core, *, dated=True, after_comma=False):
    tokens = full_key(core).split()
    return readings(core, tokens, dated=dated, after_comma=after_comma)


@pytest.mark.parametrize(
    ("core", "title", "edits"),
    [
        ("hTe Firm", "The Firm", 1),
        ("Th efly", "The Fly", 1),
        ("Tehm Firm", "The Firm", 2),
        ("Live adn Let Die", "Live and Let Die", 1),
        ("Live an dLet Die", "Live and Let Die", 1),
        ("Live nadx Let Die", "Live and Let Die", 2),
        ("Blood and Stone", "Blood Stone", 0),
        ("Rocky Prt 2", "Rocky Part 2", 1),
        ("Alien (le Film", "Alien", 1),
    ],
)
def test_a_misspelled_small_word_is_dropped_as_the_right_one_is(core, title, edits):
    assert Reading(full_key(title), edits) in all_readings(core)


@pytest.mark.parametrize(
    ("core", "title"),
    [("Cure, Teh", "Cure, The"), ("Cure, Lq", "Cure, La"), ("Cure, Lse", "Les Cure")],
)
def test_an_article_after_a_comma_may_be_misspelled(core, title):
    assert full_key(title) in {reading.key for reading in all_readings(core, after_comma=True)}


@pytest.mark.parametrize(
    ("core", "title"),
    [
        ("Rocky IIqI", "Rocky III"),
        ("Rocky cII", "Rocky III"),
        ("Rocky cII", "Rocky VII"),
        ("Rock yIII", "Rocky III"),
        ("Meatballs Part qII", "Meatballs Part II"),
        ("Meatballs Par tII", "Meatballs Part II"),
        ("Evil Dead IsI (Dead By", "Evil Dead II (Dead By"),
    ],
)
def test_a_numeral_may_be_misspelled(core, title):
    assert Reading(full_key(title), 1) in all_readings(core)


@pytest.mark.parametrize("core", ["Rocky II", "Rocky IV", "Rocky 2"])
def test_a_correct_numeral_is_never_another_one(core):
    assert [reading.key for reading in all_readings(core)] == [full_key(core)]


def test_a_word_is_not_a_misspelled_numeral():
    assert full_key("Live II Texas") not in {r.key for r in all_readings("Live in Texas")}


def test_the_space_after_an_article_at_the_end_may_be_moved():
    assert Reading("visitors", 1) in all_readings("Visitors, Th e")


@pytest.mark.parametrize(("dated", "mended"), [(True, {"idolmaker"}), (False, set())])
def test_an_article_after_a_comma_may_have_two_errors_if_a_year_is_stated(dated, mended):
    found = articles_mended(["idolmaker", "ghthe"], dated=dated, after_comma=True)
    assert {key for _, key in found} == mended


def test_without_a_year_no_article_and_no_numeral_is_mended():
    assert [r.key for r in all_readings("Rocky IIqI", dated=False)] == ["rocky iiqi"]
    assert [r.key for r in all_readings("hTe Firm", dated=False)] == ["hte firm"]


def test_a_word_is_not_taken_for_and_with_two_edits():
    keys = {reading.key for reading in all_readings("Live in Texas")}
    assert "live texas" not in keys


@given(core=st.text(max_size=30), dated=st.booleans(), after_comma=st.booleans())
def test_the_first_reading_is_the_key_itself_and_none_occurs_twice(core, dated, after_comma):
    tokens = full_key(core).split()
    if not tokens:
        return
    found = readings(core, tokens, dated=dated, after_comma=after_comma)
    assert found[0] == Reading(" ".join(tokens), 0)
    assert len({reading.key for reading in found}) == len(found)
    assert all(reading.key and 0 <= reading.edits <= 2 for reading in found)
