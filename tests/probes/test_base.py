from __future__ import annotations

import pytest

from auditkit.probes.base import identity, item_ids
from auditkit.types import RankedItem, Response


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("Fargo (1996)", "fargo"),
        ("The  Matrix", " The Matrix"),
        ("Ｆargo", "Fargo"),  # noqa: RUF001 - a full-width letter is the point
        ("STRASSE", "Straße"),
        ("Heat (1995) (restored)", "heat (Restored)"),
    ],
)
def test_titles_are_the_same_but_for_case_blanks_and_year(one, same):
    assert identity(one) == identity(same)


@pytest.mark.parametrize(
    ("one", "other"), [("Ant-Man", "Ant-Man and the Wasp"), ("1984", "(1984)"), ("Se7en", "Seven")]
)
def test_other_titles_are_other_items(one, other):
    assert identity(one) != identity(other)


def test_linked_items_are_the_catalogs_and_the_others_their_titles():
    items = (RankedItem(raw="Fargo (1996)", item_id="7"), RankedItem(raw="Fargo (1996)"))
    response = Response(request_id="r", status="ok", items=items)
    assert item_ids(response) == ["7", "raw:fargo"]
