"""From questions to records: budgets go on from the log, errors are retried, deadlines hold."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
from planted_recommenders import Clean
from run_probe import RUN_KEY, target_for
from small_world import world

from auditkit.errors import TargetError
from auditkit.evidence.evidence_file import EVIDENCE
from auditkit.evidence.run_log import read_log
from auditkit.recommenders.execution.response_cache import ResponseCache
from auditkit.recommenders.execution.stop_rule import Budget, StopRule
from auditkit.recommenders.remote.transport import RequestLimits, Transport
from auditkit.security.network_guard import NetworkForbidden, Restriction, restricted_network
from auditkit.types import Message, RankedItem, Request, Response

TITLES = [item.display_title for item in world().catalog.items]


def requests(n):
    return [Request(user_id=str(i)) for i in range(n)]


def ids(folder):
    return [body["request_id"] for body in read_log(folder, RUN_KEY)[0]]


def statuses(responses):
    return [r.reason if r.reason == "not_run" else r.status for r in responses]


class Counting(Clean):
    """Keeps the users that it was asked about; `failing` users raise."""

    def __init__(self, *failing):
        self.failing, self.asked = failing, []

    def recommend(self, requests):
        for request in requests:
            if request.user_id in self.failing:
                raise RuntimeError("overloaded")
        self.asked += [request.user_id for request in requests]
        return [[TITLES[int(request.user_id)]] for request in requests]


# --- budgets


def test_budget_leaves_the_rest_and_a_bigger_one_goes_on_from_the_log(tmp_path):
    recommender = Counting()
    stop = StopRule(Budget(calls=10))
    target = target_for(recommender, tmp_path, batch_size=4, stop=stop)
    assert statuses(target.recommend(requests(25))) == ["ok"] * 10 + ["not_run"] * 15
    assert target.status_counts()["not_run"] == 15
    assert stop.stopped == "budget"
    again = target_for(recommender, tmp_path, stop=StopRule(Budget(calls=20)))
    assert statuses(again.recommend(requests(25))) == ["ok"] * 20 + ["not_run"] * 5
    assert sorted(recommender.asked, key=int) == [str(i) for i in range(20)]


def test_same_budget_again_asks_nothing(tmp_path):
    recommender = Counting()
    for _ in range(2):
        target_for(recommender, tmp_path, stop=StopRule(Budget(calls=10))).recommend(requests(25))
    assert len(recommender.asked) == 10


def test_breaker_leaves_the_rest_and_what_was_answered_stays(tmp_path):
    recommender = Counting(*map(str, range(30, 60)))
    target = target_for(recommender, tmp_path, batch_size=10)
    seen = statuses(target.recommend(requests(80)))
    assert seen[:30] == ["ok"] * 30
    assert seen[30:60] == ["target_error"] * 30
    assert seen[60:] == ["not_run"] * 20
    assert target.stop.stopped == "breaker"


def test_errors_of_earlier_starts_count_when_nothing_is_left_to_ask(tmp_path):
    failing = Counting(*map(str, range(60)))
    rates = {"max_error_rate": 0.1}
    stops = []
    for _ in range(4):
        stop = StopRule(**rates)
        target_for(failing, tmp_path, batch_size=10, stop=stop).recommend(requests(60))
        stop.check_errors()
        stops.append(stop.stopped)
    assert stops == ["breaker"] * 4


def test_cached_answers_need_no_budget(tmp_path):
    cache = ResponseCache(tmp_path / "answers", "f")
    target_for(Counting(), tmp_path / "first", cache=cache).recommend(requests(10))
    stop = StopRule(Budget(calls=5))
    again = target_for(Counting(), tmp_path / "run", cache=cache, stop=stop)
    assert statuses(again.recommend(requests(15))) == ["ok"] * 15
    assert stop.stopped is None


def test_cache_serves_no_other_seed(tmp_path):
    cache = ResponseCache(tmp_path / "answers", "f")
    target_for(Counting(), tmp_path / "first", cache=cache).recommend(requests(4))
    recommender = Counting()
    target_for(recommender, tmp_path / "run", cache=cache, seed=1).recommend(requests(4))
    assert len(recommender.asked) == 4


# --- errors asked again


def test_failed_requests_are_asked_again_and_supersede_their_records(tmp_path):
    target_for(Counting("1", "3"), tmp_path).recommend(requests(5))
    recommender = Counting()
    target = target_for(recommender, tmp_path, retry_errors=True)
    assert statuses(target.recommend(requests(5))) == ["ok"] * 5
    assert target.status_counts()["ok"] == 5
    assert recommender.asked == ["1", "3"]
    bodies, _ = read_log(tmp_path, RUN_KEY)
    assert [body.get("supersedes") for body in bodies] == [None] * 5 + [1, 3]
    assert [bodies[1]["status"], bodies[5]["status"]] == ["target_error", "ok"]
    assert bodies[1]["request_id"] == bodies[5]["request_id"]


def test_success_of_a_retry_counts_from_then_on(tmp_path):
    target_for(Counting("1"), tmp_path).recommend(requests(3))
    target_for(Counting(), tmp_path, retry_errors=True).recommend(requests(3))
    recommender = Counting()
    for retry in (False, True):
        target = target_for(recommender, tmp_path, retry_errors=retry)
        assert statuses(target.recommend(requests(3))) == ["ok"] * 3
    assert recommender.asked == []


def test_request_that_fails_again_stays_an_error_and_is_asked_once_per_start(tmp_path):
    target_for(Counting("1"), tmp_path).recommend(requests(3))
    target = target_for(Counting("1"), tmp_path, retry_errors=True)
    for _ in range(2):
        assert statuses(target.recommend(requests(3))) == ["ok", "target_error", "ok"]
    assert len(ids(tmp_path)) == 4


def test_failed_request_that_the_budget_leaves_keeps_its_error(tmp_path):
    target_for(Counting("1"), tmp_path).recommend(requests(3))
    stop = StopRule(Budget(calls=3))
    target = target_for(Counting(), tmp_path, retry_errors=True, stop=stop)
    assert statuses(target.recommend(requests(3))) == ["ok", "target_error", "ok"]


# --- deadlines


class Stalls(Clean):
    """Never answers about the users named, nor about any batch that holds one."""

    def __init__(self, *stalling):
        self.stalling, self.asked = stalling, []

    def recommend(self, requests):
        self.asked.append([request.user_id for request in requests])
        if any(request.user_id in self.stalling for request in requests):
            threading.current_thread().stalled = True
            threading.Event().wait()
        return [[TITLES[int(request.user_id)]] for request in requests]


class WaitsForStall(threading.Thread):
    """A call whose deadline passes once it stalls, and not while it still works."""

    stalled = False

    def join(self, timeout=None):
        while self.is_alive() and not (timeout and self.stalled):
            super().join(0.01)


@pytest.fixture
def deadline_after_stall(monkeypatch):
    threads = SimpleNamespace(Thread=WaitsForStall)
    monkeypatch.setattr("auditkit.recommenders.execution.deadline.threading", threads)


@pytest.mark.usefixtures("deadline_after_stall")
def test_batch_past_its_deadline_is_asked_one_by_one(tmp_path):
    target = target_for(Stalls("2"), tmp_path, seconds=0.2)
    responses = target.recommend(requests(4))
    assert statuses(responses) == ["ok", "ok", "timeout", "ok"]
    assert responses[2].reason == "deadline"
    assert target.stop.stopped is None


@pytest.mark.usefixtures("deadline_after_stall")
def test_third_abandoned_call_stops_the_audit(tmp_path):
    recommender = Stalls(*map(str, range(9)))
    target = target_for(recommender, tmp_path, seconds=0.1)
    assert statuses(target.recommend(requests(9))) == ["timeout"] * 2 + ["not_run"] * 7
    assert recommender.asked == [[str(i) for i in range(9)], ["0"], ["1"]]
    assert target.stop.stopped == "breaker"


def test_error_that_names_a_timeout_is_no_abandoned_call(tmp_path):
    class Slow(Clean):
        def recommend(self, requests):
            raise TimeoutError("their own")

    target = target_for(Slow(), tmp_path, seconds=30)
    assert statuses(target.recommend(requests(9))) == ["target_error"] * 9
    assert target.stop.stopped is None


def test_recommender_that_wants_to_end_the_process_fails_at_its_request(tmp_path):
    class Exits(Clean):
        def recommend(self, requests):
            if any(request.user_id == "2" for request in requests):
                raise SystemExit(0)
            return [[TITLES[0]] for _ in requests]

    for seconds in (None, 30):
        target = target_for(Exits(), tmp_path / str(seconds), seconds=seconds)
        assert statuses(target.recommend(requests(4))) == ["ok", "ok", "target_error", "ok"]


def test_failing_window_of_several_workers_is_asked_in_its_batches(tmp_path):
    sizes = []

    class Picky(Counting):
        def recommend(self, requests):
            sizes.append(len(requests))
            return super().recommend(requests)

    target = target_for(Picky("5"), tmp_path, batch_size=4, window=8)
    assert statuses(target.recommend(requests(8))).count("ok") == 7
    assert sizes == [8, 4, 4, 1, 1, 1, 1]


def test_temperatures_and_earlier_turns_reach_a_generator(tmp_path):
    seen = []

    class Writes:
        name = "writes"

        def generate(self, prompts, *, max_new_tokens, temperature, seeds):
            seen.append((tuple(prompts), temperature))
            return list(prompts)

    turn = Message("system", "You know films.")
    asked = [Request(prompt=f"p{i}", temperature=t, messages=(turn,)) for i, t in
             enumerate((0.0, 0.9, 0.0))]  # fmt: skip
    answers = target_for(Writes(), tmp_path).generate(asked, max_new_tokens=3)
    head = "System: You know films.\n"
    assert seen == [((head + "p0", head + "p2"), 0.0), ((head + "p1",), 0.9)]
    assert [answer.text for answer in answers] == [head + f"p{i}" for i in range(3)]


def test_deadline_changes_no_answer_and_no_error(tmp_path):
    for name, seconds in (("with", 30), ("without", None)):
        target_for(Counting("2"), tmp_path / name, seconds=seconds).recommend(requests(5))
    assert (tmp_path / "with" / EVIDENCE).read_bytes() == (
        tmp_path / "without" / EVIDENCE
    ).read_bytes()


# --- remote


class Far:
    """Answers after a wait that depends on the user, so answers arrive out of order."""

    name = "far"

    def __init__(self, failing=lambda request, attempt: None):
        self.failing, self.asked = failing, []

    async def answer(self, operation, request, parameters):
        self.asked.append(request.user_id)
        if error := self.failing(request, self.asked.count(request.user_id)):
            raise error
        title = TITLES[int(request.user_id)]
        return Response(request_id=request.id, status="ok", items=(RankedItem(raw=title),))

    async def close(self):
        pass


async def no_sleep(seconds):
    pass


def ask_far(far, folder, n, **options):
    target = target_for(
        far,
        folder,
        transport=Transport(far, request_limits=RequestLimits(), sleep=no_sleep),
        **options,
    )
    try:
        return target.recommend(requests(n)), target
    finally:
        target.close()


def test_remote_answers_are_recorded_one_by_one_in_the_order_asked(tmp_path):
    responses, _ = ask_far(Far(), tmp_path, 20)
    assert [r.items[0].raw for r in responses] == TITLES[:20]
    bodies, _ = read_log(tmp_path, RUN_KEY)
    assert [body["unit"] for body in bodies] == [str(i) for i in range(20)]
    assert [body["batch"] for body in bodies] == [[i, 1, 0] for i in range(20)]


def test_passing_trouble_changes_no_byte(tmp_path):
    def every_third(request, attempt):
        if int(request.user_id) % 3 == 0 and attempt == 1:
            return TargetError("http_5xx", retryable=True)
        return None

    ask_far(Far(), tmp_path / "quiet", 20)
    ask_far(Far(every_third), tmp_path / "troubled", 20)
    assert (tmp_path / "quiet" / EVIDENCE).read_bytes() == (
        tmp_path / "troubled" / EVIDENCE
    ).read_bytes()


def test_remote_that_is_gone_opens_the_breaker_after_five(tmp_path):
    far = Far(lambda request, attempt: TargetError("connection"))
    responses, target = ask_far(far, tmp_path, 60)
    assert statuses(responses) == ["target_error"] * 5 + ["not_run"] * 55
    assert target.stop.stopped == "breaker"
    assert len(ids(tmp_path)) == 5


def test_remote_goes_on_where_it_was_interrupted(tmp_path):
    def interrupt(request, attempt):
        if request.user_id == "10":
            raise KeyboardInterrupt
        return

    with pytest.raises(KeyboardInterrupt):
        ask_far(Far(interrupt), tmp_path / "run", 20)
    finished = {body["unit"] for body in read_log(tmp_path / "run", RUN_KEY)[0]}
    far = Far()
    ask_far(far, tmp_path / "run", 20)
    ask_far(Far(), tmp_path / "whole", 20)
    assert not finished & set(far.asked)
    assert (tmp_path / "run" / EVIDENCE).read_bytes() == (
        tmp_path / "whole" / EVIDENCE
    ).read_bytes()


def test_remote_answer_that_is_no_answer_fails_alone(tmp_path):
    class Odd(Far):
        async def answer(self, operation, request, parameters):
            if request.user_id == "1":
                return Response(request_id=request.id, status="ok", items=("Heat",))
            if request.user_id == "2":
                raise SystemExit(0)
            return await super().answer(operation, request, parameters)

    responses, _ = ask_far(Odd(), tmp_path, 4)
    assert statuses(responses) == ["ok", "target_error", "target_error", "ok"]


def test_budget_of_tokens_ends_between_remote_answers(tmp_path):
    class Counted(Far):
        async def answer(self, operation, request, parameters):
            response = await super().answer(operation, request, parameters)
            return replace(response, usage={"completion_tokens": 10})

    stop = StopRule(Budget(tokens=100))
    responses, _ = ask_far(Counted(), tmp_path, 60, stop=stop)
    assert statuses(responses) == ["ok"] * 10 + ["not_run"] * 50


# --- what is recorded is what is measured


def test_secret_in_an_answer_is_measured_as_it_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_KEY", "canary-0123")

    class Echoes(Clean):
        def recommend(self, requests):
            return [["canary-0123 (1999)"] for _ in requests]

    cache = ResponseCache(tmp_path / "answers", "f")
    first = target_for(Echoes(), tmp_path / "run", cache=cache).recommend(requests(2))
    again = target_for(Echoes(), tmp_path / "run").recommend(requests(2))
    assert first == again
    assert first[0].items[0].raw == "[redacted:11] (1999)"
    for path in tmp_path.rglob("*.jsonl"):
        assert "canary" not in path.read_text()


def test_recommender_that_reaches_for_the_network_ends_the_audit(tmp_path):
    class Calls(Clean):
        def recommend(self, requests):
            import socket

            socket.getaddrinfo("example.org", 443)

    target = target_for(Calls(), tmp_path)
    with restricted_network(Restriction()), pytest.raises(NetworkForbidden, match=r"example\.org"):
        target.recommend(requests(3))
    assert ids(tmp_path) == []
