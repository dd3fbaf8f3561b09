"""Responses in the documented formats of vLLM, SGLang, llama.cpp and transformers serve, over HTTP.

`tests/support/server_formats.py` names the release and the source of every format.
"""

from __future__ import annotations

import pytest
from recorded_server import answering
from server_formats import (
    CALL,
    FORMATS,
    LLAMA_CPP,
    SGLANG,
    TRANSFORMERS,
    USAGE,
    VLLM,
    chat_logprobs,
    starts,
    table,
)

from auditkit.errors import TargetError, TargetUnavailable
from auditkit.recommenders.protocols import Scores
from auditkit.recommenders.remote.capability_check import connect
from auditkit.recommenders.remote.openai_endpoint import Endpoint, ScoringEndpoint
from auditkit.recommenders.remote.transport import Transport
from auditkit.types import Request

LIST = "1. Toy Story (1995)\n2. Fargo (1996)\n3. Heat (1995)"
TITLES = ["Toy Story (1995)", "Fargo (1996)", "Heat (1995)"]
CUT = "1. Toy Story (1995)\n2. Far"
THOUGHT = "They may like:\n1. Alien (1979)\n2. Brazil (1985)"
PROMPT, CONTINUATION = "Films like Heat are", " Fargo (1996)"

every_server = pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.server.split()[0])


async def no_sleep(seconds):
    pass


def ask(body, *, chat=True, operation="recommend"):
    """What auditkit makes of one response; also the requests that it sent."""
    with answering(lambda path, asked: body) as (url, seen):
        endpoint = Endpoint(f"{url}#films")
        endpoint.chat = chat
        transport = Transport(endpoint, sleep=no_sleep)
        try:
            request = Request(id="r", prompt="Three films?", k=3)
            (response,) = transport.ask([(operation, request, {})])
        finally:
            transport.close()
    return response, seen


def titles(response):
    return [item.raw for item in response.items]


# --- texts


@every_server
@pytest.mark.parametrize("chat", [True, False])
def test_plain_answer_is_a_list_with_usage(form, chat):
    response, _ = ask(form.chat(LIST) if chat else form.completion(LIST), chat=chat)
    assert (response.status, response.reason, titles(response)) == ("ok", None, TITLES)
    assert response.usage == USAGE  # nested counts, such as cached tokens, are left out


@every_server
def test_log_probabilities_of_a_chat_change_nothing(form):
    with_numbers = form.chat(LIST, logprobs=chat_logprobs(("1", -0.25), (".", -9999.0)))
    assert ask(with_numbers)[0] == ask(form.chat(LIST))[0]


@every_server
def test_titles_in_the_reasoning_are_not_recommended(form):
    response, _ = ask(form.chat(LIST, **{form.reasoning: THOUGHT}))
    assert (response.status, titles(response), response.text) == ("ok", TITLES, LIST)


@every_server
@pytest.mark.parametrize("operation", ["recommend", "generate"])
def test_answer_cut_within_the_reasoning_is_truncated(form, operation):
    body = form.chat(form.empty, reason="length", **{form.reasoning: THOUGHT})
    response, _ = ask(body, operation=operation)
    assert (response.status, response.items) == ("truncated", ())


@every_server
def test_tool_call_without_text_is_no_answer_and_kept_as_evidence(form):
    calls = [form.tool_call(0), form.tool_call(1)]
    response, _ = ask(form.chat(form.empty, reason="tool_calls", tool_calls=calls))
    assert (response.status, response.trace) == ("no_answer", (CALL, CALL))


def test_message_that_leaves_out_its_null_content_is_no_answer():
    """transformers serve drops every null value, so a message may have no content key."""
    body = TRANSFORMERS.chat(None, reason="tool_calls", tool_calls=[TRANSFORMERS.tool_call(0)])
    del body["choices"][0]["message"]["content"]
    response, _ = ask(body)
    assert (response.status, response.trace) == ("no_answer", (CALL,))


@every_server
@pytest.mark.parametrize("content", [None, "", " \n"])
def test_complete_response_without_text_is_no_answer(form, content):
    response, _ = ask(form.chat(content))
    assert (response.status, response.items) == ("no_answer", ())


@every_server
def test_refusal_field_is_a_refusal_with_its_text(form):
    response, _ = ask(form.chat(None, refusal="I will not recommend films to this person."))
    assert (response.status, response.items) == ("refusal", ())
    assert response.text == "I will not recommend films to this person."


@every_server
@pytest.mark.parametrize("refusal", [None, "", "Not all of it."])
def test_list_beside_a_refusal_field_is_read(form, refusal):
    response, _ = ask(form.chat(LIST, refusal=refusal))
    assert (response.status, titles(response)) == ("ok", TITLES)


# --- the end of a text


@pytest.mark.parametrize(
    ("form", "word", "status"),
    [
        pytest.param(form, word, status, id=f"{form.server.split()[0]}-{word}")
        for form in FORMATS
        for word, status in form.finish_reasons.items()
    ],
)
def test_every_documented_finish_reason_has_its_status(form, word, status):
    response, seen = ask(form.chat(CUT, reason=word))
    assert response.status == status
    if status == "truncated":
        assert titles(response) == ["Toy Story (1995)"]
    if status == "target_error":  # the server ended it: tried again, and never the model's answer
        assert (response.reason, len(seen), response.items) == ("incomplete_body", 5, ())


@pytest.mark.parametrize("word", ["model_length", "MAX_TOKENS", "insufficient_system_resource"])
def test_unknown_finish_reason_is_never_complete(word):
    response, _ = ask(VLLM.chat(CUT, reason=word))
    assert (response.status, titles(response)) == ("truncated", ["Toy Story (1995)"])
    assert ask(VLLM.chat(CUT, reason=word), operation="generate")[0].status == "truncated"


@every_server
def test_list_that_was_complete_before_the_limit_is_ok(form):
    response, _ = ask(form.chat(LIST, reason="length"))
    assert (response.status, titles(response)) == ("ok", TITLES)


@every_server
@pytest.mark.parametrize("chat", [True, False])
def test_missing_finish_reason_is_not_held_against_the_answer(form, chat):
    body = form.chat(LIST, reason=None) if chat else form.completion(LIST, reason=None)
    assert ask(body, chat=chat)[0].status == "ok"


@pytest.mark.parametrize("word", ["stop", "length"])
def test_text_at_the_length_that_was_asked_for_is_ok(word):
    response, _ = ask(VLLM.chat("Heat is a film about", reason=word), operation="generate")
    assert response.status == "ok"


@every_server
@pytest.mark.parametrize("usage", [None, {}, "left out"])
def test_missing_usage_is_an_empty_count(form, usage):
    body = {**form.chat(LIST), "usage": usage}
    if usage == "left out":
        del body["usage"]
    response, _ = ask(body)
    assert (response.status, response.usage) == ("ok", {})


# --- errors


@pytest.mark.parametrize(
    ("form", "name", "reason", "attempts"),
    [
        pytest.param(form, name, *expected, id=f"{form.server.split()[0]}-{name}")
        for form in FORMATS
        for name, expected in {
            "overflow": ("context_overflow", 1),
            "overflow_with_output": ("context_overflow", 1),
            "model": ("bad_schema", 1),
            "value": ("bad_schema", 1),
            "route": ("bad_schema", 1),
            "loading": ("http_5xx", 5),
            "fault": ("http_5xx", 5),
        }.items()
        if name in form.errors
    ],
)
def test_error_bodies_have_their_reason(form, name, reason, attempts):
    response, seen = ask(form.errors[name])
    assert (response.status, response.reason) == ("target_error", reason)
    # vLLM's names the temperature, without which the request is sent again.
    assert len(seen) == (2 if (form, name) == (VLLM, "value") else attempts)


@every_server
def test_error_body_under_status_200_is_an_error(form):
    _, body = form.errors["value"]
    response, _ = ask((200, body))
    assert (response.status, response.reason) == ("target_error", "bad_schema")


# --- log-probabilities of a given text


def words_of(text):
    """One token per word, as a tokenizer with leading spaces writes them."""
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def scores_of(tokens):
    """No value for the first token, because nothing precedes it; the others differ by length."""
    return [None, *(-0.25 * len(token) for token in tokens[1:])]


def vllm_responds(path, asked):
    """vLLM: `echo` lists the prompt (with its special tokens) and the new token."""
    if path.endswith("/chat/completions"):
        return VLLM.chat(LIST)
    read = ["<s>", *words_of(asked["prompt"])] if asked.get("echo") else []
    tokens = [*read, " x"]
    values = [*scores_of(read), -0.5] if read else [-0.5]
    text = (asked["prompt"] if read else "") + " x"
    return VLLM.completion(text, reason="length", logprobs=table(tokens, values, starts(tokens)))


def sglang_responds(path, asked):
    """SGLang: as vLLM without the special token, and every text offset is -1."""
    if path.endswith("/chat/completions"):
        return SGLANG.chat(LIST)
    read = words_of(asked["prompt"]) if asked.get("echo") else []
    tokens = [*read, " x"]
    values = [*scores_of(read), -0.5] if read else [-0.5]
    text = (asked["prompt"] if read else "") + " x"
    return SGLANG.completion(
        text, reason="length", logprobs=table(tokens, values, [-1] * len(tokens))
    )


def llama_responds(path, asked):
    """llama.cpp: refuses `echo` with status 500; other log-probabilities as in a chat."""
    if path.endswith("/chat/completions"):
        return LLAMA_CPP.chat(LIST)
    if asked.get("echo"):
        return LLAMA_CPP.errors["echo"]
    return LLAMA_CPP.completion(" x", reason="length", logprobs=chat_logprobs((" x", -0.5)))


def transformers_responds(path, asked):
    """transformers serve: accepts `echo` and `logprobs` and ignores both."""
    if path.endswith("/chat/completions"):
        return TRANSFORMERS.chat(LIST)
    body = TRANSFORMERS.completion(" x", reason="length")
    del body["choices"][0]["logprobs"]
    return body


@pytest.mark.parametrize("respond", [vllm_responds, sglang_responds])
def test_echoed_prompts_are_scored_by_the_tokens_of_the_continuation(respond):
    def agrees(path, asked):  # the token " x" has the same value when it is read
        if path.endswith("/chat/completions"):
            return 404, {"detail": "Not Found"}
        body = respond(path, asked)
        numbers = body["choices"][0].get("logprobs")
        if numbers and asked["prompt"].endswith(" x"):
            numbers["token_logprobs"][-2:] = [-0.5, -0.5]
        return body

    with answering(agrees) as (url, _):
        endpoint = connect(f"{url}#films")
        assert isinstance(endpoint, ScoringEndpoint)
        (scored,) = endpoint.score([PROMPT], [[CONTINUATION, " Heat"]])
    assert [option.tokens for option in scored] == [(-1.5, -1.75), (-1.25,)]


@pytest.mark.parametrize(
    ("respond", "n_echo"), [(llama_responds, 1), (transformers_responds, 1)]
)  # fmt: skip
def test_server_without_echo_is_audited_without_scores(respond, n_echo):
    with answering(respond) as (url, seen):
        endpoint = connect(f"{url}#films")
        assert not isinstance(endpoint, Scores)
        assert endpoint.recommend([Request(id="r", prompt="p", k=3)])[0].status == "ok"
    assert sum(bool(asked.get("echo")) for _, asked in seen) == n_echo


def test_lasting_fault_of_llama_cpp_still_hides_no_capability(monkeypatch):
    monkeypatch.setattr(
        "auditkit.recommenders.remote.capability_check.time.sleep", lambda seconds: None
    )

    def respond(path, asked):
        return LLAMA_CPP.errors["fault"] if asked.get("echo") else llama_responds(path, asked)

    with answering(respond) as (url, _), pytest.raises(TargetUnavailable, match="internal error"):
        connect(f"{url}#films")


def score(change):
    """Score one continuation against a vLLM response that was changed."""

    def respond(path, asked):
        body = vllm_responds(path, asked)
        change(body["choices"][0])
        return body

    with answering(respond) as (url, _):
        endpoint = ScoringEndpoint(f"{url}#films")
        return endpoint.score([PROMPT], [[CONTINUATION]])[0][0].tokens


def test_scores_of_an_unchanged_response_are_those_of_its_tokens():
    assert score(lambda choice: None) == (-1.5, -1.75)


@pytest.mark.parametrize("value", [-9999.0, -3.4028234663852886e38, None, 0.5])
def test_stand_in_for_an_impossible_token_is_not_a_log_probability(value):
    """vLLM writes -9999 for minus infinity, llama.cpp the lowest float32."""

    def impossible(choice):
        choice["logprobs"]["token_logprobs"][-2] = value

    with pytest.raises(TargetError, match="no log-probabilities of the continuation"):
        score(impossible)


def test_offsets_that_the_server_does_not_know_are_not_used():
    """SGLang writes a part of a character as Latin-1, so the tokens do not spell the text, and the
    offsets are all -1; the scores of the whole prompt must not be taken for the continuation.
    """

    def unknown(choice):
        choice["text"] = PROMPT + CONTINUATION + "x"
        tokens = ["?"] * len(choice["logprobs"]["tokens"])
        values = [-1.0] * len(tokens)
        choice["logprobs"] = table(tokens, values, [-1] * len(tokens))

    with pytest.raises(TargetError, match="tokens that do not match the text"):
        score(unknown)


def test_tokens_written_as_ids_are_not_scored():
    """vLLM with `--return-tokens-as-token-ids` writes `token_id:N` in place of a text."""

    def as_ids(choice):
        tokens = [f"token_id:{i}" for i in range(len(choice["logprobs"]["tokens"]))]
        choice["logprobs"] = table(tokens, choice["logprobs"]["token_logprobs"], starts(tokens))

    with pytest.raises(TargetError, match="tokens that do not match the text"):
        score(as_ids)


def test_offsets_that_are_not_numbers_are_not_used():
    def texts(choice):
        tokens = ["?"] * len(choice["logprobs"]["tokens"])
        offsets = [*["x"] * (len(tokens) - 1), len(PROMPT + CONTINUATION)]
        choice["text"] = PROMPT + CONTINUATION
        choice["logprobs"] = table(tokens, [-1.0] * len(tokens), offsets)

    with pytest.raises(TargetError, match="tokens that do not match the text"):
        score(texts)
