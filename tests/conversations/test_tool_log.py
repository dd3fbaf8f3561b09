"""Calls of tools are recorded in order, whoever executes them."""

from __future__ import annotations

import json

import pytest

from auditkit.conversations import ToolError, ToolLog
from auditkit.conversations.tool_log import recorded_calls
from auditkit.types import Response


def stock(title: str, shop: str = "all") -> int:
    if title == "Heat":
        raise ToolError("the service is down")
    return len(title)


def test_results_and_order_are_recorded():
    log = ToolLog({"stock": stock})
    assert log.call("stock", '{"title": "Fargo"}').result == "5"
    assert log.call("stock", '{"title": "Alien", "shop": "x"}').result == "5"
    assert [one.order for one in log.records] == [0, 1]
    assert log.records[1].values == {"title": "Alien", "shop": "x"}


@pytest.mark.parametrize(
    ("name", "arguments", "failure"),
    [
        ("prices", "{}", "unknown_tool"),
        ("stock", "{}", "bad_arguments"),
        ("stock", '{"film": "Heat"}', "bad_arguments"),
        ("stock", "[1]", "bad_arguments"),
        ("stock", "{not json", "bad_arguments"),
        ("stock", '{"title": "Heat"}', "failed"),
    ],
)
def test_a_failure_is_a_result_that_says_why(name, arguments, failure):
    record = ToolLog({"stock": stock}).call(name, arguments)
    assert record.failure == failure
    assert json.loads(record.result)["error"]


def test_errors_of_the_function_itself_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        ToolLog({"divide": lambda n: 1 / n}).call("divide", '{"n": 0}')


def test_the_trace_of_a_response_is_read_as_the_same_calls():
    log = ToolLog({"stock": stock})
    log.call("stock", '{"title": "Fargo"}')
    response = Response(request_id="r", status="ok", trace=(*log.trace(), {"stage": "ranking"}))
    (read,) = recorded_calls(response)
    assert (read.name, read.values, read.result) == ("stock", {"title": "Fargo"}, "5")
