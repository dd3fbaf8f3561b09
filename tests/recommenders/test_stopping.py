"""Budget and breaker: what is left when asking stops was not run, and never failed."""

from __future__ import annotations

import threading

import pytest
from asking import target_for
from small_world import world

from auditkit.recommenders.stopping import Budget, StopRule
from auditkit.runlog import read_log
from auditkit.types import Request, Response

REQUESTS = [Request(user_id=str(i), history=world().catalog.items[:0]) for i in range(60)]


class Counting:
    """Answers, fails or stalls by request, and counts."""

    name = "counting"

    def __init__(self, answer=lambda request: ["Fargo (1996)"]):
        self.asked, self._answer = [], answer

    def recommend(self, requests):
        self.asked += [request.user_id for request in requests]
        return [self._answer(request) for request in requests]


def failed(reason, status="target_error"):
    return Response(request_id="r", status=status, reason=reason)


def run(folder, recommender, stop=None, **options):
    target = target_for(recommender, folder, stop=stop, batch_size=8, **options)
    return target, target.recommend(REQUESTS)


def test_budget_of_calls_is_kept_exactly_and_a_later_run_goes_on(tmp_path):
    first = Counting()
    target, responses = run(tmp_path, first, StopRule(Budget(calls=20)))
    assert len(first.asked) == 20
    assert target.status_counts()["not_run"] == 40
    assert [r.reason for r in responses[20:]] == ["not_run"] * 40
    assert target.stop.stopped == "budget"
    second = Counting()
    target, responses = run(tmp_path, second)
    assert second.asked == [str(i) for i in range(20, 60)]
    assert target.status_counts()["ok"] == 60


def test_limit_of_a_probe_counts_answers_from_the_log_too(tmp_path):
    run(tmp_path, Counting(), StopRule(Budget(per_probe=10)))
    again = Counting()
    target, _ = run(tmp_path, again, StopRule(Budget(per_probe=10)))
    assert again.asked == []
    assert target.stop.stopped is None


def test_budget_of_tokens_ends_after_the_batch_that_used_them_up(tmp_path):
    def answer(request):
        return Response(request_id=request.id, status="ok", usage={"completion_tokens": 10})

    recommender = Counting(answer)
    run(tmp_path, recommender, StopRule(Budget(tokens=100)))
    assert len(recommender.asked) == 16


def test_budget_of_minutes_ends_by_the_clock():
    now = [0.0]
    rule = StopRule(Budget(minutes=2), clock=lambda: now[0])
    assert rule.allowed(5, of_probe=0) == 5
    now[0] = 121.0
    assert rule.allowed(5, of_probe=0) == 0
    assert rule.stopped == "budget"


def test_five_in_a_row_for_one_reason_open_the_breaker():
    rule = StopRule()
    for _ in range(4):
        rule.record(failed("connection"))
    rule.record(failed("http_5xx"))
    assert rule.stopped is None
    for _ in range(4):
        rule.record(failed("http_5xx"))
    assert (rule.stopped, rule.allowed(3, of_probe=0)) == ("breaker", 0)


def test_an_answer_between_failures_keeps_the_breaker_shut():
    rule = StopRule()
    for _ in range(15):
        rule.record(failed("connection"))
        rule.record(Response(request_id="r", status="ok"))
    assert rule.stopped is None


def test_refused_key_opens_the_breaker_at_once():
    rule = StopRule()
    rule.record(failed("auth"))
    assert "key" in rule.detail


@pytest.mark.parametrize(("ok", "stops"), [(300, True), (600, False)])
def test_too_many_errors_in_all_open_the_breaker(ok, stops):
    rule = StopRule(max_error_rate=0.05)
    for _ in range(ok):
        rule.record(Response(request_id="r", status="ok"))
    for _ in range(21):
        rule.record(failed("exception"))
    assert (rule.stopped == "breaker") is stops


def test_wrong_answers_in_a_row_are_the_recommenders_and_open_nothing():
    rule = StopRule()
    for _ in range(10):
        rule.record(failed("bad_schema"))
    assert rule.stopped is None


def test_failures_are_asked_again_only_when_told_and_the_log_keeps_both(tmp_path):
    def sometimes(request):
        if int(request.user_id) % 10 == 0:
            raise RuntimeError("down")
        return ["Fargo (1996)"]

    run(tmp_path, Counting(sometimes))
    silent = Counting()
    run(tmp_path, silent)
    assert silent.asked == []
    again = Counting()
    _, responses = run(tmp_path, again, retry_errors=True)
    assert again.asked == ["0", "10", "20", "30", "40", "50"]
    assert all(response.status == "ok" for response in responses)
    bodies, _ = read_log(tmp_path, "0" * 64)
    replaced = [body for body in bodies if "supersedes" in body]
    assert [bodies[body["supersedes"]]["status"] for body in replaced] == ["target_error"] * 6
    assert len(bodies) == 66


def test_call_past_its_deadline_is_a_timeout_and_the_third_opens_the_breaker(tmp_path):
    forever = threading.Event()

    def stalls(request):
        if int(request.user_id) >= 3:
            forever.wait(5)
        return ["Fargo (1996)"]

    target, responses = run(tmp_path, Counting(stalls), StopRule(), seconds=0.1)
    assert [r.status for r in responses[:3]] == ["ok"] * 3
    assert (responses[3].status, responses[3].reason) == ("timeout", "deadline")
    assert target.stop.stopped == "breaker"
    assert target.status_counts()["not_run"] > 40
    forever.set()
