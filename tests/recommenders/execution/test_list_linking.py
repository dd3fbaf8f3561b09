"""What is written around titles is told from subtitles by the list as a whole."""

from __future__ import annotations

import pytest

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.items import CatalogItem
from auditkit.recommenders.execution.list_linking import link_list

TITLES = ["Heat", "Fargo", "Alien", "Star Wars - A New Hope", "Dune: Part Two", "Clerks"]
FILMS = Catalog([CatalogItem(str(1000 + n), title) for n, title in enumerate(TITLES)])


def linked(*texts):
    return [link.item_id for link in link_list(texts, FILMS)]


@pytest.mark.parametrize(
    ("texts", "ids"),
    [
        # Capitalized comments are recognized if most of the list has them.
        (("Heat \u2013 Grim And Long", "Fargo \u2013 Tolle Bilder", "Clark \u2013 Sehr Hell"),
         ["1000", "1001", None]),
        (("Heat | Crime", "Fargo | Comedy", "Alien | Horror"), ["1000", "1001", "1002"]),
        # One comment that reads like one.
        (("Heat - a heist in the city", "Fargo", "Clerks"), ["1000", "1001", "1005"]),
        (("Heat: one of the best films about a heist.", "Fargo"), ["1000", "1001"]),
        (("Heat, which you will surely like", "Fargo"), ["1000", "1001"]),
        # Subtitles of invented sequels stay part of the title.
        (("Heat - Resurrection", "Fargo", "Clerks"), [None, "1001", "1005"]),
        (("Heat: Resurrection", "Fargo: The Return", "Alien: Last Stand"), [None, None, None]),
        (("Star Wars - A New Hope", "Heat - New Blood", "Fargo - Cold Land"),
         ["1003", "1000", "1001"]),
        (("Star Wars - A New Hope", "Heat - New Blood", "Clerks"), ["1003", None, "1005"]),
        (("Dune: Part Two", "Dune: Part Two \u2013 what a finale!"), ["1004", "1004"]),
        # Ids.
        (("1000", "1001", "4711"), ["1000", "1001", None]),
        (("1000",), [None]),
        (("4711", "4712", "1001"), [None, None, None]),
        ((), []),
    ],
)  # fmt: skip
def test_the_form_of_the_list_decides_what_is_a_comment(texts, ids):
    assert linked(*texts) == ids


def test_the_written_text_stays_in_the_link():
    (link, _) = link_list(["Heat - a heist in the city", "Fargo"], FILMS)
    assert (link.title, link.reason) == ("Heat - a heist in the city", "exact")


def test_adding_invented_titles_changes_no_other_link():
    texts = ["Heat \u2013 Grim", "Fargo \u2013 Tolle Bilder", "Alien \u2013 Angst"]
    before = linked(*texts)
    assert (
        linked(*texts, "Zzyx Returns \u2013 Gut", "Qwop \u2013 Toll")[:3]
        == before
        == ["1000", "1001", "1002"]
    )
