"""The transport against remote recommenders that are late, fail or never answer."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_clocks import loops_without_waiting

from auditkit.errors import ConfigurationError, InvalidArgument, TargetError
from auditkit.recommenders.remote.event_loop import EventLoop
from auditkit.recommenders.remote.request_limits import RequestLimits
from auditkit.recommenders.remote.token_bucket import Bucket
from auditkit.recommenders.remote.transport import Transport
from auditkit.types import Request, Response


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Scripted:
    """Does for each attempt at a request what its script says, then answers."""

    def __init__(self, script=(), *, usage=None):
        self.script, self.usage = script, usage or {}
        self.attempts, self.times = Counter(), []
        self.running = self.most_running = 0
        self.closed = False

    async def answer(self, operation, request, parameters):
        attempt = self.attempts[request.id]
        self.attempts[request.id] += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0.001)
            if attempt < len(self.script):
                await self.script[attempt](request)
        finally:
            self.running -= 1
        return Response(request_id=request.id, status="ok", text=request.id, usage=self.usage)

    async def close(self):
        self.closed = True


def fails(reason="http_5xx", *, retryable=True, retry_after=None):
    async def step(request):
        raise TargetError(reason, retryable=retryable, retry_after=retry_after)

    return step


async def stalls(request):
    await asyncio.sleep(60)


def run(remote, n=1, *, clock=None, operation="recommend", parameters=None, **request_limits):
    clock = clock or Clock()
    with loops_without_waiting():
        transport = Transport(
            remote, request_limits=RequestLimits(**request_limits), sleep=clock.sleep, clock=clock
        )
    try:
        asked = [(operation, Request(id=str(i)), parameters or {}) for i in range(n)]
        return list(transport.ask(asked)), transport
    finally:
        transport.close()


def test_closing_closes_the_recommender():
    remote = Scripted()
    run(remote)
    assert remote.closed


def test_request_is_tried_five_times_and_no_more():
    remote = Scripted([fails()] * 9)
    (response,), transport = run(remote)
    assert (response.status, response.reason) == ("target_error", "http_5xx")
    assert remote.attempts == {"0": 5}
    assert transport.retries == 4


def test_error_that_will_not_pass_is_not_asked_again():
    remote = Scripted([fails("bad_schema", retryable=False)])
    run(remote)
    assert remote.attempts == {"0": 1}


@pytest.mark.parametrize("stall", [stalls, fails("deadline")])
def test_timeout_is_asked_again_once(stall):
    remote = Scripted([stall] * 9)
    (response,), _ = run(remote, seconds=0.05)
    assert (response.status, response.reason) == ("timeout", "deadline")
    assert remote.attempts == {"0": 2}


def test_answer_after_one_timeout_counts():
    (response,), _ = run(Scripted([stalls]), seconds=0.05)
    assert response.status == "ok"


def test_scoring_many_texts_has_as_many_deadlines():
    async def takes_a_while(request):
        await asyncio.sleep(0.15)

    remote = Scripted([takes_a_while])
    parameters = {"continuations": ["a", "b", "c", "d"]}
    (response,), _ = run(remote, operation="score", parameters=parameters, seconds=0.1)
    assert (response.status, remote.attempts["0"]) == ("ok", 1)


def test_waits_are_random_below_a_doubling_limit():
    clock = Clock()
    _, transport = run(Scripted([fails()] * 4), 30, clock=clock, waiting=10_000)
    assert max(clock.slept) <= 8
    assert 1 < sum(clock.slept) / 30 < 15  # on average (1 + 2 + 4 + 8) / 2
    assert transport.waited == pytest.approx(sum(clock.slept))


def test_server_is_given_at_least_the_time_it_asks_for():
    clock = Clock()
    run(Scripted([fails("rate_limited", retry_after=40)]), clock=clock)
    assert clock.slept == [40]


def test_server_that_asks_for_too_long_is_not_waited_for():
    clock, remote = Clock(), Scripted([fails("rate_limited", retry_after=301)] * 5)
    (response,), _ = run(remote, clock=clock)
    assert (response.reason, remote.attempts["0"], clock.slept) == ("rate_limited", 1, [])


def test_waiting_of_a_run_ends_across_calls():
    remote = Scripted([fails("rate_limited", retry_after=300)] * 5)
    responses, transport = run(remote, 20, max_connections=1)
    assert transport.exhausted
    assert transport.waited == 900
    assert [r.reason for r in responses] == ["rate_limited"] * 20
    assert sum(remote.attempts.values()) == 20 + 3


def test_lasting_trouble_ends_in_bounded_time():
    responses, transport = run(Scripted([stalls] * 9), 16, seconds=0.05, max_connections=8)
    assert [r.status for r in responses] == ["timeout"] * 16
    # Four at a time, each twice up to its deadline, where one stall would take a minute.
    assert transport._loop._loop.time() == pytest.approx(16 / 4 * 2 * 0.05)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_answers_come_in_the_order_asked(delays):
    async def late(request):
        await asyncio.sleep(0.001 * delays[int(request.id)])

    responses, _ = run(Scripted([late]), len(delays))
    assert [response.request_id for response in responses] == [str(i) for i in range(len(delays))]


def test_trouble_that_passes_leaves_no_trace_in_the_answers():
    quiet, _ = run(Scripted(), 40)
    script = [fails("rate_limited"), fails("connection"), fails("incomplete_body"), fails()]
    troubled, transport = run(Scripted(script), 40, waiting=10_000)
    assert troubled == quiet
    assert transport.retries == 160


def test_connections_start_at_four_and_grow_with_success():
    first, later = Scripted(), Scripted()
    run(first, 20)
    run(later, 300)
    assert first.most_running == 4
    assert later.most_running == 8


def test_overload_halves_the_connections_once_for_all_that_met_it():
    transport = Transport(Scripted([fails("rate_limited")] * 9), sleep=Clock().sleep)
    list(transport.ask([("recommend", Request(id=str(i)), {}) for i in range(4)]))
    transport.close()
    assert transport._connections == 1
    transport = Transport(Scripted([fails("rate_limited")]), sleep=Clock().sleep)
    list(transport.ask([("recommend", Request(id=str(i)), {}) for i in range(4)]))
    transport.close()
    assert transport._connections == 2


def test_adapter_that_raises_something_else_failed_at_that_request():
    async def breaks(request):
        if request.id == "1":
            raise KeyError("choices")

    responses, _ = run(Scripted([breaks]), 3)
    assert [r.status for r in responses] == ["ok", "target_error", "ok"]
    assert responses[1].reason == "exception"
    assert responses[1].derived["error"] == "KeyError: 'choices'"


def test_closing_the_answers_cancels_what_is_under_way():
    remote = Scripted()
    transport = Transport(remote)
    arriving = transport.ask([("recommend", Request(id=str(i)), {}) for i in range(50)])
    next(arriving)
    arriving.close()
    transport.close()
    assert remote.running == 0
    assert sum(remote.attempts.values()) < 50


def test_transport_works_inside_a_running_event_loop():
    async def cell():
        return run(Scripted(), 3)[0]

    assert len(asyncio.run(cell())) == 3


def test_interrupted_wait_cancels_what_was_waited_for():
    ended = []

    async def waits():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def fails_meanwhile():
        task = asyncio.create_task(waits())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise RuntimeError("stop")

    loop = EventLoop()
    with pytest.raises(RuntimeError, match="stop"):
        loop.run(fails_meanwhile())
    loop.close()
    assert ended == [True]


# --- how fast


def test_requests_are_spread_over_the_minute():
    clock = Clock()
    run(Scripted(), 31, clock=clock, requests_per_minute=30)
    assert clock.now == pytest.approx(60, abs=2.1)


def test_tokens_are_paid_for_after_they_were_used():
    clock = Clock()
    usage = {"prompt_tokens": 80, "completion_tokens": 20}
    run(Scripted(usage=usage), 11, clock=clock, tokens_per_minute=600, max_connections=1)
    assert clock.now == pytest.approx(100, abs=11)


@given(st.lists(st.floats(0, 5), max_size=50), st.floats(1, 600))
def test_bucket_lets_through_no_more_than_its_rate(pauses, per_minute):
    now = [0.0]
    bucket = Bucket(per_minute, clock=lambda: now[0])
    taken = 0
    for pause in pauses:
        now[0] += pause
        if bucket.delay == 0:
            bucket.take(1)
            taken += 1
    assert taken <= now[0] * per_minute / 60 + max(1, per_minute / 60) + 1


@given(st.floats(0.01, 10_000), st.floats(0, 1000))
def test_bucket_opens_after_the_delay_that_it_names(per_minute, units):
    now = [0.0]
    bucket = Bucket(per_minute, clock=lambda: now[0])
    bucket.take(units)
    now[0] += bucket.delay
    assert bucket.delay == pytest.approx(0, abs=1e-6)


# --- settings


def test_recommender_brings_its_own_patience():
    remote = Scripted()
    remote.request_limits = RequestLimits(max_connections=32)
    transport = Transport(remote)
    transport.close()
    assert transport.window == 128


def test_patience_comes_from_the_environment():
    found = RequestLimits.from_environment(
        {
            "AUDITKIT_MAX_CONNECTIONS": "32",
            "AUDITKIT_REQUESTS_PER_MINUTE": "90",
            "AUDITKIT_REQUEST_SECONDS": "600",
            "OTHER": "x",
        }
    )
    assert (found.max_connections, found.requests_per_minute, found.seconds) == (32, 90, 600)
    assert RequestLimits.from_environment({}) == RequestLimits()


@pytest.mark.parametrize("text", ["0", "-1", "many", "nan", "inf", "1.5"])
def test_variable_that_is_no_such_number_is_named(text):
    with pytest.raises(ConfigurationError, match="AUDITKIT_MAX_CONNECTIONS"):
        RequestLimits.from_environment({"AUDITKIT_MAX_CONNECTIONS": text})


def test_limit_that_lets_nothing_through_is_refused():
    with pytest.raises(InvalidArgument, match="attempts is 0"):
        RequestLimits(attempts=0)
