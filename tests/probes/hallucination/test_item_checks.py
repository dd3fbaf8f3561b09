from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.catalog.items import CatalogItem
from auditkit.probes.hallucination.item_checks import item_rates, undecided_items
from auditkit.types import RankedItem

CATALOG = Catalog(
    (
        CatalogItem("1", "Heat", 1995, ("Crime",)),
        CatalogItem("2", "Heat", 1995, ("Crime",)),
        CatalogItem("3", "Alien", 1979, ("Horror",)),
        CatalogItem("4", "Nameless", None),
    )
)


def linked(*raw: str) -> list[RankedItem]:
    return [
        RankedItem(raw=link.title, item_id=link.item_id, link=link.reason)
        for link in CATALOG.link(raw)
    ]


def rates(*raw: str, **terms) -> dict[str, float | None]:
    return item_rates(linked(*raw), catalog=CATALOG, **{"history": [], "wanted": len(raw), **terms})


def test_the_three_kinds_of_refusal_add_up():
    found = rates("Heat (1995)", "Heat (1970)", "Alien 7", "Never Heard Of")
    parts = [found[name] for name in ("invented_rate", "near_miss_rate", "year_conflict_rate")]
    assert found["out_of_catalog_rate"] == sum(parts) == 0.75
    assert parts == [0.25, 0.25, 0.25]


def test_twins_are_one_entry_in_candidates_history_and_repeats():
    found = rates("Heat (1995)", candidates=["2", "3"], history=["2"])
    assert (found["out_of_candidates_rate"], found["consumed_rate"]) == (0, 1)


def test_an_unlinked_title_repeats_whatever_its_dress():
    found = rates("**Bogus Film** (1999)", "Bogus Film (1999)", "Bogus Film, 1999", "bogus film")
    assert found["duplicate_rate"] == 0.75


def test_fewer_candidates_than_asked_for_are_the_right_count():
    assert rates("Alien (1979)", wanted=10, candidates=["3"])["wrong_count_rate"] == 0
    assert rates("Alien (1979)", wanted=10)["count_error"] == -9


def test_what_the_graph_cannot_tell_leaves_the_denominator_and_is_counted():
    constraints = (Constraint("genre", "=", "Crime"),)
    found = rates("Heat (1995)", "Alien (1979)", "Nameless", constraints=constraints)
    assert found["constraint_violation_rate"] == 0.5
    assert undecided_items(linked("Nameless", "Alien"), CATALOG, constraints) == 1


@pytest.mark.parametrize("name", ["out_of_candidates_rate", "constraint_violation_rate"])
def test_a_check_that_does_not_apply_is_none(name):
    assert rates("Heat (1995)")[name] is None


@given(
    st.lists(
        st.sampled_from(["Heat (1995)", "Heat", "Alien", "Alien 3", "Heat (1960)", "Nobody", ""]),
        max_size=12,
    )
)
def test_every_rate_is_a_share(raw):
    found = rates(*raw, wanted=10, candidates=["1", "3"], history=["3"])
    for name, value in found.items():
        assert value is None or name == "count_error" or 0 <= value <= 1
