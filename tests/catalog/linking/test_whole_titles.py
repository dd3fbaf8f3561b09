from __future__ import annotations

import pytest

from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import TitleLinker

FILMS = [
    ("Ninja", 1990), ("Twister", 1996), ("Live and Let Die", 1973), ("Jackal, The", 1997),
    ("Bod", 1995), ("Bob", 1995), ("Clue", 1985), ("Klute", 1971),
    ("Hype!", 1996), ("Pi", 1998), ("Up", 1998),
    ("Remains of the Day, The", 1993), ("Mark of Zorro, The", 1940), ("Hellraiser 2", 1988),
]  # fmt: skip


@pytest.fixture(scope="module")
def link():
    titles, years = zip(*FILMS, strict=True)
    linker = TitleLinker(titles, TitleIndex.build(titles, years))
    return lambda title: linker.link([title])[0]


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Nian (1990)", "Ninja"),  # a letter left out and two swapped
        ("Twisetrr (1996)", "Twister"),
        ("Live nadx Let Die (1973)", "Live and Let Die"),
        ("Remians of teh Day (1993)", "Remains of the Day, The"),
        ("Hpye (1996)", "Hype!"),
    ],
)
def test_two_edits_are_mended_if_the_text_says_enough(link, written, title):
    assert (link(written).item_id, link(written).reason) == (title, "typo")


@pytest.mark.parametrize(
    "written",
    [
        "Ox (1998)",  # two letters replaced in a title of two
        "Xqp (1998)",
        "Twist (1996)",  # a word is a title of its own
        "Mask of Zorro, The",  # so are four, if no year speaks for the title
        "Hellraiser 3 (1988)",
        "Twisetrr (1969)",
    ],
)
def test_a_text_that_may_be_near_by_chance_is_refused(link, written):
    assert link(written).item_id is None


def test_two_titles_that_are_equally_near_are_ambiguous(link):
    found = link("Boe (1995)")
    assert (found.item_id, found.reason, set(found.candidates)) == (
        None,
        "ambiguous",
        {"Bod", "Bob"},
    )


def test_a_title_of_the_stated_year_is_preferred_to_a_repair_of_another_year(link):
    assert link("Klue (1971)").item_id == "Klute"


def test_more_titles_of_a_year_require_more_evidence():
    others = [f"{a}{b}{c} {b}{a}" for a in "bcdfghjk" for b in "aeiouy" for c in "lmnprstvwz"]
    few = TitleLinker(["n"], TitleIndex.build(["Nadja"], [1994]))
    many = TitleLinker(
        ["n", *others], TitleIndex.build(["Nadja", *others], [1994] * (1 + len(others)))
    )
    wrong = "Nazdza (1994)"
    assert few.link([wrong])[0].item_id == "n"
    assert many.link([wrong])[0].item_id is None
