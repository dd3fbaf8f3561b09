"""Prompts: typed text stays text, items stay items, slots are filled once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.domains.shipped import domain_pack
from auditkit.errors import ConfigurationError
from auditkit.recommenders.prompting.prompts import (
    Prompts,
    describe_user,
    escape,
    item_reference,
    segments,
)
from auditkit.types import Item, Request

TYPED = st.text(st.sampled_from("\\<>_{}item5 é/s") | st.characters()) | st.sampled_from(
    ["<item_5>", "\\<item_5>", "</s>", "\\", "\\\\", "{history}", "<item_"]
)
IDS = st.from_regex(r"[A-Za-z0-9._-]{1,6}", fullmatch=True)
TOKENS, TITLES = (
    Prompts.shipped("item_tokens", domain_pack("movies")),
    Prompts.shipped("titles", domain_pack("movies")),
)


@given(TYPED)
def test_typed_text_never_becomes_an_item(text):
    assert segments(escape(text)) == ([("text", text)] if text else [])


@given(st.lists(st.tuples(TYPED, IDS), min_size=1, max_size=5))
def test_text_and_items_come_apart_as_they_were_put_together(parts):
    prompt = "".join(escape(text) + item_reference(item_id) for text, item_id in parts)
    expected = [piece for text, item_id in parts for piece in (("text", text), ("item", item_id))]
    assert segments(prompt) == [piece for piece in expected if piece[1]]


@given(TYPED, TYPED)
def test_instruction_and_attributes_hold_no_item(instruction, occupation):
    prompt = TOKENS.render(Request(instruction=instruction, attributes={"occupation": occupation}))
    assert all(kind == "text" for kind, _ in segments(prompt))


@pytest.mark.parametrize("typed", ["<item_5>", "</s>", "<s>", "\\<item_5>"])
def test_typed_control_text_is_kept_literally(typed):
    request = Request(instruction=typed + " {history}", history=(Item("7", "Heat (1995)"),))
    assert segments(TOKENS.render(request)) == [("text", typed + " "), ("item", "7")]


def test_item_behind_a_typed_backslash_is_still_an_item():
    request = Request(instruction="a\\{history}", history=(Item("7", "Heat"),))
    assert segments(TOKENS.render(request)) == [("text", "a\\"), ("item", "7")]


def test_braces_in_titles_are_not_slots():
    request = Request(instruction="{history}|{k}", history=(Item("1", "{k} {who}"),), k=3)
    assert TITLES.render(request) == "- {k} {who}|3"


def test_slots_in_attributes_are_not_filled():
    request = Request(instruction="{who}", attributes={"occupation": "{history}"})
    assert TITLES.render(request) == "a {history}"


def test_unknown_slot_of_an_instruction_stays_as_it_is():
    assert TITLES.render(Request(instruction="{x} {k}", k=2)) == "{x} 2"


def test_empty_history_is_said_in_words():
    assert "(nothing yet)" in TITLES.render(Request())


def test_candidates_are_listed_in_order():
    request = Request(instruction="{candidates}", candidates=(Item("2", "B"), Item("1", "A")))
    assert TITLES.render(request) == "- B\n- A"
    assert TOKENS.render(request) == "<item_2><item_1>"


@pytest.mark.parametrize(
    ("attributes", "phrase"),
    [
        ({}, "a user"),
        ({"gender": "female"}, "a female user"),
        ({"age": "under 25"}, "a user aged under 25"),
        ({"occupation": "engineer"}, "an engineer"),
        (
            {"gender": "female", "age": "under 25", "occupation": "student"},
            "a female student aged under 25",
        ),
        ({"gender": "unknown", "occupation": ""}, "a user"),
        ({"occupation": "usher"}, "a usher"),
        ({"country": "Peru"}, "a user Peru"),
    ],
)
def test_attributes_are_stated_in_a_phrase(attributes, phrase):
    assert describe_user(attributes) == phrase


@pytest.mark.parametrize("name", ["item_tokens", "titles"])
def test_templates_read_back_what_they_wrote(name):
    prompts = Prompts.shipped(name, domain_pack("movies"))
    assert Prompts.from_mapping(prompts.as_mapping()) == prompts


def test_template_with_an_unknown_slot_is_refused():
    with pytest.raises(ConfigurationError, match="unknown slot 'histroy'"):
        Prompts(history="titles", recommend=("{histroy}",), describe=("{item}",), description="")


@pytest.mark.parametrize("text", ["", "history: titles\n", "[", "- 1\n"])
def test_file_that_holds_no_templates_is_refused(tmp_path, text):
    path = tmp_path / "prompts.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"prompts.yaml"):
        Prompts.read(path)


def test_wordings_of_a_description_take_turns():
    item = Item("5", "Heat (1995)")
    n = len(TOKENS.describe)
    assert TOKENS.render_description(item, wording=n) == TOKENS.render_description(item, wording=0)
    assert ("item", "5") in segments(TOKENS.render_description(item, wording=1))


@pytest.mark.parametrize(
    ("line", "word"),
    [("describe: &a [tell]", "anchor"), ("describe: !!python/name:os.system ''", "tag"),
     ("history: titles", "twice")],
)  # fmt: skip
def test_prompt_file_is_read_by_the_strict_loader(tmp_path, line, word):
    path = tmp_path / "prompts.yaml"
    path.write_text(f"history: titles\nrecommend: [go]\ndescription: x\n{line}\n")
    with pytest.raises(ConfigurationError, match=f"prompts.yaml:4: .*{word}"):
        Prompts.read(path)


def test_examples_and_system_turn_stand_before_the_conversation():
    fields = {
        **Prompts.shipped("titles", domain_pack("movies")).as_mapping(),
        "system": "You know films.",
        "examples": [{"user": "One film.", "assistant": "1. Fargo (1996)"}],
        "answer_after": "Answer:",
    }
    prompts = Prompts.from_mapping(fields)
    assert [turn.role for turn in prompts.opening()] == ["system", "user", "assistant"]
    assert prompts.opening()[2].content == "1. Fargo (1996)"
    assert Prompts.from_mapping(prompts.as_mapping()) == prompts


def test_shipped_prompts_open_with_nothing():
    assert Prompts.shipped("titles", domain_pack("movies")).opening() == ()
