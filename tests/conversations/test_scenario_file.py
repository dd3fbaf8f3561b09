"""Scenarios are read with all errors at once, and must fit the catalog."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_world import world

from auditkit.conversations.recorded import read_recorded, with_known_items
from auditkit.conversations.scenario_file import read_scenarios, require_known
from auditkit.errors import ConfigurationError

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "audit-a-conversation.md"
CATALOG = world().catalog


def block(language: str, place: int = 0) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return found[place]


def written(tmp_path, text, name="s.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_scenarios_of_the_page_are_read(tmp_path):
    (one,) = read_scenarios(written(tmp_path, block("yaml")))
    require_known([one], CATALOG)
    assert (one.turns[0].k, one.turns[1].rejects, one.turns[2].answer) == (3, "first", "yes")
    assert one.turns[0].states[0].value == "Comedy"


def test_all_errors_are_listed_with_their_lines(tmp_path):
    text = (
        "version: 1\nscenarios:\n  - id: a\n    turns: [{user: x, rejcts: first}]\n"
        "  - id: a\n    turns: []\n"
    )
    with pytest.raises(ConfigurationError) as raised:
        read_scenarios(written(tmp_path, text))
    message = str(raised.value)
    assert "unknown key. Did you mean 'rejects'?" in message
    assert "s.yaml:5: scenarios[1].id: the id 'a' occurs twice" in message
    assert "s.yaml:6" in message


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("forbidden: [nine-hundred]", "'nine-hundred', which is not in the catalog"),
        (
            "constraints: [{predicate: genres, operator: '=', value: Comedy}]",
            "Did you mean 'genre'?",
        ),
    ],
)
def test_what_the_catalog_lacks_is_named(tmp_path, more, words):
    text = f"version: 1\nscenarios:\n  - id: a\n    {more}\n    turns: [{{user: x}}]\n"
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        require_known(read_scenarios(written(tmp_path, text)), CATALOG)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["secrets: {system: ABCDEFGHIJKLMN}", "turns: [{user: x}]"], "be part of `system`"),
        (
            ["system: Code AB12.", "secrets: {system: AB12}", "turns: [{user: x}]"],
            "at least 12 letters",
        ),
        (["turns: [{user: x, demands: system}]"], "which is not one of the `secrets`"),
    ],
)
def test_a_secret_that_cannot_be_disclosed_is_refused(tmp_path, lines, words):
    text = "\n    ".join(["version: 1\nscenarios:\n  - id: a", *lines])
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        read_scenarios(written(tmp_path, text))


# --- recorded dialogues

REDIAL = (
    '{"conversationId": "7", "initiatorWorkerId": 1, "respondentWorkerId": 2, '
    '"movieMentions": {"5": "Silver Harbor (1950)"}, "messages": ['
    '{"senderWorkerId": 1, "text": "Hi!"}, {"senderWorkerId": 1, "text": "I like @5"}, '
    '{"senderWorkerId": 2, "text": "Try @6"}, {"senderWorkerId": 1, "text": "Seen it."}]}'
)
OPENAI = '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Hello"}]}'
SHAREGPT = '{"conversations": [{"from": "human", "value": "Hey"}, {"from": "gpt", "value": "1"}]}'


def test_public_forms_are_read(tmp_path):
    path = written(tmp_path, "\n".join([REDIAL, OPENAI, SHAREGPT]), "d.jsonl")
    redial, chat, shared = read_recorded(path)
    assert redial.turns == (("Hi!\nI like Silver Harbor (1950)", ()), ("Seen it.", ()))
    assert (redial.id, chat.id) == ("7", "line-2")
    assert chat.turns == (("Hello", ()),)
    assert shared.turns == (("Hey", ()),)


def test_rejected_items_of_the_own_form_are_forbidden_from_their_turn_on(tmp_path):
    title = CATALOG.items[0].display_title
    line = block("json").replace("Fargo (1996)", title)
    (one,) = with_known_items(read_recorded(written(tmp_path, line, "d.jsonl")), CATALOG, k=5)
    assert [turn.forbids for turn in one.turns] == [(), (CATALOG.items[0].id,)]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "{}", '{"turns": [{"role": "user"}]}', '{"turns": []}', '{"messages": 3}',
     '{"turns": [{"role": "user", "content": "x", "rejected": "y"}]}'],
)  # fmt: skip
def test_a_line_of_no_known_form_is_named(tmp_path, line):
    with pytest.raises(ConfigurationError, match=r"d\.jsonl:1 .*\. (Write|Remove) "):
        read_recorded(written(tmp_path, line + "\n", "d.jsonl"))


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="contains no dialogue"):
        read_recorded(written(tmp_path, "\n", "d.jsonl"))
