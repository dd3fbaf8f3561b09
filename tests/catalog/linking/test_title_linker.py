from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.linking import near_misses as near_miss
from auditkit.catalog.linking import title_index
from auditkit.catalog.linking import title_linker as linking
from auditkit.catalog.linking.string_array import Strings
from auditkit.catalog.linking.title_index import MAX_POSTINGS, TitleIndex
from auditkit.catalog.linking.title_linker import LINKED, Link, TitleLinker
from auditkit.catalog.linking.vocabulary import Vocabulary
from auditkit.catalog.quality.linker_evaluation import self_check

ROWS = [
    ("1", "Heat", 1995),
    ("2", "Heat", 1986),
    ("3", "Seven (Se7en)", 1995),
    ("4", "Chasing Amy", 1997),
    ("5", "Chasing Amy", 1997),
    ("6", "Blues Brothers 2000", 1998),
    ("7", "Rocky IV", 1985),
    ("8", "Sabrina", 1954),
    ("9", "Sabrina", 1995),
    ("10", "V", None),
    ("11", "Se7en", 1920),
]


def linker_of(rows, **settings):
    ids, titles, years = zip(*rows, strict=True)
    return TitleLinker(ids, TitleIndex.build(titles, years), **settings)


@pytest.fixture(scope="module")
def linker():
    return linker_of(ROWS)


@pytest.mark.parametrize(
    ("title", "item_id", "reason", "candidates"),
    [
        ("Heat (1995)", "1", "exact", ("1",)),
        ("3. **heat** (1986)", "2", "exact", ("2",)),
        ("Heat (1996)", "1", "year_off", ("1",)),
        ("Heat (1975)", None, "year_conflict", ("1", "2")),
        ("Heat", None, "ambiguous", ("1", "2")),
        ("Se7en (1995)", "3", "alias", ("3",)),
        ("Seven", "3", "exact", ("3",)),
        ("Se7en", None, "ambiguous", ("3", "11")),
        ("Chasing Amy (1997)", "4", "duplicate_title", ("4", "5")),
        ("Blues Brothers 2000", "6", "exact", ("6",)),
        ("Blues Brothers 2000 (1998)", "6", "exact", ("6",)),
        ("Blues Brothers (2000)", None, "near_miss", ("6",)),
        ("Rocky 4", "7", "exact", ("7",)),
        ("Rocky V", None, "near_miss", ("7",)),
        ("Rocky", None, "near_miss", ("7",)),
        ("Sabrina, 1995", "9", "exact", ("9",)),
        ("V (2009)", "10", "exact", ("10",)),
        ("Heatt (1995)", "1", "typo", ("1",)),
        ("   ", None, "empty", ()),
        ("**", None, "empty", ()),
    ],
)
def test_each_title_gets_its_reason(linker, title, item_id, reason, candidates):
    assert linker.link([title]) == [Link(title, item_id, reason, candidates)]


def test_a_bare_number_is_a_year_only_where_the_catalog_knows_years():
    games = linker_of([("1", "FIFA Soccer", None), ("2", "TurboTax Deluxe", None)])
    asked = ["FIFA Soccer 2015", "FIFA Soccer - 1998", "TurboTax Deluxe 2014", "FIFA Soccer"]
    assert [link.reason for link in games.link(asked)] == ["near_miss"] * 3 + ["exact"]
    assert games.link(["FIFA Soccer (2015)"])[0].item_id == "1"


def test_a_short_name_is_guarded_whatever_the_main_title():
    index = TitleIndex.build(["Il Postino: The Postman Long"], [1994], {0: ["Jaws"]})
    assert TitleLinker(["1"], index).link(["Jawz", "Jaws"])[0].item_id is None
    assert TitleLinker(["1"], index).link(["Jaws"])[0].reason == "alias"


def test_a_title_of_thousands_of_words_is_refused_at_once(ml100k, monkeypatch):
    looked_up, compared = [], []
    neighbors, ratio = Vocabulary.neighbors, near_miss.ratio_counter()

    def counted_neighbors(vocabulary, tokens, *, within):
        looked_up.extend(tokens)
        return neighbors(vocabulary, tokens, within=within)

    def counted_ratio(left, right):
        compared.append(right)
        return ratio(left, right)

    monkeypatch.setattr(Vocabulary, "neighbors", counted_neighbors)
    monkeypatch.setattr(near_miss, "ratio_counter", lambda: counted_ratio)
    link = ml100k.catalog.link(["heat story " * 5_000])[0]
    assert link.item_id is None
    assert (looked_up, compared) == ([], [])  # no word is repaired, no title is compared


def test_titles_that_differ_by_number_only_are_not_all_read(monkeypatch):
    rows = [(str(n), f"Product {n}", None) for n in range(20_000)]
    linker = linker_of(rows)
    read, texts = 0, Strings.texts

    def counted(strings, rows):
        nonlocal read
        found = texts(strings, rows)
        read += len(found)
        return found

    monkeypatch.setattr(Strings, "texts", counted)
    links = linker.link([f"Product {n}" for n in range(30_000, 30_200)])
    assert {link.reason for link in links} == {"near_miss"}
    # Per title two lists of entries, by word and without its number; 20,000 share either.
    assert read <= 200 * 4 * MAX_POSTINGS  # and not eight million


def test_a_batch_gives_the_answers_of_single_calls_in_order(linker):
    titles = ["Heat (1986)", "", "Nowhere", "Seven", "Heat (1986)"]
    assert linker.link(titles) == [linker.link([title])[0] for title in titles]
    assert linker.link([]) == []


def test_a_hash_collision_does_not_link(monkeypatch):
    for module in (linking, title_index, near_miss):
        monkeypatch.setattr(
            module, "text_hashes", lambda keys: np.zeros(len(keys), dtype=np.uint64)
        )
    colliding = linker_of(ROWS)
    assert colliding.link(["Heat (1986)", "Cold (1986)"]) == [
        Link("Heat (1986)", "2", "exact", ("2",)),
        Link("Cold (1986)", None, "none"),
    ]


def test_an_entry_that_is_hidden_is_not_found(linker):
    entry = [row[1] for row in ROWS].index("Rocky IV") - 1  # Chasing Amy is one entry of two items
    assert linker.link(["Rocky IV (1985)"], without=[entry])[0].reason == "none"


@given(st.text(max_size=40))
def test_no_text_is_an_error_and_every_link_names_a_catalog_item(text):
    link = linker_of(ROWS).link([text])[0]
    assert (link.item_id is not None) == (link.reason in LINKED)
    assert set(link.candidates) <= {row[0] for row in ROWS}


def test_every_ml100k_title_links_to_itself_or_its_twin(ml100k):
    catalog = ml100k.catalog
    links = catalog.link([item.display_title for item in catalog.items])
    wrong = [
        link
        for item, link in zip(catalog.items, links, strict=True)
        if item.id not in link.candidates
    ]
    assert wrong == []
    assert sum(link.reason == "ambiguous" for link in links) <= 4


def test_the_linker_knows_its_own_error_rates(ml100k):
    check = self_check(ml100k.catalog, seed=0)
    assert check.sensitivity.n == check.specificity.n == 500
    assert check.sensitivity.value >= 0.99
    assert check.specificity.value >= 0.99
    assert check.sensitivity.low < check.sensitivity.value <= check.sensitivity.high
    assert self_check(ml100k.catalog, seed=0) == check


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Cure, Teh (1995)", "Cure, The"),
        ("39 Steps, Teh (1935)", "39 Steps, The"),
        ("Van, hTe (1996)", "Van, The"),
        ("Phantom, he (1996)", "Phantom, The"),
        ("Girl Town (1996)", "Girls Town"),
        ("Before adn After (1996)", "Before and After"),
        ("Ceremonie, Lq (1995)", "Ceremonie, La"),
        ("G.I. Jan (1997)", "G.I. Jane"),
        ("Welcome o the Dollhouse (1995)", "Welcome to the Dollhouse"),
        ("Cure, Teh", "Cure, The"),
        ("Remains of the Day, Te (1993)", "Remains of the Day, The"),
    ],
)
def test_small_words_and_short_titles_are_mended_if_the_year_is_that_of_the_title(written, title):
    known = [
        ("Cure, The", 1995), ("39 Steps, The", 1935), ("Van, The", 1996), ("Phantom, The", 1996),
        ("Girls Town", 1996), ("Before and After", 1996), ("Ceremonie, La", 1995),
        ("G.I. Jane", 1997), ("Welcome to the Dollhouse", 1995), ("Hate (Haine, La)", 1995),
        ("Remains of the Day, The", 1993),
    ]  # fmt: skip
    titles, years = zip(*known, strict=True)
    linker = TitleLinker(list(titles), TitleIndex.build(titles, years))
    (link,) = linker.link([written])
    assert (link.item_id, link.reason) == (title, "typo")


@pytest.mark.parametrize(
    "absent",
    [
        "Power (1995)",
        "Bird (1963)",
        "Phantom, he",
        "Dead Man (1995)",
        "Aliens (1979)",
        "Heat 2 (1995)",
    ],
)
def test_another_word_is_another_title(absent):
    known = [
        ("Powder", 1995), ("Birds, The", 1963), ("Phantom, The", 1996), ("Dream Man", 1995),
        ("Alien", 1979), ("Heat 3", 1995),
    ]  # fmt: skip
    titles, years = zip(*known, strict=True)
    linker = TitleLinker(list(titles), TitleIndex.build(titles, years))
    assert linker.link([absent])[0].item_id is None
