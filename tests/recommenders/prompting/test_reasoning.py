"""Reasoning inside the text of an answer is never read as recommendations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.recommenders.execution.response_checks import check_response
from auditkit.recommenders.prompting.answers import generated_text, read_list
from auditkit.recommenders.prompting.reasoning import without_reasoning
from auditkit.types import Request

THOUGHT = "They liked Heat (1995). Perhaps:\n1. Alien (1979)\n2. Brazil (1985)\n"
LIST = "1. Fargo (1996)\n2. Toy Story (1995)"
TITLES = ["Fargo (1996)", "Toy Story (1995)"]

# Templates of the answer: DeepSeek-R1 and Qwen3, their spellings, Magistral, Kimi, Cohere,
# OpenThinker, gpt-oss with and without its special tokens.
WRAPPED = {
    "think": "<think>{thought}</think>\n{list}",
    "thinking": "<thinking>\n{thought}</thinking>{list}",
    "reasoning": "<reasoning>{thought}</reasoning>\n{list}",
    "upper_case": "<THINK>{thought}</THINK>\n{list}",
    "opened_by_the_prompt": "{thought}</think>\n\n{list}",
    "empty": "<think>\n\n</think>\n\n{list}",
    "twice": "<think>{thought}</think><think>{thought}</think>{list}",
    "nested": "<think>{thought}<think>{thought}</think>{thought}</think>{list}",
    "answer_tags": "<think>{thought}</think><answer>{list}</answer>",
    "square": "[THINK]{thought}[/THINK]{list}",
    "kimi": "\u25c1think\u25b7{thought}\u25c1/think\u25b7{list}",
    "seed": "<seed:think>{thought}</seed:think>{list}",
    "cohere": "<|START_THINKING|>{thought}<|END_THINKING|><|START_RESPONSE|>{list}<|END_RESPONSE|>",
    "open_thinker": "<|begin_of_thought|>{thought}<|end_of_thought|>"
    "<|begin_of_solution|>{list}<|end_of_solution|>",
    "harmony": "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant"
    "<|channel|>final<|message|>{list}<|return|>",
    "harmony_with_commentary": "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant"
    "<|channel|>commentary to=functions.find <|constrain|>json<|message|>{{}}<|call|>"
    "<|start|>assistant<|channel|>final<|message|>{list}",
    "harmony_without_special_tokens": "analysisWe need films. {thought}assistantfinal{list}",
}


def titles(read):
    return [item.raw for item in read.items]


@pytest.mark.parametrize("form", WRAPPED.values(), ids=WRAPPED)
def test_titles_of_the_thoughts_are_not_counted(form):
    read = read_list(form.format(thought=THOUGHT, list=LIST), k=2)
    assert (read.status, titles(read)) == ("ok", TITLES)
    assert read.derived["reasoning"] >= 1
    assert "Brazil" not in read.text


@pytest.mark.parametrize("form", WRAPPED.values(), ids=WRAPPED)
def test_recommender_that_returns_text_is_read_the_same_way(form):
    request = Request(id="r", k=2)
    response = check_response(request, form.format(thought=THOUGHT, list=LIST))
    assert (response.status, titles(response)) == ("ok", TITLES)


@pytest.mark.parametrize(
    "text",
    [
        "<think>" + THOUGHT,
        "<thinking>" + THOUGHT + "3. Fargo (1996)",
        "<|channel|>analysis<|message|>" + THOUGHT,
        "<|channel|>analysis<|message|>" + THOUGHT + "<|end|><|start|>assistant",
        "analysisThey like films. " + THOUGHT,
        "[THINK]" + THOUGHT,
    ],
)
@pytest.mark.parametrize("cut", [True, False])
def test_answer_that_ends_within_its_reasoning_is_truncated(text, cut):
    read = read_list(text, k=2, cut=cut)
    assert (read.status, read.reason, read.items) == ("truncated", "unfinished_reasoning", ())
    generated = generated_text(Request(id="r"), text)
    assert (generated.status, generated.reason) == ("truncated", "unfinished_reasoning")


def test_list_before_unfinished_reasoning_is_complete():
    read = read_list(f"{LIST}\n<think>is that all?", k=2)
    assert (read.status, titles(read), read.derived["cut"]) == ("ok", TITLES, True)
    short = read_list(f"{LIST}\n<think>is that all?", k=3)
    assert (short.status, titles(short)) == ("truncated", TITLES)


def test_reason_between_two_titles_is_removed():
    text = "1. Fargo (1996)\n<reasoning>1. Alien</reasoning>\n2. Toy Story (1995)"
    assert titles(read_list(text, k=2)) == TITLES


def test_empty_answer_after_reasoning_is_no_answer():
    assert read_list("<think>1. Heat</think>\n", k=2).status == "no_answer"
    assert read_list("<think>1. Heat</think>\n", k=2, cut=True).status == "truncated"
    assert read_list(" ", k=2, cut=True).status == "no_answer"
    assert generated_text(Request(id="r"), "<think>x</think>").status == "no_answer"


@pytest.mark.parametrize(
    "text",
    ["Analysis of Heat", "analysis paralysis", "I think, therefore I am", "<i>Heat</i>",
     "1. Rethink\n2. <thinker>", "Think Like a Man (2012)", "a < think > b"],
)  # fmt: skip
def test_text_without_reasoning_is_unchanged(text):
    assert without_reasoning(text) == (text, 0, False)


@given(st.text(alphabet="<>/|think\n\u25c1\u25b7[]THINK", max_size=60))
def test_any_text_has_one_reading(text):
    answer = without_reasoning(text)
    assert len(answer.text) <= len(text)
    assert answer.n_removed > 0 or not answer.unfinished
