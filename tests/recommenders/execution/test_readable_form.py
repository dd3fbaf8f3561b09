"""The guard against unreadable forms: ten that must be found, and a hundred that must not."""

from __future__ import annotations

import html
import random
from urllib.parse import quote_plus

import pytest

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.items import CatalogItem
from auditkit.recommenders.execution.list_linking import link_list
from auditkit.recommenders.execution.readable_form import unreadable_form
from auditkit.recommenders.execution.response_checks import check_response, link_items
from auditkit.types import RankedItem, Request

WORDS = [
    "Amber", "Bridge", "Cedar", "Delta", "Ember", "Falcon", "Garnet", "Harbor",
    "Indigo", "Juniper", "Kestrel", "Lantern", "Meadow", "Nimbus", "Orchid", "Prairie",
    "Quartz", "Raven", "Saffron", "Tundra", "Umber", "Velvet", "Willow", "Yarrow",
    "Zephyr",
]  # fmt: skip
KINDS = ("Backpack", "Lamp", "Jacket", "Speaker", "Kettle", "Bottle", "Chair")


def title(rng):
    return f"{rng.choice(WORDS)} {rng.choice(WORDS)} {rng.randint(100, 999)} {rng.choice(KINDS)}"


def shop():
    rng = random.Random(1)
    names = sorted({title(rng) for _ in range(2_000)})
    return Catalog([CatalogItem(f"SKU-{10_000 + n}", name) for n, name in enumerate(names)])


SHOP = shop()


def lists(form, *, invented=0.0, n=20, k=10, seed=0):
    """Answers in a form, as the audit links them; the invented share of items is in no catalog."""
    rng = random.Random(100 + seed)
    for _ in range(n):
        names = [
            f"{title(rng)} Q" if rng.random() < invented else rng.choice(SHOP.items).title
            for _ in range(k)
        ]
        texts = [form(name, rng) for name in names]
        yield [
            RankedItem(raw=text, item_id=link.item_id, link=link.reason)
            for text, link in zip(texts, link_list(texts, SHOP), strict=True)
        ]


UNREADABLE = {
    "codes of another system": lambda name, rng: f"{rng.randint(4 * 10**12, 5 * 10**12)}",
    "hashes": lambda name, rng: f"{rng.getrandbits(64):016x}",
    "URL-encoded": lambda name, rng: quote_plus(f"{name} \u2013 für Büro"),
    "price and stock first": lambda name, rng: (
        f"{rng.randint(9, 99)}.95|in|{name}|{rng.random():.2f}"
    ),
    "markup": lambda name, rng: (
        f'<div class="p"><b>{html.escape(name)}</b><i>x{rng.randint(1, 9)}</i></div>'
    ),
    "key=value": lambda name, rng: f"rank={rng.randint(1, 9)};name={name};score={rng.random():.2f}",
    "sentences": lambda name, rng: (
        f"Because you liked similar things last year we are sure that the {name} will be just what "
        "you need for your next long weekend in the mountains with friends"
    ),
    "placeholders": lambda name, rng: f"Product {rng.randint(1, 10)}",
    "truncated": lambda name, rng: name[: len(name) - 3] + "…",
    "shared words": lambda name, rng: f"Offer of the day {name} order now while stocks last",
}


@pytest.mark.parametrize("form", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_form_is_found(form):
    reason = unreadable_form(list(lists(form)), SHOP)
    assert reason is not None
    assert reason.startswith("unreadable form: ")
    assert "docs/how-to/audit-an-endpoint.md" in reason


READABLE = {
    "whole": lambda name, rng: name,
    "lower": lambda name, rng: name.lower(),
    "bold": lambda name, rng: f"**{name}**",
    "id": lambda name, rng: (
        next(i.id for i in SHOP.items if i.title == name)
        if not name.endswith(" Q")
        else f"SKU-{rng.randint(50_000, 90_000)}"
    ),
    "comment": lambda name, rng: f"{name} - a fine thing for {rng.choice(['home', 'work'])}",
}


@pytest.mark.parametrize("form", READABLE.values(), ids=READABLE)
@pytest.mark.parametrize("invented", [0.0, 0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_readable_form_is_measured_whatever_the_share_of_invented_titles(form, invented, seed):
    found = list(lists(form, invented=invented, seed=seed))
    assert unreadable_form(found, SHOP) is None
    n = sum(map(len, found))
    unmatched = sum(item.item_id is None for listed in found for item in listed)
    assert unmatched / n == pytest.approx(invented, abs=0.12)


def test_few_unmatched_items_are_not_examined():
    listed = [RankedItem(raw=f"4{n:012d}", link="none") for n in range(9)]
    assert unreadable_form([listed], SHOP) is None


def test_films_invented_as_sequels_are_invented():
    films = Catalog(
        [
            CatalogItem(str(n), t)
            for n, t in enumerate(("Heat", "Star Wars", "Fargo", "Alien Nation"))
        ]
    )
    rng = random.Random(3)
    texts = [
        f"{rng.choice(films.items).title}: {rng.choice(WORDS)} {rng.choice(WORDS)}"
        for _ in range(100)
    ]
    items = [
        RankedItem(raw=text, item_id=link.item_id, link=link.reason)
        for text, link in zip(texts, link_list(texts, films), strict=True)
    ]
    assert unreadable_form([items], films) is None


def test_answers_are_read_from_text_to_verdict():
    rng = random.Random(5)
    items = []
    for n in range(10):
        text = "\n".join(
            f"{i}. {UNREADABLE['key=value'](rng.choice(SHOP.items).title, rng)}"
            for i in range(1, 6)
        )
        response = check_response(Request(id=str(n), k=5), text)
        items.append(link_items(response, SHOP).items)
    assert unreadable_form(items, SHOP) is not None
