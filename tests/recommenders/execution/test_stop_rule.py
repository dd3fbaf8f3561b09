"""Budget and circuit breaker: when they stop, and when they must not."""

from __future__ import annotations

import pytest

from auditkit.recommenders.execution.stop_rule import Budget, StopRule
from auditkit.types import Response


def failed(reason, status="target_error"):
    return Response(request_id="r", status=status, reason=reason)


OK = Response(request_id="r", status="ok", usage={"prompt_tokens": 7, "completion_tokens": 3})


def after(responses, **options):
    stop = StopRule(**options)
    stop.expect(100)
    for response in responses:
        stop.record(response)
    return stop


# --- breaker


@pytest.mark.parametrize("reason", ["rate_limited", "http_5xx", "connection", "incomplete_body"])
def test_five_requests_in_a_row_lost_on_the_way_open_the_breaker(reason):
    assert after([failed(reason)] * 4).stopped is None
    stop = after([failed(reason)] * 5)
    assert stop.stopped == "breaker"
    assert stop.detail == f"5 requests in a row failed with {reason}"
    assert stop.allowed(10) == 0


def test_an_answer_or_another_reason_between_them_starts_the_count_again():
    four = [failed("connection")] * 4
    assert after([*four, OK, *four]).stopped is None
    assert after([*four, failed("http_5xx"), *four]).stopped is None


def test_wrong_answers_in_a_row_open_nothing():
    assert after([failed("wrong_type")] * 20).stopped is None


@pytest.mark.parametrize(("n_planned", "allowed"), [(100, 20), (1000, 50)])
def test_more_errors_than_the_rate_allows_open_the_breaker(n_planned, allowed):
    stop = StopRule(max_error_rate=0.05)
    stop.expect(n_planned)
    for _ in range(allowed):
        stop.record(failed("exception"))
    assert stop.stopped is None
    stop.record(failed("exception"))
    assert stop.stopped == "breaker"
    assert f"of {n_planned} planned" in stop.detail


def test_refused_key_opens_the_breaker_at_once():
    assert after([OK, failed("auth")]).stopped == "breaker"


def test_third_call_that_never_comes_back_opens_the_breaker():
    stop = StopRule()
    stop.abandon()
    stop.abandon()
    assert stop.stopped is None
    stop.abandon()
    assert stop.stopped == "breaker"


def test_waiting_over_the_cap_opens_the_breaker():
    stop = StopRule()
    stop.waited_too_long(901)
    assert (stop.stopped, stop.detail) == ("breaker", "retries waited 901 seconds in total")


# --- budget


def test_calls_are_cut_to_what_is_left():
    stop = after([OK] * 7, budget=Budget(calls=10))
    assert stop.allowed(64) == 3
    assert stop.stopped is None
    assert after([OK] * 10, budget=Budget(calls=10)).allowed(1) == 0


def test_used_up_budget_says_so():
    stop = after([OK] * 2, budget=Budget(calls=2))
    stop.allowed(1)
    assert (stop.stopped, stop.detail) == ("budget", "2 requests were sent")


def test_tokens_are_what_the_recommender_reports():
    stop = after([OK] * 3, budget=Budget(tokens=30))
    assert stop.allowed(5) == 0
    assert (stop.stopped, stop.detail) == ("budget", "30 tokens were used")


def test_minutes_are_wall_clock():
    now = [0.0]
    stop = StopRule(Budget(minutes=2), clock=lambda: now[0])
    now[0] = 119
    assert stop.allowed(5) == 5
    now[0] = 120
    assert stop.allowed(5) == 0
    assert stop.stopped == "budget"


def test_what_earlier_starts_spent_counts_and_answers_from_the_cache_do_not():
    stop = StopRule(Budget(calls=10, tokens=1000))
    usage = {"prompt_tokens": 5}
    answered = [{"request_id": str(i), "status": "ok", "usage": usage} for i in range(3)]
    stop.recall([*answered[:2], answered[2] | {"cached_from": "x"}])
    assert stop.allowed(64) == 8
