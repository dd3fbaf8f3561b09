"""Scores of a chat model are those of its answers, after its chat template, on a real server."""

from __future__ import annotations

import asyncio

import pytest
from chat_server import EVERY, chat_server, chat_text, local_scores
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import TargetError
from auditkit.recommenders.protocols import Scores
from auditkit.recommenders.remote.capability_check import connect
from auditkit.recommenders.remote.chat_logprobs import (
    PromptToken,
    continuation_values,
    generated_token,
    prompt_tokens,
)
from auditkit.recommenders.remote.chat_scoring import RenderedTemplate
from auditkit.recommenders.remote.openai_endpoint import ScoringEndpoint
from auditkit.types import Message, Request

PROMPT = "Recommend movies with a robot."
LISTED = ("1. Toy Story (1995)", "1. Toy Story (1995)\n", "Heat\nCafé Müller 🤖\n")
PATHS = [("prompt_logprobs",), ("apply-template", "echo"), ("tokenize", "echo")]


@pytest.fixture(scope="module", params=PATHS, ids=lambda dialects: dialects[0])
def served(request):
    with chat_server(*request.param) as (url, seen):
        yield connect(f"{url}#m"), seen


def test_scores_are_those_of_the_same_model_after_its_template(served):
    endpoint, _ = served
    assert isinstance(endpoint, ScoringEndpoint)
    (scored,) = endpoint.score([PROMPT], [LISTED])
    text = chat_text([{"role": "user", "content": PROMPT}])
    for found, continuation in zip(scored, LISTED, strict=True):
        assert found.tokens == pytest.approx(local_scores(text, continuation), abs=1e-4)


def test_scores_are_not_those_of_the_plain_text(served):
    endpoint, _ = served
    (scored,) = endpoint.score([PROMPT], [LISTED])
    for found, continuation in zip(scored, LISTED, strict=True):
        plain = sum(local_scores(PROMPT, continuation, special=True))
        assert abs(found.total - plain) > 1


def test_earlier_turns_are_a_part_of_the_chat(served):
    endpoint, _ = served
    request = Request(id="r", prompt=PROMPT, messages=(Message("system", "Be brief."),))
    asked = endpoint.answer("score", request, {"continuations": ["Heat"]})
    (response,) = endpoint.run_all(asked)
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPT}]
    assert response.derived["tokens"][0] == pytest.approx(local_scores(chat_text(turns), "Heat"))
    assert response.usage["prompt_tokens"] > 0


def test_report_names_how_scores_were_obtained(served):
    endpoint, seen = served
    words = {"prompt_logprobs": "prompt_logprobs of /chat/completions"}
    route = words.get(seen.dialects[0], f"the chat rendered by /{seen.dialects[0]}")
    assert "after the model's chat template" in endpoint.notes_on_scores[0]
    assert route in endpoint.notes_on_scores[0]
    assert endpoint.notes_on_scores[1].startswith("Two scores of the same text differ by ")


def test_begin_of_sequence_is_read_once():
    """The template writes `<s>` and the tokenizer adds it; the scores are those of one `<s>`."""
    with chat_server("apply-template", "echo") as (url, seen):
        endpoint = connect(f"{url}#m")
        assert endpoint.scorer.strips_first
        endpoint.score([PROMPT], [["Heat"]])
    assert seen.asked[-1][1]["prompt"].startswith("<|user|>")


def test_template_without_begin_of_sequence_is_sent_as_it_is():
    with chat_server("apply-template", "echo", faults=("strips_bos",)) as (url, _):
        endpoint = connect(f"{url}#m")
        assert not endpoint.scorer.strips_first
        ((found,),) = endpoint.score([PROMPT], [["Heat"]])
    text = chat_text([{"role": "user", "content": PROMPT}])
    assert found.tokens == pytest.approx(local_scores(text, "Heat"), abs=1e-4)


def test_first_way_that_works_is_used():
    with chat_server(*EVERY) as (url, _):
        assert connect(f"{url}#m").scorer.label == "prompt_logprobs of /chat/completions"


@pytest.mark.parametrize("fault", ["ignores_template", "shifted"])
@pytest.mark.parametrize("dialects", [("prompt_logprobs",), EVERY], ids=["alone", "every"])
def test_wrong_log_probabilities_of_a_chat_are_found_out(fault, dialects):
    with chat_server(*dialects, faults=(fault,)) as (url, _):
        endpoint = connect(f"{url}#m")
    if fault == "ignores_template" and dialects == EVERY:
        assert "rendered by /apply-template" in endpoint.notes_on_scores[0]
        return
    assert not isinstance(endpoint, Scores)
    assert "its scores are wrong and were not used" in endpoint.notes_on_scores[0]


def test_template_that_strips_the_last_message_is_scored_by_its_rendering():
    """`continue_final_message` would give the log-probabilities of a text without its line end."""
    with chat_server(*EVERY, trims=True) as (url, _):
        endpoint = connect(f"{url}#m")
        assert "rendered by" in endpoint.scorer.label
        (scored,) = endpoint.score([PROMPT], [LISTED])
    text = chat_text([{"role": "user", "content": PROMPT}])
    assert scored[1].tokens == pytest.approx(local_scores(text, LISTED[1]), abs=1e-4)
    with chat_server("prompt_logprobs", trims=True) as (url, _):
        assert not isinstance(connect(f"{url}#m"), Scores)


def test_plain_log_probabilities_are_not_those_of_a_chat():
    with chat_server("echo") as (url, _):
        endpoint = connect(f"{url}#m")
    assert not isinstance(endpoint, Scores)
    assert "only of plain text" in endpoint.notes_on_scores[0]


def test_model_that_reasons_first_has_no_scores():
    with chat_server(*EVERY, faults=("reasons",)) as (url, _):
        endpoint = connect(f"{url}#m")
    assert not isinstance(endpoint, Scores)
    assert "reasons before it answers" in endpoint.notes_on_scores[0]


def test_template_that_opens_the_reasoning_is_not_scored():
    async def post(path, body, *, from_root=False):
        return {"prompt": "<|user|>\nhello<|assistant|>\n<think>\n"}

    scorer = RenderedTemplate(by_tokenizer=False, strips_first=False)
    turns = [{"role": "user", "content": "hello"}]
    with pytest.raises(TargetError, match="reasons before it answers"):
        asyncio.run(scorer.score(post, "m", turns, ["Heat"]))


@pytest.mark.parametrize("fault", ["fails", "hangs_up"])
def test_routes_that_always_fail_are_said_and_do_not_end_the_audit(fault, monkeypatch):
    monkeypatch.setattr(
        "auditkit.recommenders.remote.capability_check.time.sleep", lambda seconds: None
    )
    with chat_server(*EVERY, faults=(fault,)) as (url, _):
        endpoint = connect(f"{url}#m")
        assert endpoint.generate(["hello"], max_new_tokens=1, temperature=0, seeds=[0]) != [""]
    assert not isinstance(endpoint, Scores)
    assert "failed in every attempt" in endpoint.notes_on_scores[0]


def test_server_without_log_probabilities_has_no_scores_and_no_note():
    with chat_server() as (url, _):
        endpoint = connect(f"{url}#m")
    assert not isinstance(endpoint, Scores)
    assert endpoint.notes_on_scores == ()


# --- the response format


def tokens(*texts):
    return [PromptToken(text, -float(i + 1), text) for i, text in enumerate(texts)]


def test_tokens_after_the_prompt_are_those_of_the_continuation():
    assert continuation_values(tokens("a"), tokens("a", "b", "c"), "bc") == [-2, -3]


def test_token_that_begins_in_the_prompt_is_included():
    assert continuation_values(tokens("a", "\n"), tokens("a", "\nb", "c"), "bc") == [-2, -3]


def test_space_that_a_token_alone_loses_is_not_missed():
    assert continuation_values(tokens("a"), tokens("a", "b", "c"), "b c") == [-2, -3]


def test_parts_of_a_character_spell_it():
    assert continuation_values(tokens("a"), tokens("a", "\ufffd", "\ufffd", "b"), "éb") == [
        -2, -3, -4
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "whole", "text"),
    [
        (("a", "think", "end"), ("a", "b"), "b"),  # another prompt before the answer
        (("a", "\n"), ("a", "b"), "b"),  # the line end of the prompt is missing
        (("a",), ("a", "b"), "b\n"),  # stripped
        (("a",), ("a", "b"), "b "),
        (("a",), ("a", "b", "end"), "b"),  # closed
        (("a",), ("a", "\ufffd"), "b"),
        (("a",), ("a",), "b"),
    ],
)
def test_tokens_of_another_text_are_refused(before, whole, text):
    with pytest.raises(TargetError):
        continuation_values(tokens(*before), tokens(*whole), text)


@pytest.mark.parametrize("value", [-9999.0, 0.5, float("nan")])
def test_impossible_values_are_refused(value):
    with pytest.raises(TargetError, match="no log-probabilities of the continuation"):
        continuation_values(tokens("a"), [*tokens("a"), PromptToken("b", value, "b")], "b")


ENTRY = {"7": {"logprob": -1.0, "rank": 1, "decoded_token": "x"}}


def test_entries_of_the_prompt_are_read():
    assert prompt_tokens({"prompt_logprobs": [None, ENTRY]}) == [PromptToken("7", -1.0, "x")]


@pytest.mark.parametrize(
    "entries",
    [None, [], [None], [ENTRY, ENTRY], [None, None], [None, {}], [None, {**ENTRY, "8": ENTRY["7"]}],
     [None, {"7": {"logprob": None, "decoded_token": "x"}}], [None, {"7": -1.0}], "text"],
)  # fmt: skip
def test_other_entries_are_refused(entries):
    with pytest.raises(TargetError, match="no log-probabilities of the chat"):
        prompt_tokens({"prompt_logprobs": entries})


@pytest.mark.parametrize("content", [None, "", "other", "x <think> a"])
def test_token_that_does_not_begin_the_answer_is_refused(content):
    table = {"content": [{"token": "x", "logprob": -1.0}]}
    choice = {"message": {"content": content}, "logprobs": table}
    with pytest.raises(TargetError, match="reasons before it answers"):
        generated_token({"choices": [choice]})


@given(st.text(alphabet="abé🤖 \n", min_size=1, max_size=12), st.data())
def test_every_split_of_a_text_into_tokens_spells_it(text, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(text) - 1)))))
    parts = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True) if text[i:j]]
    whole = [
        PromptToken("p", -1.0, "p"),
        *(PromptToken(f"t{i}", -1.0, p) for i, p in enumerate(parts)),
    ]
    assert len(continuation_values(whole[:1], whole, text)) == len(parts)
