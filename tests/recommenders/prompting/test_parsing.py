"""From answers to titles: measured on a labeled set, one line per answer in `answers.json`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.recommenders.execution.response_checks import list_after
from auditkit.recommenders.prompting.parsing import (
    fairllm_clean,
    is_refusal,
    parse_cut,
    parse_list,
    status_of_text,
)
from auditkit.types import RESPONSE_STATUSES, RankedItem, Response

ANSWERS = json.loads(Path(__file__).with_name("answers.json").read_text(encoding="utf-8"))
CLEAN = [answer for answer in ANSWERS if answer["kind"] == "clean"]


def parsed(answer):
    titles = parse_list(answer["text"]).titles
    return list(titles), status_of_text(answer["text"], n_items=len(titles))


@pytest.mark.parametrize("answer", CLEAN, ids=range(len(CLEAN)))
def test_clean_answer_is_read_as_labeled(answer):
    assert parsed(answer) == (answer["titles"], answer["status"])


def test_accuracy_on_the_labeled_set_is_measured(capsys):
    right = {
        kind: [parsed(a) == (a["titles"], a["status"]) for a in ANSWERS if a["kind"] == kind]
        for kind in ("clean", "hard")
    }
    with capsys.disabled():
        for kind, hits in right.items():
            print(f"\nparser, {kind} answers: {sum(hits)} of {len(hits)} read as labeled")
    assert len(ANSWERS) >= 40
    assert all(right["clean"])


@given(st.text(st.characters()))
def test_any_text_gets_exactly_one_status(text):
    titles = parse_list(text).titles
    assert status_of_text(text, n_items=len(titles)) in RESPONSE_STATUSES
    assert all(title.strip() for title in titles)


@given(
    st.lists(
        st.from_regex(r"[A-Z][a-z]{2,8} [A-Z][a-z]{2,8}", fullmatch=True), min_size=1, max_size=8
    )
)
def test_numbered_list_comes_back_in_order(titles):
    text = "\n".join(f"{n}. {title}" for n, title in enumerate(titles, start=1))
    assert list(parse_list(text).titles) == titles


def test_absent_text_without_items_is_no_answer():
    assert status_of_text(None, n_items=0) == "no_answer"


def test_refusal_is_recognized_with_a_typographic_apostrophe():
    assert is_refusal("I can\N{RIGHT SINGLE QUOTATION MARK}t do that")


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("You might enjoy Fargo.", ()),
        ("Here are some movies:\nFargo (1996)\nClerks (1994)", ("Fargo (1996)", "Clerks (1994)")),
        ('```json\n["Fargo (1996)"]\n```', ("Fargo (1996)",)),
        ('[{"title": "Fargo (1996)", "score": 3}]', ("Fargo (1996)",)),
        ('{"recommendations": ["Fargo (1996)", "Clerks"]}', ("Fargo (1996)", "Clerks")),
        ("I Can't Sleep (1994)\nFargo (1996)", ("I Can't Sleep (1994)", "Fargo (1996)")),
        ("I'm sorry, but I cannot recommend movies.", ()),
    ],
)
def test_what_surrounds_a_list_is_no_title(text, titles):
    assert parse_list(text).titles == titles


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ('{"items": [{"title": "Heat"}], "tags": ["drama"]}', ("Heat",)),
        ('Of course:\n```json\n["Heat"]\n```\nEnjoy!', ("Heat",)),
        ('{"title": "Heat"}', ()),
        ("[" * 100_000, ()),
        ("Fargo (1996), Heat (1995), and Toy Story (1995).",
         ("Fargo (1996)", "Heat (1995)", "Toy Story (1995)")),
        ("Crouching Tiger, Hidden Dragon (2000), Heat (1995)",
         ("Crouching Tiger, Hidden Dragon (2000)", "Heat (1995)")),
        ("300: Rise of an Empire (2014)", ("300: Rise of an Empire (2014)",)),
        ("1: Fargo\n2: Heat", ("Fargo", "Heat")),
        ("Sure! Here you go.\nFargo\nHeat", ("Fargo", "Heat")),
        ("Airplane!\nFargo", ("Airplane!", "Fargo")),
        ("1. Fargo (1996)\n   - a dark comedy\n2. Heat (1995):\n   a heist",
         ("Fargo (1996)", "Heat (1995)")),
        ("1. Comedies:\n   - Fargo\n2. Dramas:\n   - Heat", ("Fargo", "Heat")),
        ("I Can't Sleep\nHeat", ("I Can't Sleep", "Heat")),
        ("I'm sorry, but I can't do that\nTry again", ()),
    ],
)  # fmt: skip
def test_no_debris_becomes_a_title(text, titles):
    assert parse_list(text).titles == titles


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("1. Fargo\n2. Toy Sto", ("Fargo",)),
        ("1. Fargo\n2. Heat\n", ("Fargo", "Heat")),
        ("1. Fargo\n2.", ("Fargo",)),
        ("1. Fargo\n2. Heat (1995) - a hei", ("Fargo", "Heat (1995)")),
        ("Fargo; Heat; Toy Sto", ("Fargo", "Heat")),
        ("Fargo (1996), Heat (19", ("Fargo (1996)",)),
        ('["Fargo", "Heat", "Toy Sto', ("Fargo", "Heat")),
        ('[{"title": "Fargo"}, {"tit', ("Fargo",)),
        ("Far", ()),
    ],
)
def test_unfinished_last_title_of_a_cut_answer_is_left_out(text, titles):
    assert parse_cut(text).titles == titles


@pytest.mark.parametrize(
    ("text", "n_items", "status"),
    [("1. A", 2, "ok"), ("1. A", 1, "truncated"), ("Let me", 0, "truncated"),
     ("I cannot", 0, "refusal"), (" ", 0, "no_answer")],
)  # fmt: skip
def test_cut_answer_without_enough_items_is_truncated(text, n_items, status):
    assert status_of_text(text, n_items=n_items, cut=True, k=2) == status


def test_many_lines_are_read_once():
    """Reading every line against every other would take hours."""
    assert len(parse_list("ab\n" * 300_000).titles) > 0


# --- a list behind reasoning


@pytest.mark.parametrize(
    ("text", "cut", "status", "titles"),
    [
        ("Heat is grim.\n1. Heat (1995)\nAnswer:\n1. Fargo (1996)", False, "ok",
         ["Fargo (1996)"]),
        ("Answer: no.\nAnswer:\n1. Fargo (1996)", False, "ok", ["Fargo (1996)"]),
        ("1. Heat (1995)", False, "parse_error", []),
        ("1. Heat (1995)", True, "truncated", []),
        ("Answer:\n1. Fargo (1996)\n2. Hea", True, "truncated", ["Fargo (1996)"]),
        ("Answer: ", False, "no_answer", []),
    ],
)  # fmt: skip
def test_only_what_stands_behind_the_reasoning_counts(text, cut, status, titles):
    derived = {"cut": True} if cut else {}
    answer = Response(
        request_id="r", status="ok", text=text, items=(RankedItem(raw="?"),), derived=derived
    )
    read = list_after("Answer:", answer, k=2)
    assert (read.status, [item.raw for item in read.items]) == (status, titles)
    assert read.text == text


def test_answer_without_such_words_stays_as_it_is():
    answer = Response(request_id="r", status="ok", text="1. A", items=(RankedItem(raw="A"),))
    assert list_after("", answer, k=2) is answer
    refused = Response(request_id="r", status="refusal", text="I cannot")
    assert list_after("Answer:", refused, k=2) is refused


# --- the cleaning of FaiRLLM's notebook


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Here you are:\n1. Toy Story (1995)\n2. Heat", ["toystory", "heat"]),
        ("1. Schindler's List\n2. Dr. No", ["schindlerslist", "dr.no"]),
        ('1. "Heat" by "Michael Mann"\n2. the "Fargo" film', ["heat", "fargo"]),
        ('1. "Heat\n2. Fargo', ["heat", "fargo"]),
        ("1. Heat (1995 - long)\n2. Fargo", ["heat(1995", "fargo"]),
        ("1. - Heat\n2. Fargo", ["", "fargo"]),
        ("1. Heat 2. Heat", ["heat", "heat"]),
        ("1.Heat\n2.Fargo", []),
        ("", []),
    ],
)
def test_fairllm_cleaning_follows_its_documented_steps(text, cleaned):
    assert fairllm_clean(text) == cleaned


def test_fairllm_cleaning_merges_titles_that_differ_behind_a_hyphen():
    text = "1. Ant-Man\n2. Ant-Man and the Wasp\n3. Heat"
    assert fairllm_clean(text) == ["ant", "ant", "heat"]


def test_fairllm_cleaning_loses_a_digit_at_the_end_of_a_title():
    assert fairllm_clean("1. Toy Story 2\n2. Ocean's 11\n3. Heat") == [
        "toystory",
        "oceans",
        "heat",
    ]


@pytest.mark.parametrize("text", ["1) Heat\n2) Fargo", "- Heat\n- Fargo", "* Heat\n* Fargo"])
def test_fairllm_cleaning_reads_nothing_from_other_lists(text):
    assert fairllm_clean(text) == []
    assert len(parse_list(text).titles) == 2


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("Salt &amp; Pepper", ("Salt &amp; Pepper",)),
        ("Salt &amp; Pepper; Heat", ("Salt & Pepper", "Heat")),
        ("1. Heat (1995) by Michael Mann\n2. Fargo (1996), directed by Joel Coen",
         ("Heat (1995)", "Fargo (1996)")),
        ("1. Stand by Me (1986)", ("Stand by Me (1986)",)),
    ],
)  # fmt: skip
def test_entities_and_creators_do_not_split_a_title(text, titles):
    assert parse_list(text).titles == titles


def test_entity_at_the_end_of_a_cut_answer_ends_no_title():
    assert parse_cut("Salt &amp; Pep").titles == ()
