"""Walks, files, and the answers that the checks read."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from planted_assistants import CleanAssistant, RepeatsRejected
from run_probe import run_probe
from small_world import world

from auditkit.domains.shipped import domain_pack
from auditkit.errors import ConfigurationError, InvalidArgument, TargetError
from auditkit.probes.base import NotAssessable, load_users
from auditkit.probes.conversation.answer_checks import yes_or_no
from auditkit.probes.conversation.walk_scenarios import N_LISTS, Walker

PROBE = "conversation.dialogues"
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "audit-a-conversation.md"
CATALOG = world().catalog
SCENARIOS = """version: 1
scenarios:
  - id: one
    forbidden: ["{forbidden}"]
    turns:
      - {{user: "Recommend 3 movies released after 1950.", k: 3,
         states: [{{predicate: year, operator: ">", value: "1950"}}]}}
      - {{user: 'I do not want {{rejected}}.', k: 3, rejects: first}}
  - id: two
    turns: [{{user: "Recommend 3 movies.", k: 3}}, {{user: "Three others.", k: 3}}]
"""


def scenario_file(tmp_path) -> str:
    path = tmp_path / "scenarios.yaml"
    path.write_text(SCENARIOS.format(forbidden=CATALOG.items[0].id))
    return str(path)


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_has_enough_items_and_a_question_with_the_right_answer(seed):
    user = load_users(world())[seed]
    walker = Walker(CATALOG, domain_pack(CATALOG.domain), k=3)
    walk = walker.walk(user.history, np.random.default_rng(seed))
    assert walk is not None
    assert walk.first != walk.second
    known = [CATALOG.index[item.id] for item in user.history]
    assert walker.n_meeting([walk.first, walk.second], known) >= N_LISTS * 3
    verdict = CATALOG.graph.constraint_verdict(walk.asked, [walk.question])
    assert verdict == ("supported" if walk.is_true else "contradicted")
    assert walk.asked not in {item.id for item in user.history}


def test_walks_differ_by_user_and_repeat_under_a_seed():
    walker = Walker(CATALOG, domain_pack(CATALOG.domain), k=3)
    users = load_users(world())[:6]
    walks = [walker.walk(u.history, np.random.default_rng(1)) for u in users]
    assert walks == [walker.walk(u.history, np.random.default_rng(1)) for u in users]
    assert len(set(walks)) > 3


def test_wordings_of_a_walk_state_the_same_constraints():
    walker = Walker(CATALOG, domain_pack(CATALOG.domain), k=3)
    user = load_users(world())[0]
    walk = walker.walk(user.history, np.random.default_rng(0))
    first, other = (walker.scenario(walk, user.history, wording=w) for w in (0, 1))
    assert [t.states for t in first.turns] == [t.states for t in other.turns]
    assert all(a.user != b.user for a, b in zip(first.turns, other.turns, strict=True))
    assert all(walker.words(walk.first) in one.turns[0].user for one in (first, other))


def test_a_catalog_with_too_few_items_is_not_assessable():
    with pytest.raises(NotAssessable, match="at least 80 items together"):
        run_probe(PROBE, CleanAssistant(), n_users=3, k=20)


def test_a_server_without_chat_is_not_assessable():
    class Completions(CleanAssistant):
        chat = False

    with pytest.raises(NotAssessable, match="no chat turns"):
        run_probe(PROBE, Completions())


def test_a_server_that_refuses_tools_is_not_assessable_after_three_conversations():
    class RefusesTools(CleanAssistant):
        asked = 0

        def converse(self, requests, *, tools):
            self.asked += len(requests)
            raise TargetError("bad_schema")

    assistant = RefusesTools()
    with pytest.raises(NotAssessable, match="may not accept tools"):
        run_probe("conversation.tools", assistant, n_users=9)
    assert assistant.asked == 3


def test_failures_that_do_not_refuse_tools_are_counted_as_missing():
    class Overloaded(CleanAssistant):
        asked = 0

        def converse(self, requests, *, tools):
            self.asked += 1
            if self.asked <= 3:
                raise TargetError("http_5xx")
            return super().converse(requests, tools=tools)

    run = run_probe("conversation.tools", Overloaded(), n_users=9)
    assert run.one("conversation.tools.missing_call_rate").estimate.n_missing > 0
    assert run.counts["target_error"] > 0


@pytest.mark.parametrize("more", [{"n_users": 0}, {"k": 0}, {"k": 21}])
def test_impossible_parameters_are_refused(more):
    with pytest.raises(InvalidArgument, match=r"conversation\.dialogues got"):
        run_probe(PROBE, CleanAssistant(), **more)


def test_scenarios_and_recorded_dialogues_are_groups_of_their_own(tmp_path):
    line = '{"turns": [{"role": "user", "content": "Recommend 3 movies, please."}]}'
    (tmp_path / "d.jsonl").write_text(f"{line}\n{line}\n")
    run = run_probe(
        PROBE, RepeatsRejected(), n_users=0, scenarios_file=scenario_file(tmp_path),
        recorded_file=str(tmp_path / "d.jsonl"),
    )  # fmt: skip
    groups = {(f.metric.removeprefix(f"{PROBE}."), f.group) for f in run.findings}
    assert ("constraint_broken_rate", "source=scenarios&when=later") in groups
    assert ("no_list_rate", "source=scenarios") in groups
    assert not any(metric == "no_list_rate" and "recorded" in g for metric, g in groups)
    assert run.counts["ok"] == 4 + 2


def test_a_scenario_file_with_errors_is_refused_before_the_audit(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("version: 1\nscenarios: []\n")
    with pytest.raises(ConfigurationError, match=r"s\.yaml:2"):
        run_probe(PROBE, CleanAssistant(), scenarios_file=str(path))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Yes.", "yes"),
        ("**No**, it is a drama.", "no"),
        ("Ja, genau.", "yes"),
        ("I do not know.", None),
        ("Nobody noses around.", None),
        ("x" * 70 + " yes", None),
    ],
)
def test_a_yes_or_no_is_read_from_the_first_words(text, read):
    assert yes_or_no(text) == read


def test_the_assistant_of_the_page_holds_conversations_with_tools(tmp_path):
    code = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    (tmp_path / "assistant.py").write_text(code)
    kind = runpy.run_path(str(tmp_path / "assistant.py"))["Assistant"]
    run = run_probe("conversation.tools", kind(), n_users=6)
    assert run.one("conversation.tools.ignored_result_rate").estimate.value == 0
    assert run.counts["target_error"] == 0
