from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog import linking
from auditkit.catalog.linking import Link, TitleLinker
from auditkit.catalog.self_check import self_check

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


@pytest.fixture(scope="module")
def linker():
    return TitleLinker(*zip(*ROWS, strict=True))


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
        ("Chasing Amy (1997)", "4", "exact", ("4", "5")),
        ("Blues Brothers 2000", "6", "exact", ("6",)),
        ("Blues Brothers 2000 (1998)", "6", "exact", ("6",)),
        ("Blues Brothers (2000)", None, "none", ()),
        ("Rocky 4", "7", "exact", ("7",)),
        ("Rocky V", None, "none", ()),
        ("Rocky", None, "none", ()),
        ("Sabrina, 1995", "9", "exact", ("9",)),
        ("V (2009)", "10", "exact", ("10",)),
        ("Heatt (1995)", None, "none", ()),
        ("   ", None, "empty", ()),
        ("**", None, "empty", ()),
    ],
)
def test_each_title_gets_its_reason(linker, title, item_id, reason, candidates):
    assert linker.link([title]) == [Link(title, item_id, reason, candidates)]


def test_a_batch_gives_the_answers_of_single_calls_in_order(linker):
    titles = ["Heat (1986)", "", "Nowhere", "Seven", "Heat (1986)"]
    assert linker.link(titles) == [linker.link([title])[0] for title in titles]
    assert linker.link([]) == []


def test_a_hash_collision_does_not_link(monkeypatch):
    monkeypatch.setattr(linking, "_hashes", lambda keys: np.zeros(len(keys), dtype=np.int64))
    colliding = TitleLinker(*zip(*ROWS, strict=True))
    assert colliding.link(["Heat (1986)", "Cold (1986)"]) == [
        Link("Heat (1986)", "2", "exact", ("2",)),
        Link("Cold (1986)", None, "none"),
    ]


def test_an_entry_that_is_hidden_is_not_found(linker):
    entry = linker.entries.index(("Rocky IV", 1985))
    assert linker.link(["Rocky IV (1985)"], without=[entry])[0].reason == "none"


@given(st.text(max_size=40))
def test_no_text_is_an_error_and_every_link_names_a_catalog_item(text):
    link = TitleLinker(*zip(*ROWS, strict=True)).link([text])[0]
    assert (link.item_id is not None) == (link.reason in ("exact", "alias", "year_off"))
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
