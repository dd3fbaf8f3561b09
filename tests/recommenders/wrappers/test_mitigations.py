"""What stands between a recommender and its user: grounding, lists and facts in the prompt,
filters, and confidence.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_probe import target_for
from small_folder import ITEMS, save
from small_world import world

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.catalog.items import CatalogItem
from auditkit.domains.shipped import domain_pack, wording
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.recommenders.prompting.retrieval_context import fact_line, with_candidates
from auditkit.recommenders.wrappers.catalog_grounding import ask_again, grounded
from auditkit.recommenders.wrappers.title_confidence import title_confidences, title_spans
from auditkit.recommenders.wrappers.title_filters import FilteredTitles
from auditkit.types import Item, Message, RankedItem, Request, Response

TITLES = [item.title for item in ITEMS]


def answer(*titles, request_id="r", status="ok"):
    """A linked answer; titles that begin with X are in no catalog."""
    items = tuple(
        RankedItem(raw=title)
        if title.startswith("X")
        else RankedItem(raw=title, item_id=title, link="exact")
        for title in titles
    )
    return Response(request_id=request_id, status=status, items=items, text="\n".join(titles))


def named(response):
    return [item.raw for item in response.items]


# --- grounding


def test_grounding_drops_what_is_not_linked_and_keeps_the_order():
    assert named(grounded(answer("a", "X1", "b", "X2"))) == ["a", "b"]


def test_a_list_of_nothing_but_inventions_is_no_answer():
    assert grounded(answer("X1")).status == "no_answer"


@pytest.mark.parametrize("status", ["refusal", "truncated", "target_error"])
def test_grounding_leaves_failures_as_they_are(status):
    failed = answer("X1", status=status)
    assert grounded(failed) == failed


class Answers:
    """Gives prepared answers, one a round, and keeps what it was asked."""

    def __init__(self, *rounds):
        self.rounds, self.asked = list(rounds), []

    def __call__(self, requests):
        self.asked.append(list(requests))
        return [self.rounds.pop(0) for _ in requests]


REQUEST = Request(id="1", user_id="u", k=3, prompt="Recommend 3 films.")
OPENING = (Message("system", "You know films."),)
MOVIES = domain_pack("movies")
AGAIN = wording(MOVIES, "ask_again")


def test_asking_again_fills_the_gaps_from_the_catalog_and_counts_them():
    ask = Answers(answer("b", "X3"), answer("c", "d"))
    (one,) = ask_again([REQUEST], [answer("a", "X1", "X2")], ask, again=AGAIN, opening=OPENING)
    assert named(one.response) == ["a", "b", "c"]
    assert (one.n_replaced, len(one.turns)) == (2, 3)
    assert [[request.k for request in batch] for batch in ask.asked] == [[2], [1]]


def test_asking_again_names_no_title_and_stands_behind_the_conversation():
    ask = Answers(answer("a"), answer("b"))
    ask_again([REQUEST], [answer("X1", "X2", "X3")], ask, again=AGAIN, opening=OPENING)
    first, second = (batch[0] for batch in ask.asked)
    assert first.messages == (
        *OPENING, Message("user", REQUEST.prompt), Message("assistant", "X1\nX2\nX3"),
    )  # fmt: skip
    assert second.messages == (
        *first.messages, Message("user", first.prompt), Message("assistant", "a"),
    )  # fmt: skip
    for request in (first, second):
        assert "X" not in request.prompt
    assert "3 other movies" in first.prompt
    assert "2 other movies" in second.prompt


def test_asking_again_stops_after_two_rounds_and_after_failures():
    ask = Answers(*[answer("X")] * 9)
    (one,) = ask_again([REQUEST], [answer("X1")], ask, again=AGAIN)
    assert one.response.status == "no_answer"
    assert len(ask.asked) == 2
    ask = Answers(answer(status="refusal"))
    (one,) = ask_again([REQUEST], [answer("a")], ask, again=AGAIN)
    assert named(one.response) == ["a"]
    assert len(ask.asked) == 1


def test_nobody_is_asked_again_where_nothing_is_missing():
    ask = Answers()
    found = ask_again(
        [REQUEST] * 2, [answer("a", "b", "c"), answer(status="refusal")], ask, again=AGAIN
    )
    assert ask.asked == []
    assert [one.n_replaced for one in found] == [0, 0]


def test_what_is_listed_already_replaces_nothing():
    ask = Answers(answer("a", "a", "b", "b", "c"), answer())
    (one,) = ask_again([REQUEST], [answer("a", "X")], ask, again=AGAIN)
    assert named(one.response) == ["a", "b", "c"]


# --- lists and facts in the prompt

FARGO = Catalog((CatalogItem("2", "Fargo", 1996, ("Crime", "Drama")), CatalogItem("3", "Solaris")))


def words(text):
    return len(text.split())


def test_candidates_stand_behind_the_request_in_its_own_words():
    prompts = Prompts.shipped("titles", domain_pack("movies"))
    asked = with_candidates(
        REQUEST,
        ["Fargo (1996)", "{k} (1990)"],
        instruction="Name {k} films.",
        choose=wording(MOVIES, "choose_from"),
    )
    assert asked.candidates is None
    assert prompts.render(asked) == (
        "Name 3 films.\nName only movies of this list:\n- Fargo (1996)\n- (k) (1990)"
    )


def test_facts_are_those_of_the_graph():
    fargo, solaris = (Item(item.id, item.display_title) for item in FARGO.items)
    assert fact_line(FARGO.graph, fargo, MOVIES.facts, count=words) == "Fargo (1996): Crime, Drama"
    assert fact_line(FARGO.graph, solaris, MOVIES.facts, count=words) == "Solaris"
    bare = Item("2", "Fargo")
    assert (
        fact_line(FARGO.graph, bare, MOVIES.facts, count=words) == "Fargo: Crime, Drama; year 1996"
    )


def test_facts_beyond_forty_tokens_are_left_out():
    bare = Item("2", "Fargo")
    long_year = lambda text: 41 if "year" in text else 1  # noqa: E731
    assert fact_line(FARGO.graph, bare, MOVIES.facts, count=long_year) == "Fargo: Crime, Drama"


# --- filters


class Titles:
    """Stands where a writer does: filters look at nothing but its titles."""

    name, titles = "writer", tuple(dict.fromkeys(TITLES))


def test_filters_leave_out_history_other_candidates_and_what_breaks_the_constraint():
    catalog = world().catalog
    filters = FilteredTitles(Titles, catalog, {"u": [Constraint("genre", "=", "Drama")]})
    request = Request(user_id="u", history=ITEMS[:20], candidates=ITEMS[10:40])
    left = {Titles.titles[i] for i in np.flatnonzero(filters.allowed(request))}
    expected = {item.display_title for item in catalog.items[20:40] if "Drama" in item.genres}
    assert left == expected
    assert expected


def test_a_request_without_terms_leaves_everything_that_is_new():
    filters = FilteredTitles(Titles, world().catalog, {})
    allowed = filters.allowed(Request(user_id="v", history=ITEMS[:5]))
    assert allowed.sum() == len(Titles.titles) - 5


# --- confidence


@given(st.lists(st.sampled_from(["Fargo (1996)", "Heat", "X"]), max_size=6), st.data())
def test_titles_are_found_in_order_where_they_stand(titles, data):
    mark = data.draw(st.sampled_from(["", "- ", "1. "]))
    text = "\n".join(mark + title for title in titles)
    spans = title_spans(text, titles)
    assert [text[begin:end].strip(" \n") for begin, end in spans] == titles
    assert all(a[1] <= b[0] + 1 for a, b in itertools.pairwise(spans))


def test_a_title_that_the_text_does_not_hold_has_no_place():
    assert title_spans("Heat\nFargo\n", ["Alien", "Heat"]) == [None, (0, 5)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_folder(save(tmp_path_factory.mktemp("write"), style="generate", with_items=False))


def test_confidence_is_the_mean_over_the_tokens_of_the_title_and_its_end(model, tmp_path):
    target = target_for(model, tmp_path)
    request = Request(id="1", user_id="u", history=ITEMS[:3], k=2)
    request = replace(request, prompt=model.render(request))
    text = f"- {TITLES[5]}\n- {TITLES[9]}\n"
    items = tuple(RankedItem(raw=title) for title in (TITLES[5], "Unsaid", TITLES[9]))
    response = Response(request_id="1", status="ok", text=text, items=items)
    ((first, unsaid, second),) = title_confidences(
        [request], [response], target.score, target.reference
    )
    assert unsaid is None
    prompt = model._encode(request.prompt)
    parts = [model._encode(request.prompt + text[:n])[len(prompt) :] for n in (1, 2, len(text))]
    whole = parts[-1]
    (nats,) = model.engine.score([(prompt, whole)])
    line = len(model._encode(request.prompt + f"- {TITLES[5]}\n")) - len(prompt)
    assert first == pytest.approx(np.mean(nats[1:line]), abs=1e-4)
    assert second == pytest.approx(np.mean(nats[line + 1 :]), abs=1e-4)


def test_an_answer_without_text_is_scored_by_its_items(model, tmp_path):
    target = target_for(model, tmp_path)
    request = Request(id="1", user_id="u", history=ITEMS[:3], k=2)
    request = replace(request, prompt=model.render(request))
    items = tuple(RankedItem(raw=item.title, item_id=item.id) for item in ITEMS[:2])
    listed = Response(request_id="1", status="ok", items=items)
    failed = Response(request_id="2", status="refusal", items=())
    ((first, second), nothing) = title_confidences(
        [request, request], [listed, failed], target.score, target.reference
    )
    scores = model.score([request.prompt], [[item.title for item in ITEMS[:2]]])[0]
    assert [first, second] == pytest.approx([one.mean for one in scores], abs=1e-4)
    assert nothing == []
