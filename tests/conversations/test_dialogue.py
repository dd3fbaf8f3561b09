"""The loop of turns sends the assistant's own answers, executes tools, and ends where it must."""

from __future__ import annotations

import pytest
from planted_assistants import calls
from run_probe import target_for
from small_world import world

from auditkit.conversations import Scenario, Turn
from auditkit.conversations.dialogue import Dialogue, hold
from auditkit.conversations.toolbox import Toolbox, tool_descriptions
from auditkit.domains.shipped import domain_pack
from auditkit.types import Message, Response

CATALOG = world().catalog
TITLES = [item.display_title for item in CATALOG.items]
ASK = Turn(user="Which films?", k=2)


class Scripted:
    """Says its lines in order, and keeps what it was sent."""

    name = "scripted"

    def __init__(self, *lines):
        self.lines, self.seen, self.offered = list(lines), [], []

    def converse(self, requests, *, tools):
        self.seen += requests
        self.offered.append(len(tools))
        return [self.line() for _ in requests]

    def line(self):
        line = self.lines.pop(0)
        if isinstance(line, Exception):
            raise line
        return line


def held(tmp_path, assistant, *turns, toolbox=None, **more):
    scenario = Scenario(id="s", turns=turns, **more)
    one = Dialogue("u", scenario, (Message("system", "Be kind."),), toolbox)
    hold(target_for(assistant, tmp_path), [one])
    return one


def tools(**more):
    pack = domain_pack(CATALOG.domain)
    return Toolbox(CATALOG, tool_descriptions(CATALOG, pack), **more)


def test_every_turn_is_sent_with_the_answers_to_the_turns_before(tmp_path):
    assistant = Scripted(f"1. {TITLES[0]}\n2. {TITLES[1]}", "Gladly.")
    one = held(tmp_path, assistant, ASK, Turn(user="Thanks."), goal="I am bored.")
    assert [(m.role, m.content) for m in assistant.seen[1].messages] == [
        ("system", "Be kind."),
        ("user", "I am bored. Which films?"),
        ("assistant", f"1. {TITLES[0]}\n2. {TITLES[1]}"),
    ]
    assert assistant.seen[1].prompt == "Thanks."
    assert [item.raw for item in one.held[0].items] == TITLES[:2]
    assert one.held[0].items[0].item_id == CATALOG.items[0].id


@pytest.mark.parametrize(("rejects", "n"), [("first", 1), ("all", 2)])
def test_a_rejection_names_the_items_of_the_last_list(tmp_path, rejects, n):
    assistant = Scripted(f"1. {TITLES[0]}\n2. {TITLES[1]}", f"1. {TITLES[3]}\n2. {TITLES[4]}")
    again = Turn(user="Not {rejected}.", k=2, rejects=rejects)
    one = held(tmp_path, assistant, ASK, again)
    assert one.held[1].user == "Not " + ", ".join(f'"{title}"' for title in TITLES[:n]) + "."
    assert one.held[1].rejected == {item.id for item in CATALOG.items[:n]}


def test_a_rejection_without_a_list_rejects_nothing(tmp_path):
    assistant = Scripted("What do you like best of all things?", f"1. {TITLES[3]}")
    one = held(tmp_path, assistant, ASK, Turn(user="Not {rejected}.", k=1, rejects="first"))
    assert one.held[1].user == "Not what you suggested."
    assert one.held[1].rejected == frozenset()


def test_tools_are_executed_and_their_results_are_the_next_messages(tmp_path):
    call = calls(("look_up", {"item": TITLES[0]}))
    assistant = Scripted(call, "There are 17.")
    box = tools(stock={CATALOG.items[0].id: 17})
    one = held(tmp_path, assistant, Turn(user="How many?"), toolbox=box)
    asked, result = assistant.seen[1].messages[-2:]
    assert (assistant.seen[1].prompt, assistant.offered) == ("", [2, 2])
    assert asked.tool_calls[0].id == result.tool_call_id == "call00000"
    assert '"stock":17' in result.content
    assert one.held[0].text == "There are 17."
    assert [(c.order, c.name, c.failure) for c in one.held[0].calls] == [(0, "look_up", None)]
    assert len(one.held[0].requests) == 2


def test_endless_calls_stop_at_the_limit_and_the_conversation_continues(tmp_path):
    call = calls(("look_up", {"item": TITLES[0]}))
    assistant = Scripted(*[call] * 4, "Hello.")
    one = held(tmp_path, assistant, Turn(user="How many?"), Turn(user="Hi."), toolbox=tools())
    assert one.held[0].exhausted
    assert one.held[0].response is None
    assert one.held[1].text == "Hello."
    assert [c.order for c in one.held[0].calls] == [0, 1, 2, 3]


def test_calls_that_the_assistant_executed_itself_are_recorded_and_not_sent_back(tmp_path):
    class Own(Scripted):
        def converse(self, requests, *, tools):
            entry = {"name": "prices", "arguments": "{}", "result": "5 euros"}
            return [
                Response(request_id=r.id, status="ok", text=f"1. {TITLES[0]}", trace=(entry,))
                for r in requests
            ]

    one = held(tmp_path, Own(), ASK)
    assert [(c.name, c.result) for c in one.held[0].calls] == [("prices", "5 euros")]
    assert [item.raw for item in one.held[0].items] == TITLES[:1]


def test_a_request_without_an_answer_ends_the_conversation(tmp_path):
    one = held(tmp_path, Scripted(RuntimeError("down")), ASK, Turn(user="Thanks."))
    assert one.failed
    assert one.answered() == []
    assert len(one.held) == 1


@pytest.mark.parametrize("answer", [None, "", {"content": None}])
def test_silence_is_an_answer_without_a_list(tmp_path, answer):
    one = held(tmp_path, Scripted(answer, "Hello."), ASK, Turn(user="Hi."))
    assert one.held[0].response.status == "no_answer"
    assert one.held[1].text == "Hello."


def test_a_turn_of_a_wrong_type_is_an_error_of_its_request(tmp_path):
    assert held(tmp_path, Scripted(3.5), ASK).failed
