"""The endpoint adapter against a real local server that misbehaves in every way we know."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from loop_clocks import loops_that_wait_for_stalls
from protocol_server import LIST, answer, serving
from small_world import world

from auditkit.errors import TargetError, TargetUnavailable
from auditkit.recommenders.loading.load import load_recommender
from auditkit.recommenders.protocols import Generates, Recommends, Remote, Scores
from auditkit.recommenders.remote.capability_check import connect
from auditkit.recommenders.remote.completion import saying, usage_of
from auditkit.recommenders.remote.error_body import error_in_body
from auditkit.recommenders.remote.http_client import Server, seconds_of
from auditkit.recommenders.remote.openai_endpoint import Endpoint, ScoringEndpoint
from auditkit.recommenders.remote.transport import RequestLimits, Transport
from auditkit.types import Message, Request


async def no_sleep(seconds):
    pass


@pytest.fixture(scope="module")
def served():
    with serving() as (url, seen):
        yield url, seen


def ask(url, *prompts, **request_limits):
    transport = Transport(
        Endpoint(f"{url}#m"), request_limits=RequestLimits(**request_limits), sleep=no_sleep
    )
    try:
        requests = [Request(id=str(i), prompt=p, k=3) for i, p in enumerate(prompts)]
        return list(transport.ask([("recommend", request, {}) for request in requests]))
    finally:
        transport.close()


def test_good_answer_is_a_list_with_usage(served):
    (response,) = ask(served[0], "films please")
    assert [item.raw for item in response.items] == LIST.replace("1. ", "").replace(
        "2. ", ""
    ).replace("3. ", "").splitlines()
    assert (response.status, response.usage["completion_tokens"]) == ("ok", 5)


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("http_429", "target_error", "rate_limited"),
        ("wait_long", "target_error", "rate_limited"),
        ("http_500", "target_error", "http_5xx"),
        ("http_404", "target_error", "bad_schema"),
        ("redirect", "target_error", "redirect"),
        ("half", "target_error", "incomplete_body"),
        ("bad_json", "target_error", "bad_schema"),
        ("html", "target_error", "bad_schema"),
        ("error_object", "target_error", "bad_schema"),
        ("wrong_shape", "target_error", "bad_schema"),
        ("huge", "target_error", "too_large"),
        ("nothing", "no_answer", None),
        ("null", "no_answer", None),
        ("filtered", "refusal", "content_filter"),
        ("cut", "truncated", None),
    ],
)
def test_every_fault_has_its_status_and_reason(served, fault, status, reason):
    (response,) = ask(served[0], f"FAULT:{fault}")
    assert (response.status, response.reason) == (status, reason)


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_server_that_stalls_is_a_timeout_within_the_deadline(served, fault):
    with loops_that_wait_for_stalls(served[1]):
        (response,) = ask(served[0], f"FAULT:{fault} a", seconds=0.2)
    assert (response.status, response.reason) == ("timeout", "deadline")
    assert served[1].prompts[f"FAULT:{fault} a"] == 2  # retried once


def test_server_may_be_silent_until_the_deadline(served, monkeypatch):
    """The whole text comes at once, so the time to the first byte is the time of the response."""
    monkeypatch.setattr("loop_clocks._STEP_SECONDS", 1.0)
    with loops_that_wait_for_stalls(served[1]):
        transport = Transport(
            Endpoint(f"{served[0]}#m"), request_limits=RequestLimits(seconds=100), sleep=no_sleep
        )
        begun = transport._loop._loop.time()
        (response,) = transport.ask(
            [("recommend", Request(id="r", prompt="FAULT:hang silent"), {})]
        )
        took = transport._loop._loop.time() - begun
        transport.close()
    assert (response.status, response.reason) == ("timeout", "deadline")
    assert 200 <= took < 300  # two attempts


@pytest.mark.parametrize("fault", ["http_429", "http_500", "half"])
def test_passing_trouble_changes_no_answer(served, fault):
    assert ask(served[0], f"FAULT:{fault}_once") == ask(served[0], "quiet")


def test_lasting_trouble_is_tried_five_times(served):
    ask(served[0], "FAULT:http_500 five")
    assert served[1].prompts["FAULT:http_500 five"] == 5


def test_server_that_wants_a_long_wait_is_asked_once(served):
    ask(served[0], "FAULT:wait_long once")
    assert served[1].prompts["FAULT:wait_long once"] == 1


def test_answers_come_back_in_order_whatever_the_server_does():
    with serving(delay=lambda call: 0.002 * (call * 7 % 5), every_third=True) as (url, _):
        prompts = ["FAULT:nothing" if i % 4 == 0 else f"p{i}" for i in range(60)]
        responses = ask(url, *prompts)
    assert [response.request_id for response in responses] == [str(i) for i in range(60)]
    assert [r.status for r in responses] == ["no_answer" if i % 4 == 0 else "ok" for i in range(60)]


def test_connections_grow_with_success_and_stay_within_their_limit():
    five = threading.Barrier(5)  # calls 81 to 100, five at a time, wait for each other

    def until_five_run(call):
        if 80 < call <= 100:
            five.wait(60)
        return 0.001

    with serving(delay=until_five_run) as (url, seen):
        assert {r.status for r in ask(url, *(f"p{i}" for i in range(120)))} == {"ok"}
    assert 5 <= seen.most_running <= 8


def test_connections_halve_when_the_server_is_overloaded(served):
    transport = Transport(Endpoint(f"{served[0]}#m"), sleep=no_sleep)
    request = Request(id="r", prompt="FAULT:http_429 halve")
    list(transport.ask([("recommend", request, {})]))
    transport.close()
    assert transport._connections == 1.0


def test_waiting_of_a_run_has_an_end(served):
    request_limits = RequestLimits(waiting=3)
    transport = Transport(Endpoint(f"{served[0]}#m"), request_limits=request_limits, sleep=no_sleep)
    requests = [Request(id=str(i), prompt=f"FAULT:http_500 {i}") for i in range(40)]
    list(transport.ask([("recommend", request, {}) for request in requests]))
    transport.close()
    assert transport.exhausted
    assert transport.waited < 3 + 5 * 60


def test_closing_early_leaves_nothing_running():
    with serving() as (url, seen):
        transport = Transport(Endpoint(f"{url}#m"))
        prompts = ["now", *["FAULT:hang"] * 49]
        arriving = transport.ask(
            [("recommend", Request(id=str(i), prompt=p), {}) for i, p in enumerate(prompts)]
        )
        next(arriving)
        arriving.close()
        transport.close()
        assert seen.calls <= 4  # as many as there are connections at first


@pytest.mark.parametrize("length", range(0, 120, 7))
def test_no_part_of_a_body_is_ever_scored(length):
    whole = json.dumps(answer(LIST, chat=True)).encode()
    assert length < len(whole)
    from auditkit.recommenders.remote.http_client import _object

    with pytest.raises(TargetError, match="bad_schema"):
        _object(whole[:length], {})


def test_turns_before_the_prompt_are_sent(served):
    request = Request(id="r", prompt="more", messages=(Message("assistant", "hello"),))
    transport = Transport(Endpoint(f"{served[0]}#m"))
    list(transport.ask([("recommend", request, {})]))
    transport.close()
    sent = next(b for b in served[1].bodies if b["messages"][-1]["content"] == "more")
    assert [turn["role"] for turn in sent["messages"]] == ["assistant", "user"]


def test_tool_calls_are_the_trace_of_a_response(served):
    (response,) = ask(served[0], "FAULT:tools")
    assert response.trace == ({"name": "search", "arguments": '{"query": "films"}'},)
    assert (response.status, len(response.items)) == ("ok", 3)


def test_tool_call_with_an_object_of_arguments_does_not_sink_the_answer(served):
    (response,) = ask(served[0], "FAULT:bad_tools")
    assert (response.status, len(response.items)) == ("ok", 3)
    assert response.trace == ({"name": "search", "arguments": '{"query":["films"]}'},)


# --- what a server can do


def test_chat_server_without_scores_recommends_and_generates(served):
    endpoint = connect(f"{served[0]}#m")
    assert isinstance(endpoint, Recommends)
    assert isinstance(endpoint, Generates)
    assert isinstance(endpoint, Remote)
    assert not isinstance(endpoint, Scores)
    assert endpoint.chat


def test_server_without_chat_is_asked_for_completions():
    with serving(chat=False) as (url, _):
        endpoint = connect(f"{url}#m")
        assert not endpoint.chat
        assert endpoint.recommend([Request(id="r", prompt="p", k=3)])[0].status == "ok"
        assert endpoint.generate(["p"], max_new_tokens=3, temperature=0, seeds=[0]) == [LIST]


def test_log_probabilities_are_those_behind_the_prompt():
    with serving(scores=True, chat=False) as (url, _):
        endpoint = connect(f"{url}#m")
        assert isinstance(endpoint, ScoringEndpoint)
        assert endpoint.notes_on_scores == ("Two scores of the same text differ by 0 nats.",)
        scored = endpoint.score(["I like"], [[" Fargo now", " Heat"]])[0]
    assert [scores.tokens for scores in scored] == [(-3.0, -2.0), (-2.5,)]


@pytest.mark.parametrize(("faults", "scores"), [(1, True), (9, None)])
def test_trouble_while_connecting_hides_no_capability(monkeypatch, faults, scores):
    monkeypatch.setattr(
        "auditkit.recommenders.remote.capability_check.time.sleep", lambda seconds: None
    )
    with serving(scores=True, chat=False, echo_faults=faults) as (url, _):
        if scores:
            assert isinstance(connect(f"{url}#m"), ScoringEndpoint)
        else:
            with pytest.raises(TargetUnavailable):
                connect(f"{url}#m")


def test_tokens_of_scores_are_counted():
    with serving(scores=True, chat=False, echo_usage=7) as (url, _):
        endpoint = connect(f"{url}#m")
        asked = endpoint.answer(
            "score", Request(id="r", prompt="I"), {"continuations": [" a", " b"]}
        )
        (response,) = endpoint.run_all(asked)
    assert response.usage == {"prompt_tokens": 14}


def test_scores_that_do_not_agree_with_themselves_are_not_used():
    with serving(scores=True, chat=False, shifted=True) as (url, _):
        endpoint = connect(f"{url}#m")
    assert not isinstance(endpoint, Scores)
    assert "differ by 2 nats: its scores are wrong" in endpoint.notes_on_scores[0]


@pytest.mark.parametrize("listed", [True, False])
def test_new_token_may_be_listed_or_left_out(listed):
    with serving(scores=True, chat=False, lists_new_token=listed) as (url, _):
        endpoint = connect(f"{url}#m")
        (scored,) = endpoint.score(["I like"], [[" Fargo now"]])
    assert scored[0].tokens == (-3.0, -2.0)


@pytest.mark.parametrize("status", [400, 401, 403, 422, 307])
def test_wrong_setting_costs_one_call_and_names_it(status):
    with serving(status=status) as (url, seen):
        with pytest.raises(TargetUnavailable, match=r"the first request to .* failed"):
            connect(f"{url}#m")
        assert seen.calls == 1


def test_wrong_key_is_named_by_its_variable_and_never_shown(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "canary-4711-secret")
    refused = pytest.raises(TargetUnavailable, match="OPENAI_API_KEY")
    with serving(key="another") as (url, _), refused as caught:
        connect(f"{url}#m")
    assert "4711" not in str(caught.value)


def test_key_goes_into_the_header_of_the_named_variable(monkeypatch):
    monkeypatch.setenv("AUDITKIT_API_KEY_ENV", "OTHER_KEY")
    monkeypatch.setenv("OTHER_KEY", "canary-4711-secret")
    with serving(key="canary-4711-secret") as (url, _):
        assert connect(f"{url}#m").chat


@pytest.mark.parametrize(
    ("address", "key", "words"),
    [
        ("ftp://x/v1", "", "not a valid server URL"),
        ("http://user:pw@x/v1", "", "user name, password or query"),
        ("https://x/v1?key=1", "", "user name, password or query"),
        ("http://example.org/v1", "k" * 20, "plain http"),
    ],
)
def test_unsafe_address_is_refused(address, key, words):
    with pytest.raises(TargetUnavailable, match=words) as caught:
        Server(address, key=key)
    assert "pw" not in str(caught.value)


def test_server_that_is_not_there_is_a_clear_error():
    with pytest.raises(TargetUnavailable, match="Check that the server is running"):
        connect("http://127.0.0.1:9/v1#m")


def test_target_string_without_a_model_is_refused():
    with pytest.raises(TargetUnavailable, match="needs a server and a model"):
        load_recommender("openai:http://127.0.0.1:9/v1", dataset=world())


def test_nothing_is_asked_where_connecting_is_not_allowed():
    loaded = load_recommender("openai:http://127.0.0.1:9/v1#m", dataset=world(), connects=False)
    assert (loaded.verified, loaded.kind) == (False, "endpoint, chat")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("Wed, 21 Oct 2015 07:28:05 GMT", 5.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert seconds_of(text, now=1445412480.0) == seconds


@pytest.mark.parametrize(
    "text", ["3\x1c", "Mon, 01 Jan 2026 00:00:00 +99999999999999999999", "9e9"]
)
def test_damaged_retry_after_is_a_wait_or_nothing(text):
    assert seconds_of(text, now=0) in (3.0, None)


@pytest.mark.parametrize("count", [-5, 10**30, 10**400, True, 1.5])
def test_impossible_token_count_cannot_stall_the_run(count):
    """A rate limit subtracts the tokens of a response, and waits until they are earned again."""
    assert usage_of({"usage": {"prompt_tokens": 3, "completion_tokens": count}}) == {
        "prompt_tokens": 3
    }


@pytest.mark.parametrize("arguments", [{"x": float("inf")}, "nested"])
def test_tool_call_that_cannot_be_recorded_is_left_out(arguments):
    if arguments == "nested":
        arguments = []
        for _ in range(5000):
            arguments = [arguments]
    call = {"function": {"name": "search", "arguments": arguments}}
    message = {"role": "assistant", "content": "1. Heat", "tool_calls": [call]}
    found = saying({"choices": [{"message": message, "finish_reason": "stop"}]}, chat=True)
    assert (found.text, found.trace) == ("1. Heat", ())


def test_error_code_of_many_digits_is_not_a_status():
    error = error_in_body({"error": {"code": "4" * 5000, "message": "x"}}, sent={})
    assert error.reason == "bad_schema"


def test_log_probability_beyond_a_float_is_refused(monkeypatch):
    async def post(path, body):
        return {"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": [-(10**400)]}}]}

    endpoint = Endpoint("http://127.0.0.1:9/v1#films")
    monkeypatch.setattr(endpoint, "_post", post)
    with pytest.raises(TargetError, match="no log-probability of a new token"):
        asyncio.run(endpoint.writes("a"))
