"""Titles that are written with their creator, and titles with HTML entities."""

from __future__ import annotations

import pytest

from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.linking.bylines import bylines, is_by
from auditkit.catalog.linking.normalize import decode_entities, full_key

BOOKS = """id,title,year,author
1,Dune,1965,Frank Herbert
2,Stand by Me,,Stephen King
3,Death by Chocolate,,Sally Berneathy
4,The Hobbit,1937,J. R. R. Tolkien
5,Good Omens,1990,Terry Pratchett; Neil Gaiman
6,Persuasion,1817,"Austen, Jane"
7,Der Prozess,1925,Franz Kafka
8,Le Petit Prince,1943,Antoine de Saint-Exupéry
9,Stand,,Stephen King
10,Inferno,,Dan Brown
11,Inferno,,Dante Alighieri
12,Salt &amp; Pepper,1968,Alex Austin
13,Tom &amp;amp; Jerry,1992,Ann Other
14,L&#39;Avventura,1960,Ann Other
15,Crime & Punishment,1866,Fyodor Dostoevsky
"""


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    (folder / "books.csv").write_text(BOOKS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITKIT_CACHE", str(folder / "cache"))
        catalog = load_catalog(folder / "books.csv")
        assert catalog.link(["Dune"])[0].item_id == "1"  # builds the index there
    return catalog


@pytest.mark.parametrize(
    ("title", "item_id"),
    [
        ("Dune by Frank Herbert", "1"), ("Dune - Frank Herbert", "1"),
        ('"Dune" by Frank Herbert', "1"), ('"Dune" von Frank Herbert', "1"),
        ('"Dune" de Frank Herbert', "1"), ("Dune \u2013 Frank Herbert", "1"),
        ("Dune, by Herbert", "1"), ("Dune (1965) by Frank Herbert", "1"),
        ("Dune by Frank Herbert (1965)", "1"),
        ("Frank Herbert - Dune", "1"), ("Frank Herbert: Dune", "1"), ("Frank Herbert's Dune", "1"),
        ("Dune, a novel by F. Herbert", "1"), ("Dune | Frank Herbert", "1"),
        ("The Hobbit by J.R.R. Tolkien", "4"), ("The Hobbit by Tolkien", "4"),
        ("Good Omens by Terry Pratchett and Neil Gaiman", "5"),
        ("Good Omens by Neil Gaiman", "5"), ("Persuasion by Jane Austen", "6"),
        ("Der Prozess von Franz Kafka", "7"),
        ("Le Petit Prince de Antoine de Saint-Exup\u00e9ry", "8"),
        ("Stand by Me by Stephen King", "2"), ("Stand by Stephen King", "9"),
        ("Inferno by Dante Alighieri", "11"), ("Inferno by Dan Brown", "10"),
    ],
)  # fmt: skip
def test_title_with_its_creator_is_linked(books, title, item_id):
    (link,) = books.link([title])
    assert (link.item_id, link.reason, link.title) == (item_id, "creator", title)


@pytest.mark.parametrize(
    ("title", "item_id"),
    [
        ("Stand by Me", "2"),
        ("Death by Chocolate", "3"),
        ("Dune", "1"),
        ("Dune (Frank Herbert)", "1"),
    ],
)
def test_by_within_a_title_is_left_alone(books, title, item_id):
    (link,) = books.link([title])
    assert (link.item_id, link.reason) == (item_id, "exact")


@pytest.mark.parametrize(
    "title",
    ["Dune by Isaac Asimov", "Stand by You", "Dune by", "Death by Stephen King", "Dune - Part Two",
     "The Hobbit by Frank Herbert", "Good Omens by Terry Pratchett and Frank Herbert"],
)  # fmt: skip
def test_another_creator_links_nothing(books, title):
    (link,) = books.link([title])
    assert link.item_id is None


def test_catalog_without_creators_links_no_byline(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "films.csv"
    path.write_text("id,title,year\n1,Stand,1990\n2,Heat,1995\n", encoding="utf-8")
    catalog = load_catalog(path)
    assert [link.item_id for link in catalog.link(["Stand by Me", "Heat by Michael Mann"])] == [
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("title", "item_id"),
    [
        ("Salt & Pepper", "12"), ("Salt &amp; Pepper", "12"), ("Salt and Pepper (1968)", "12"),
        ("Tom & Jerry", "13"), ("Tom &amp; Jerry", "13"), ("L'Avventura", "14"),
        ("L&#x27;Avventura (1960)", "14"), ("Crime &amp; Punishment", "15"),
        ("Crime &#38; Punishment &#40;1866&#41;", "15"), ("&quot;Dune&quot;", "1"),
    ],
)  # fmt: skip
def test_entities_in_catalog_or_answer_link_exactly(books, title, item_id):
    (link,) = books.link([title])
    assert (link.item_id, link.reason) == (item_id, "exact")


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("Salt &amp;amp; Pepper", "Salt & Pepper"), ("AT&T; a history", "AT&T; a history"),
        ("R&B", "R&B"), ("Q&A;", "Q&A;"), ("&lt;3", "<3"), ("caf&eacute;", "caf\u00e9"),
        ("Fish &copy Chips", "Fish &copy Chips"),
    ],
)  # fmt: skip
def test_only_complete_entities_are_decoded(text, decoded):
    assert decode_entities(text) == decoded


def test_decoded_titles_have_the_same_key():
    assert full_key("Salt &amp; Pepper") == full_key("Salt & Pepper")


@pytest.mark.parametrize(
    ("written", "creators", "same"),
    [
        ("Herbert", ["Frank Herbert"], True), ("Brian Herbert", ["Frank Herbert"], False),
        ("F. Herbert", ["Herbert, Frank"], True), ("The Beatles", ["The Beatles"], True),
        ("", ["Frank Herbert"], False), ("Frank", ["Frank Herbert"], False),
        ("Frank Herbert", [], False), ("?", ["Frank Herbert"], False),
    ],
)  # fmt: skip
def test_names_are_compared_by_surname_and_initials(written, creators, same):
    assert is_by(written, creators) is same


def test_number_of_splits_is_limited():
    assert len(bylines(" by ".join("abcdefghijklmnopqrst"))) == 8
