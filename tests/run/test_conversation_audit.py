"""Whole audits of assistants: a served one, kills and resume, recomputation, plan and report."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from assistant_server import assistant
from killed_audit import start
from planted_assistants import CleanAssistant, IgnoresResult
from small_world import write_cache

from auditkit.evidence.evidence_file import EVIDENCE
from auditkit.evidence.manifest import read_manifest, verify_run
from auditkit.evidence.run_log import RunLog, read_log
from auditkit.recommenders.execution.stop_rule import Budget, StopRule
from auditkit.run.dry_run import plan_audit
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe, read_recipe
from auditkit.run.recompute import recompute_run
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe

SUPPORT = Path(__file__).parents[1] / "support"
PYTHON = f"python:{SUPPORT / 'planted_assistants.py'}:RecordedAssistant"
PROBES = {"conversation.dialogues": {"n_users": 3}, "conversation.tools": {"n_users": 3}}
CODE = AuditOptions(allow_code=True)


def recipe(probes=PROBES):
    return AuditRecipe(version=1, name="small", batch_size=4, probes=probes)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.setenv("ASKED_LOG", str(tmp_path / "asked.txt"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A run folder of a served assistant that ignores results, its target and what it was asked."""
    home = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch, assistant(IgnoresResult()) as (url, seen):
        patch.setenv("AUDITKIT_CACHE", str(write_cache(home / "cache")))
        target = f"openai:{url}#m"
        result = run_audit(target, recipe(), home / "run")
    return home / "run", target, result, seen


def asked(folder) -> list[str]:
    path = folder / "asked.txt"
    return path.read_text().split() if path.exists() else []


def finished(run) -> set[str]:
    """Ids of the records that a next start will find."""
    if not (run / "manifest.json").exists():
        return set()
    log = RunLog(run, read_manifest(run)["run_key"])
    log.close()
    return {body["request_id"] for body in log.records}


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 7))]
)
def test_a_run_killed_at_random_points_resumes_to_the_same_bytes(folder, seed):
    result = run_audit(PYTHON, recipe(), folder / "whole", options=CODE)
    assert len(asked(folder)) == len(set(asked(folder)))
    rng, run = random.Random(seed), folder / "run"
    environment = {name: os.environ[name] for name in ("AUDITKIT_CACHE", "ASKED_LOG")}
    for _ in range(3):
        before = finished(run)
        (folder / "asked.txt").unlink(missing_ok=True)
        process = start(recipe().model_dump_json(), run, {**environment, "PAUSE": "0.03"}, PYTHON)
        deadline = time.monotonic() + 120
        while not asked(folder) and process.is_alive():
            assert time.monotonic() < deadline, "nothing happened in time"
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.4))
        process.kill()
        process.join()
        assert not before & set(asked(folder))
    before = finished(run)
    assert before
    (folder / "asked.txt").unlink(missing_ok=True)
    resumed = run_audit(PYTHON, recipe(), run, options=CODE)
    assert not before & set(asked(folder))
    assert resumed.findings == result.findings
    assert (run / EVIDENCE).read_bytes() == (folder / "whole" / EVIDENCE).read_bytes()
    verify_run(run)


def test_a_turn_is_sent_with_the_answers_to_earlier_turns_and_the_results_of_tools(served):
    run, _, result, seen = served
    bodies = [body for _, body in seen if "tools" in body]
    after_call = [body for body in bodies if body["messages"][-1]["role"] == "tool"]
    assert after_call
    for body in after_call:
        call, answered = body["messages"][-2:]
        assert call["role"] == "assistant"
        assert call["tool_calls"][0]["id"] == answered["tool_call_id"]
    records, _ = read_log(run, result.run_key)
    assert {body["request"]["op"] for body in records} == {"converse"}
    assert len({body["request_id"] for body in records}) == len(records)


def test_a_served_assistant_is_audited_and_its_fault_is_named(served):
    _, _, result, _ = served
    assert [outcome.status for outcome in result.outcomes] == ["ran", "ran"]
    found = {(f.metric, f.group): f for f in result.findings}
    ignored = found["conversation.tools.ignored_result_rate", "all"]
    assert ignored.estimate.value == pytest.approx(0.5)
    assert "the tool returned" in ignored.evidence[0].what


def test_an_audit_is_derived_again_without_its_server(served):
    run, *_ = served
    verify_run(run)
    assert recompute_run(run).differences == ()


def test_a_budget_stops_between_turns_and_the_rest_is_asked_later(served, tmp_path):
    _, _, result, before = served
    with assistant(IgnoresResult()) as (url, seen):
        target = f"openai:{url}#m"
        stopped = AuditOptions(stop=StopRule(Budget(calls=30)))
        assert run_audit(target, recipe(), tmp_path / "run", options=stopped).stopped == "budget"
        whole = run_audit(target, recipe(), tmp_path / "run")
        turns = [body["messages"] for _, body in seen if len(body.get("messages", ())) > 1]
    assert len(turns) == sum(outcome.planned for outcome in whole.outcomes)
    assert len(turns) == sum(len(body.get("messages", ())) > 1 for _, body in before)
    assert [f.metric for f in whole.findings] == [f.metric for f in result.findings]


def test_the_report_shows_turns_calls_and_what_is_wrong(served):
    from auditkit.reporting import write_report

    run, *_ = served
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Does the assistant respect what the user said" in page
    assert "calls look_up" in page
    assert "What is wrong here:" in page
    assert "Turn 1 \u00b7 user" in page


def test_a_plan_counts_first_turns_and_states_an_upper_bound(folder):
    plan = plan_audit(PYTHON, recipe(), options=CODE)
    counts = {one.probe: (one.requests, one.most) for one in plan.probes}
    assert counts["conversation.dialogues"] == (12, 51)
    assert counts["conversation.tools"][1] == 3 * 6 * 4
    assert asked(folder) == []


def test_recommenders_without_turns_are_skipped_with_the_reason(tmp_path):
    result = run_audit("baseline:popularity", recipe(), tmp_path / "run")
    assert {outcome.reason for outcome in result.outcomes} == {"needs Converses"}


def test_a_server_that_refuses_tools_is_named_in_the_outcome(tmp_path):
    with assistant(CleanAssistant(), refuses_tools=True) as (url, _):
        options = AuditOptions(stop=StopRule(max_error_rate=1.0))
        only = recipe({"conversation.tools": {"n_users": 5}})
        result = run_audit(f"openai:{url}#m", only, tmp_path / "run", options=options)
    (outcome,) = result.outcomes
    assert (outcome.status, result.findings) == ("skipped", ())
    assert "the server may not accept tools" in outcome.reason
    # Three conversations were tried, one after the other.
    assert outcome.counts["target_error"] == outcome.planned == 3


def test_the_shipped_recipe_is_read():
    shipped = read_recipe(find_recipe("conversation", kind="audit"))
    assert [*shipped.probes] == ["conversation.dialogues", "conversation.tools"]
