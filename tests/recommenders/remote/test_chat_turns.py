"""Turns with tools in OpenAI's form; requests without tools keep their ids."""

from __future__ import annotations

import json

import pytest

from auditkit.errors import TargetError
from auditkit.recommenders.execution.calls import Call
from auditkit.recommenders.remote.chat_turns import chat_turns, read_turn
from auditkit.types import Message, Request, Response, ToolCall

CALL = ToolCall("call00000", "look_up", '{"item":"Heat"}')
TURNS = (
    Message("user", "How many?"),
    Message("assistant", "", (CALL,)),
    Message("tool", "17", (), CALL.id),
)


def test_the_users_turn_is_last_unless_a_result_is():
    assert [turn["role"] for turn in chat_turns(Request(messages=TURNS))][-1] == "tool"
    turns = chat_turns(Request(messages=TURNS[:1], prompt="Hello?"))
    assert turns[-1] == {"role": "user", "content": "Hello?"}


def test_calls_and_results_have_the_form_of_the_api():
    _, asked, result = chat_turns(Request(messages=TURNS))
    assert asked["tool_calls"] == [
        {
            "id": "call00000",
            "type": "function",
            "function": {"name": "look_up", "arguments": '{"item":"Heat"}'},
        }
    ]
    assert (result["tool_call_id"], result["content"]) == ("call00000", "17")


def test_messages_without_tools_are_recorded_as_before():
    fields = Call("p", 1, "recommend", Request(messages=(Message("system", ""),))).fields
    assert fields["messages"] == [{"role": "system", "content": ""}]
    written = Call("p", 1, "converse", Request(messages=TURNS)).fields["messages"]
    assert json.loads(json.dumps(written))[1]["tool_calls"][0]["name"] == "look_up"
    assert "tool_calls" not in written[2]


@pytest.mark.parametrize(
    ("answer", "status", "n_items", "n_calls"),
    [
        (None, "no_answer", 0, 0),
        (" ", "no_answer", 0, 0),
        ("1. Heat (1995)\n2. Fargo (1996)", "ok", 2, 0),
        ({"content": "1. Heat (1995)"}, "ok", 1, 0),
        ({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}, "ok", 0, 1),
        ({"content": None, "refusal": "I cannot."}, "refusal", 0, 0),
        (Response(request_id="r", status="ok", text="1. Heat (1995)"), "ok", 1, 0),
        (Response(request_id="r", status="refusal", text="no"), "refusal", 0, 0),
    ],
)
def test_every_form_of_a_turn_is_read(answer, status, n_items, n_calls):
    found = read_turn(Request(id="r", k=2), answer)
    assert (found.status, len(found.items), len(found.trace)) == (status, n_items, n_calls)


def test_no_list_is_read_from_a_turn_without_items():
    assert read_turn(Request(id="r", k=0), "1. Heat (1995)").items == ()


@pytest.mark.parametrize("answer", [3.5, ["1. Heat"]])
def test_another_type_is_an_error_of_the_request(answer):
    with pytest.raises(TargetError, match="wrong_type"):
        read_turn(Request(id="r"), answer)
