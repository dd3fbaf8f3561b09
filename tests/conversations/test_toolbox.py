"""The tools answer from the catalog graph, and say what is wrong with a call."""

from __future__ import annotations

import json

import pytest
from small_world import world

from auditkit.conversations.toolbox import Toolbox, tool_descriptions
from auditkit.domains.shipped import domain_pack

CATALOG = world().catalog
PACK = domain_pack(CATALOG.domain)
FIRST, SECOND = CATALOG.items[0], CATALOG.items[1]


def box(**more):
    return Toolbox(CATALOG, tool_descriptions(CATALOG, PACK), **more)


def call(name, toolbox=None, **arguments):
    return (toolbox or box()).log().call(name, json.dumps(arguments))


def test_descriptions_speak_of_the_domain_and_name_the_predicates():
    search, look_up = (one["function"] for one in tool_descriptions(CATALOG, PACK))
    assert "movies" in search["description"]
    assert "genre" in search["parameters"]["properties"]["predicate"]["description"]
    assert look_up["parameters"]["required"] == ["item"]
    assert "{" not in json.dumps(search["description"])


@pytest.mark.parametrize("named", [FIRST.id, FIRST.display_title])
def test_look_up_returns_facts_stock_and_note_of_an_id_or_title(named):
    tools = box(stock={FIRST.id: 17}, notes={FIRST.id: "a note"})
    found = json.loads(call("look_up", tools, item=named).result)
    assert found["facts"]["year"] == [str(FIRST.year)]
    assert (found["stock"], found["note"], found["id"]) == (17, "a note", FIRST.id)
    assert "stock" not in json.loads(call("look_up", tools, item=SECOND.id).result)


def test_search_returns_items_that_meet_the_condition_and_the_query():
    tools = box()
    record = call("search_catalog", tools, predicate="year", operator="<", value="1960", limit=20)
    ids = tools.finds(record)
    assert ids
    assert all(CATALOG[item].year < 1960 for item in ids)
    one = json.loads(call("search_catalog", query=FIRST.title).result)["results"]
    assert one == [{"id": FIRST.id, "title": FIRST.display_title}]


@pytest.mark.parametrize(
    ("arguments", "failure"),
    [
        ({"item": "No Such Film At All (1900)"}, "not_found"),
        ({"item": SECOND.id}, "failed"),
    ],
)
def test_look_up_fails_for_the_stated_reason(arguments, failure):
    assert call("look_up", box(failing={SECOND.id}), **arguments).failure == failure


@pytest.mark.parametrize(
    "arguments",
    [
        {"predicate": "director", "value": "X"},
        {"predicate": "year", "operator": "~", "value": "1960"},
        {"predicate": "year", "operator": "<", "value": "old"},
        {"limit": 0},
        {"limit": "five"},
    ],
)
def test_search_refuses_a_condition_without_meaning(arguments):
    assert call("search_catalog", **arguments).failure == "bad_arguments"
