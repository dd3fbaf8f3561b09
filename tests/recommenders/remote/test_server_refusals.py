"""What servers refuse: fields, prompts and unpaid requests, in the forms in which they write it."""

from __future__ import annotations

import json

import pytest
from recorded_server import answering
from server_formats import VLLM

from auditkit.errors import ConfigurationError, TargetUnavailable
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.recommenders.loading.load import load_recommender
from auditkit.recommenders.remote.capability_check import connect
from auditkit.recommenders.remote.openai_endpoint import Endpoint
from auditkit.recommenders.remote.transport import Transport
from auditkit.types import Request

LIST = "1. Toy Story (1995)\n2. Fargo (1996)\n3. Heat (1995)"
TITLES = ["Toy Story (1995)", "Fargo (1996)", "Heat (1995)"]


async def no_sleep(seconds):
    pass


def ask(respond, *, operation="recommend", temperature=0.0, n=1, k=3):
    """Responses to n requests, and the endpoint and bodies of the requests that it sent."""
    with answering(respond) as (url, seen):
        endpoint = Endpoint(f"{url}#films")
        transport = Transport(endpoint, sleep=no_sleep)
        try:
            request = Request(id="r", prompt="Three films?", k=k, temperature=temperature)
            responses = list(transport.ask([(operation, request, {})] * n))
        finally:
            transport.close()
    return responses, endpoint, [body for _, body in seen]


def always(body):
    return lambda path, asked: body


def titles(response):
    return [item.raw for item in response.items]


def error(message, **more):
    return {"error": {"message": message, **more}}


# --- fields that a server does not take

OPENAI_TOKENS = error(
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
    "'max_completion_tokens' instead.",
    type="invalid_request_error", param="max_tokens", code="unsupported_parameter",
)  # fmt: skip
OPENAI_TEMPERATURE = error(
    "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) "
    "value is supported.",
    type="invalid_request_error", param="temperature", code="unsupported_value",
)  # fmt: skip
SEED_REFUSALS = {
    "fastapi": (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"],
                                  "msg": "Extra inputs are not permitted", "input": 0}]}),
    "pydantic_v1": (422, {"detail": [{"loc": ["body", "seed"], "type": "value_error.extra",
                                      "msg": "extra fields not permitted"}]}),
    "vllm": (400, error("[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra "
                        "inputs are not permitted', 'input': 0}]", type="BadRequestError",
                        param=None, code=400)),
    "mistral": (422, {"object": "error", "message": {"detail": [
        {"type": "extra_forbidden", "loc": ["body", "seed"],
         "msg": "Extra inputs are not permitted"}]}, "type": "invalid_request_error"}),
    "gemini": (400, [error('Invalid JSON payload received. Unknown name "seed": Cannot find '
                           "field.", code=400, status="INVALID_ARGUMENT")]),
    "transformers": (422, {"detail": "Unexpected fields in the request: {'seed'}"}),
    "litellm": (400, error("litellm.UnsupportedParamsError: bedrock does not support parameters: "
                           "['seed'], for model=films", type=None, param=None, code="400")),
    "groq": (400, error("property 'seed' is unsupported", type="invalid_request_error")),
    "azure": (400, error("Unrecognized request argument supplied: seed", param=None, code=None,
                         type="invalid_request_error")),
}  # fmt: skip


def test_max_tokens_is_renamed_where_only_the_new_name_is_taken():
    def respond(path, asked):
        return (400, OPENAI_TOKENS) if "max_tokens" in asked else VLLM.chat(LIST)

    responses, endpoint, sent = ask(respond, n=3)
    assert [titles(response) for response in responses] == [TITLES] * 3
    assert all(body["max_completion_tokens"] == 512 for body in sent[-1:])
    assert endpoint.fields.notes() == (
        "The server refuses max_tokens: max_completion_tokens was sent instead.",
    )


def test_temperature_is_left_out_where_only_one_is_taken():
    def respond(path, asked):
        return (400, OPENAI_TEMPERATURE) if asked.get("temperature", 1) != 1 else VLLM.chat(LIST)

    (response,), endpoint, sent = ask(respond)
    assert (response.status, len(sent), "temperature" in sent[-1]) == ("ok", 2, False)
    (note,) = endpoint.fields.notes()
    assert note.startswith("The server refuses temperature 0: such requests were sent without it")


def test_only_the_refused_temperature_is_left_out():
    """TGI wants a temperature above 0."""
    refused = {
        "error": "Input validation error: `temperature` must be strictly positive",
        "error_type": "validation",
    }

    def respond(path, asked):
        return (422, refused) if asked.get("temperature") == 0 else VLLM.chat(LIST)

    with answering(respond) as (url, seen):
        endpoint = connect(f"{url}#films")
        warm = Request(id="w", prompt="p", k=3, temperature=0.7)
        endpoint.recommend([Request(id="c", prompt="p", k=3), warm])
        last = [asked.get("temperature") for path, asked in seen if "echo" not in asked][-2:]
    assert sorted(last, key=str) == [0.7, None]


@pytest.mark.parametrize("refusal", SEED_REFUSALS.values(), ids=SEED_REFUSALS)
def test_seed_is_left_out_where_it_is_refused(refusal):
    def respond(path, asked):
        return refusal if "seed" in asked else VLLM.chat(LIST)

    (response, _), endpoint, sent = ask(respond, n=2)
    assert (response.status, titles(response)) == ("ok", TITLES)
    assert "seed" not in sent[-1]
    assert "seed" in endpoint.fields.notes()[0]


def test_several_refusals_are_learned_one_after_the_other():
    def respond(path, asked):
        if "max_tokens" in asked:
            return 400, OPENAI_TOKENS
        if asked.get("temperature", 1) != 1:
            return 400, OPENAI_TEMPERATURE
        return SEED_REFUSALS["fastapi"] if "seed" in asked else VLLM.chat(LIST)

    with answering(respond) as (url, _):
        loaded = load_recommender(f"openai:{url}#films", dataset=None)
    assert [note.split(":")[0] for note in loaded.notes[1:4]] == [
        "The server refuses max_tokens",
        "The server refuses seed",
        "The server refuses temperature 0",
    ]
    assert loaded.recommender.run_notes(["r"]) == []  # they were stated at the connection


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, error("max_tokens is too large: 512. This model supports at most 256 completion "
                    "tokens.", param="max_tokens", code="invalid_value"),
         "refuses max_tokens 16.* AUDITKIT_MAX_TOKENS"),
        (400, error("Invalid max_tokens value, the valid range of max_tokens is [1, 8]",
                    param=None, code="invalid_request_error"), "AUDITKIT_MAX_TOKENS"),
        (422, {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user'",
                           "type": "literal_error"}]}, "refuses messages.*chat template"),
        (400, error("something else"), "Check the address and the model name"),
    ],
)  # fmt: skip
def test_field_that_cannot_be_left_out_is_named(status, body, words):
    with (
        answering(always((status, body))) as (url, seen),
        pytest.raises(TargetUnavailable, match=words),
    ):
        connect(f"{url}#films")
    assert len(seen) == 1


# --- prompts that a filter rejects

AZURE = {"error": {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
    "management policy.", "type": None, "param": "prompt", "code": "content_filter", "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {
        "hate": {"filtered": True, "severity": "high"}}}}}  # fmt: skip
FILTERED = {
    "azure": (400, AZURE),
    "azure_inner_only": (400, error("filtered", code=None, innererror={
        "code": "ResponsibleAIPolicyViolation"})),
    "openai_policy": (400, error("Your request was rejected as a result of our safety system.",
                                 code="content_policy_violation")),
    "dashscope": (400, error("Input data may contain inappropriate content.",
                             code="data_inspection_failed", type="data_inspection_failed")),
    "zai": (400, error("sensitive content", code="1301")),
    "openrouter": (403, error("Your input was flagged", code=403, metadata={
        "reasons": ["violence"], "flagged_input": "Three films?"})),
    "in_a_200": (200, error("filtered", code="content_filter")),
}  # fmt: skip


@pytest.mark.parametrize("found", FILTERED.values(), ids=FILTERED)
@pytest.mark.parametrize("operation", ["recommend", "generate"])
def test_prompt_that_a_filter_rejects_is_a_refusal(found, operation):
    (response,), _, sent = ask(always(found), operation=operation)
    assert (response.status, response.reason, len(sent)) == ("refusal", "content_filter", 1)
    stop = StopRule()
    stop.expect(1)
    stop.record(response)
    stop.check_errors()
    assert stop.stopped is None


@pytest.mark.parametrize(
    "word",
    ["content_filter", "refusal", "SAFETY", "RECITATION", "guardrail_intervened", "sensitive"],
)
def test_finish_reason_of_a_filter_is_a_refusal(word):
    (response,), _, _ = ask(always(VLLM.chat("1. Toy", reason=word)))
    assert (response.status, response.reason, response.items) == ("refusal", "content_filter", ())


def test_filtered_choice_without_a_message_is_a_refusal():
    body = VLLM.chat("", reason="content_filter")
    del body["choices"][0]["message"]
    assert ask(always(body))[0][0].status == "refusal"


def test_wrong_key_is_still_no_refusal():
    (response,), _, _ = ask(always((403, error("forbidden", code="permission_denied"))))
    assert (response.status, response.reason) == ("target_error", "auth")


# --- the end of a text


@pytest.mark.parametrize(
    ("text", "status", "found"),
    [
        (LIST, "ok", TITLES),  # three complete titles, however it ended
        ("1. Toy Story (1995)\n2. Far", "truncated", ["Toy Story (1995)"]),
        ("1. Heat\n2. Fargo\n3. Alien", "truncated", ["Heat", "Fargo"]),
    ],
)
def test_text_without_a_finish_reason_is_not_taken_for_complete(text, status, found):
    (response,), _, _ = ask(always(VLLM.chat(text, reason=None)))
    assert (response.status, titles(response)) == (status, found)
    assert response.reason == (None if status == "ok" else "no_finish_reason")
    (generated,), _, _ = ask(always(VLLM.chat(text, reason=None)), operation="generate")
    assert (generated.status, generated.reason) == ("truncated", "no_finish_reason")


@pytest.mark.parametrize("word", ["length", "max_tokens", "MAX_TOKENS", "model_length", "budget"])
def test_words_for_a_limit_and_unknown_words_are_cut(word):
    (response,), _, _ = ask(always(VLLM.chat("1. Heat\n2. Fargo\n3. Ali", reason=word)))
    assert (response.status, titles(response)) == ("truncated", ["Heat", "Fargo"])


@pytest.mark.parametrize("word", ["STOP", "end_turn", "COMPLETE", "eos_token", "stop_sequence"])
def test_words_for_a_complete_text_are_known(word):
    (response,), _, _ = ask(always(VLLM.chat("Heat\nFargo\nAlien", reason=word)))
    assert (response.status, titles(response)) == ("ok", ["Heat", "Fargo", "Alien"])


# --- contents that are not one string


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": LIST}],
        [{"type": "output_text", "text": LIST, "annotations": []}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "1. Alien (1979)"}]},
         {"type": "text", "text": LIST}],
        [{"type": "reasoning", "text": "1. Alien (1979)"}, {"type": "text", "text": LIST}],
        [{"type": "text", "text": LIST[:20]}, {"type": "text", "text": LIST[20:]}],
        [{"type": "image_url", "image_url": {"url": "x"}}, LIST, 7, None],
        [{"type": "text", "text": None}, {"type": "text", "text": LIST}],
    ],
)  # fmt: skip
def test_text_parts_of_a_content_are_joined(content):
    (response,), _, _ = ask(always(VLLM.chat(content)))
    assert (response.status, titles(response)) == ("ok", TITLES)


@pytest.mark.parametrize("content", [[], [{"type": "thinking", "thinking": "1. Alien (1979)"}]])
def test_content_without_a_text_part_is_no_answer(content):
    (response,), _, _ = ask(always(VLLM.chat(content)))
    assert (response.status, response.items) == ("no_answer", ())


def test_refusal_part_is_a_refusal():
    content = [{"type": "refusal", "refusal": "I will not do that."}]
    (response,), _, _ = ask(always(VLLM.chat(content)))
    assert (response.status, response.text) == ("refusal", "I will not do that.")


@pytest.mark.parametrize(
    "calls", ["search", [7], [{"type": "function"}], [{"function": {"name": None}}], {"id": 1}]
)
def test_odd_tool_call_does_not_sink_the_answer(calls):
    (response,), _, _ = ask(always(VLLM.chat(LIST, tool_calls=calls)))
    assert (response.status, titles(response), response.trace) == ("ok", TITLES, ())


def test_titles_of_reasoning_inside_the_text_are_not_recommended():
    text = f"<think>They liked crime.\n1. Alien (1979)\n</think>\n{LIST}"
    (response,), _, _ = ask(always(VLLM.chat(text)))
    assert (response.status, titles(response)) == ("ok", TITLES)
    assert response.derived["reasoning"] == 1
    (unclosed,), _, _ = ask(always(VLLM.chat("<think>\n1. Alien (1979)\n2. Brazil (1985)")))
    assert (unclosed.status, unclosed.items) == ("truncated", ())


# --- errors under status 200, and accounts without credit


@pytest.mark.parametrize(
    ("body", "reason", "attempts"),
    [
        (error("slow down", code=429), "rate_limited", 5),
        (error("slow down", code="429"), "rate_limited", 5),
        (error("slow down", type="rate_limit_exceeded"), "rate_limited", 5),
        (error("busy", type="overloaded_error"), "http_5xx", 5),
        (error("upstream", code=502, metadata={"provider_name": "x"}), "http_5xx", 5),
        ({"object": "error", "message": "oom", "type": "InternalServerError", "code": 500},
         "http_5xx", 5),
        (error("bad key", code=401), "auth", 1),
        (error("no"), "bad_schema", 1),
        ({"error": "no"}, "bad_schema", 1),
    ],
)  # fmt: skip
def test_error_under_status_200_is_handled_like_its_code(body, reason, attempts):
    (response,), _, sent = ask(always(body))
    assert (response.status, response.reason, len(sent)) == ("target_error", reason, attempts)


def test_passing_error_under_status_200_changes_no_answer():
    seen = []

    def respond(path, asked):
        seen.append(asked)
        return error("upstream", code=503) if len(seen) == 1 else VLLM.chat(LIST)

    (response,), _, _ = ask(respond)
    assert (response.status, titles(response)) == ("ok", TITLES)


QUOTA = {
    "openai": (429, error("You exceeded your current quota, please check your plan and billing "
                          "details.", type="insufficient_quota", code="insufficient_quota")),
    "hard_limit": (400, error("Billing hard limit has been reached",
                              code="billing_hard_limit_reached")),
    "deepseek": (402, error("Insufficient Balance", type="unknown_error")),
    "openrouter": (402, error("Insufficient credits", code=402)),
    "moonshot": (429, error("quota", type="exceeded_current_quota_error")),
    "anthropic": (400, {"type": "error", "error": {
        "type": "invalid_request_error", "message": "Your credit balance is too low to access"}}),
    "in_a_200": (200, error("no credits", code=402)),
}  # fmt: skip


@pytest.mark.parametrize("found", QUOTA.values(), ids=QUOTA)
def test_account_without_credit_is_said_at_once(found):
    (response,), _, sent = ask(always(found))
    assert (response.status, response.reason, len(sent)) == ("target_error", "quota", 1)
    stop = StopRule()
    stop.expect(100)
    stop.record(response)
    assert stop.stopped == "breaker"
    assert "add credit" in stop.detail
    with answering(always(found)) as (url, _), pytest.raises(TargetUnavailable, match="add credit"):
        connect(f"{url}#films")


@pytest.mark.parametrize("message", ["Rate limit reached for requests", "Too many requests"])
def test_rate_limit_is_no_missing_quota(message):
    limited = (429, error(message, type="requests", code="rate_limit_exceeded"))
    (response,), _, sent = ask(always(limited))
    assert (response.reason, len(sent)) == ("rate_limited", 5)


# --- the limit of tokens


def test_limit_of_tokens_is_set_in_the_environment_and_part_of_the_identity(monkeypatch):
    before = Endpoint("http://127.0.0.1:9/v1#films").fingerprint()
    monkeypatch.setenv("AUDITKIT_MAX_TOKENS", "4096")
    _, _, sent = ask(always(VLLM.chat(LIST)))
    assert sent[0]["max_tokens"] == 4096
    assert Endpoint("http://127.0.0.1:9/v1#films").fingerprint() != before
    monkeypatch.setenv("AUDITKIT_MAX_TOKENS", "512")
    assert Endpoint("http://127.0.0.1:9/v1#films").fingerprint() == before


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_limit_of_tokens_that_is_no_number_is_an_error(monkeypatch, value):
    monkeypatch.setenv("AUDITKIT_MAX_TOKENS", value)
    with pytest.raises(ConfigurationError, match=r"AUDITKIT_MAX_TOKENS is .* whole number"):
        Endpoint("http://127.0.0.1:9/v1#films")


def test_limit_that_is_used_up_by_the_reasoning_is_truncated():
    body = VLLM.chat(None, reason="length", reasoning="1. Alien (1979)")
    (response,), _, _ = ask(always(body))
    assert (response.status, response.items, response.derived) == ("truncated", (), {"cut": True})


# --- the first request


@pytest.mark.parametrize(
    "found",
    [(429, error("slow down")), (503, error("Loading model")), (529, error("overloaded")),
     (200, error("upstream", code=502))],
)  # fmt: skip
def test_first_request_is_retried_like_all_later_ones(monkeypatch, found):
    waits = []
    monkeypatch.setattr("auditkit.recommenders.remote.capability_check.time.sleep", waits.append)
    seen = []

    def respond(path, asked):
        seen.append(path)
        return found if len(seen) <= 2 else VLLM.chat(LIST)

    with answering(respond) as (url, _):
        assert connect(f"{url}#films").chat
    assert len(waits) == 2


def test_first_request_that_times_out_is_retried_once(monkeypatch):
    monkeypatch.setenv("AUDITKIT_REQUEST_SECONDS", "1")
    monkeypatch.setattr(
        "auditkit.recommenders.remote.capability_check.time.sleep", lambda seconds: None
    )
    import threading

    late, seen = threading.Event(), []

    def respond(path, asked):
        seen.append(asked)
        if len(seen) <= n_late:
            late.wait(20)
        return VLLM.chat(LIST)

    n_late = 1
    with answering(respond) as (url, _):
        assert connect(f"{url}#films").chat
        seen.clear()
        n_late = 9
        with pytest.raises(TargetUnavailable, match="still being loaded"):
            connect(f"{url}#films")
        assert len(seen) == 2
        late.set()


def test_lasting_overload_at_the_first_request_ends_after_five_attempts(monkeypatch):
    monkeypatch.setattr(
        "auditkit.recommenders.remote.capability_check.time.sleep", lambda seconds: None
    )
    with answering(always((503, error("busy")))) as (url, seen):
        with pytest.raises(TargetUnavailable, match="overloaded; try again later"):
            connect(f"{url}#films")
        assert len(seen) == 5


def test_no_text_of_a_server_is_in_a_message():
    body = error("SECRET unsupported 'seed' SECRET", param="SECRET")
    (response,), _, _ = ask(always((400, body)))
    assert "SECRET" not in json.dumps(response.derived)
