"""Progress of an audit: requests, time left in a step, and money spent."""

from __future__ import annotations

from auditkit.cli.step_progress import StepProgress, money_spent
from auditkit.recommenders.execution.stop_rule import StopRule, Tokens
from auditkit.recommenders.loading.target_card import Price
from auditkit.types import Response


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_time_left_is_extrapolated_from_the_requests_that_were_sent_in_this_step():
    clock = Clock()
    step = StepProgress(clock=clock)
    step.add(500, 1_000)  # 500 were recorded before
    assert step.text() == "500 requests"
    clock.now = 30.0
    step.add(100, 900)
    assert step.text() == "600 requests, 4 min left in this step"
    clock.now = 290.0
    step.add(890, 10)
    assert step.text() == "1,490 requests, under 1 min left in this step"
    step.add(10, 0)
    assert step.text() == "1,500 requests"


def test_a_new_step_has_a_rate_of_its_own():
    clock = Clock()
    step = StepProgress(clock=clock)
    step.add(0, 10)
    clock.now = 600.0
    step.add(10, 0)
    step.add(0, 20)
    clock.now = 620.0
    step.add(10, 10)
    assert step.text() == "20 requests, under 1 min left in this step"


def test_money_is_that_of_the_tokens_which_were_reported():
    stop, price = StopRule(), Price(input=2.0, output=10.0, currency="EUR")
    step = StepProgress(stop, price)
    usage = {"prompt_tokens": 400_000, "completion_tokens": 30_000}
    stop.record(Response(request_id="a", status="ok", usage=usage))
    step.add(1, 0)
    assert step.text() == "1 requests, 1.10 EUR"
    assert stop.tokens == Tokens(400_000, 30_000)


def test_tokens_of_earlier_starts_count():
    stop = StopRule()
    body = {"request_id": "a", "status": "ok", "usage": {"prompt_tokens": 1_000_000}}
    stop.recall([body, {**body, "cached_from": "b"}])
    assert money_spent(stop.tokens, Price(input=1.5, output=9.0)) == "1.50 USD"
