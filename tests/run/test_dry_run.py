"""A dry run asks nothing, counts what would be asked, and its plan can be answered elsewhere."""

from __future__ import annotations

import json

import pytest
from planted_recommenders import Clean
from small_world import world, write_cache

from auditkit.evidence.run_log import read_log
from auditkit.recommenders.execution.call_collector import CallCollector
from auditkit.recommenders.execution.target import Target
from auditkit.registry import probe_spec
from auditkit.run.dry_run import plan_audit, scoring_cost
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit
from auditkit.types import Request

LISTS = {
    "utility.ranking": {},
    "hallucination.catalog": {"n_users": 40},
    "robustness.prompt.case": {"n_users": 35},
    "fairness.counterfactual": {"n_probes": 5},
}


@pytest.fixture(autouse=True)
def small_world(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.setenv("ASKED_LOG", str(tmp_path / "asked.txt"))


def recipe(probes=LISTS, **fields):
    return AuditRecipe(**{"version": 1, "name": "small", "probes": probes, **fields})


def target_for_plan(recommender, collected):
    return Target(
        recommender, catalog=world().catalog, log=collected, seed=0, fingerprint="fingerprint"
    )


def planned(target="baseline:random", probes=LISTS, **options):
    return plan_audit(target, recipe(probes), options=AuditOptions(**options))


def by_probe(plan):
    return {probe.probe: probe for probe in plan.probes}


def test_dry_run_asks_nothing_and_leaves_no_folder(tmp_path):
    plan = planned("python:planted_recommenders:Recorded", allow_code=True)
    assert plan.calls > 0
    assert not (tmp_path / "asked.txt").exists()


def test_plan_counts_the_samples_of_a_confidence_by_agreement():
    probe = {"n_users": 10, "variants": ["free", "agreement", "vote"], "n_samples": 5}
    plan = planned("python:planted_recommenders:Clean", {"hallucination.mitigation": probe},
                   allow_code=True)  # fmt: skip
    assert plan.calls == 10 * (1 + 5)


def test_plan_counts_what_the_audit_then_asks(tmp_path):
    plan = planned("python:planted_recommenders:Recorded", allow_code=True)
    result = run_audit(
        "python:planted_recommenders:Recorded",
        recipe(),
        tmp_path / "run",
        options=AuditOptions(allow_code=True),
    )
    assert {p.probe: p.requests for p in plan.probes} == {
        o.probe: o.planned for o in result.outcomes
    }
    assert plan.calls == len((tmp_path / "asked.txt").read_text().split())
    assert plan.requests == sum(o.planned for o in result.outcomes)


def test_probes_share_equal_requests():
    plan = planned(probes={"utility.ranking": {}, "hallucination.catalog": {"n_users": 40}})
    assert plan.requests == 120
    assert plan.calls == 107  # 13 of 40 lists are free, the others on terms of their own


def test_probe_that_would_not_run_says_why():
    assert by_probe(planned(probes={"privacy.membership": {}}))["privacy.membership"].skipped == (
        "needs Scores"
    )


def test_probe_whose_requests_depend_on_answers_says_so():
    plan = planned(
        "python:planted_recommenders:Clean",
        {"explain.attribution": {}, "hallucination.claims": {}, "utility.ranking": {}},
        allow_code=True,
    )
    assert [probe.adaptive for probe in plan.probes] == [True, False, False]


def test_adaptive_search_states_the_most_requests_that_its_budget_allows():
    searches = {"robustness.prompt.search": {"n_users": 30, "budget": 7}}
    plan = by_probe(planned("python:planted_recommenders:Clean", searches, allow_code=True))
    found = plan["robustness.prompt.search"]
    assert (found.requests, found.adaptive, found.most) == (60, True, 30 * (7 + 2 + 3 + 3))
    few = by_probe(planned("python:planted_recommenders:Clean", searches, allow_code=True, limit=5))
    assert few["robustness.prompt.search"].most == 5 * 15
    assert by_probe(planned())["utility.ranking"].most is None


def test_limit_scales_the_plan():
    plan = by_probe(planned(limit=10))
    assert plan["utility.ranking"].requests == 10
    assert plan["robustness.prompt.case"].requests < 35


class Estimating(Clean):
    def cost(self, prompts, continuations):
        return {"tokens_asked": 10 * len(prompts), "tokens": sum(map(len, continuations))}


def test_recommender_that_knows_its_cost_is_asked_for_it_probe_by_probe():
    collected = CallCollector()
    target = target_for_plan(Estimating(), collected)
    for probe_id in ("privacy.membership", "explain.attribution"):
        asked = [Request(prompt=f"{probe_id} {i}") for i in range(3)]
        target.for_probe(probe_spec(probe_id)).score(asked, [["a", "b"]] * 3)
    assert scoring_cost(Estimating(), collected.calls()) == {"tokens_asked": 60, "tokens": 12}
    assert scoring_cost(Clean(), collected.calls()) == {}


def test_line_of_a_plan_holds_everything_that_is_asked(tmp_path):
    planned().write(tmp_path / "plan.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "plan.jsonl").read_text().splitlines()]
    asked = {
        "id", "probe", "operation", "prompt", "messages", "k", "history", "candidates",
        "attributes", "temperature", "seed", "user_id", "instruction",
    }  # fmt: skip
    assert all(set(row) - {"who"} == asked for row in rows)
    assert any(row.get("who") == "a woman" for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)


def test_plan_answered_elsewhere_is_audited_by_replay(tmp_path):
    planned().write(tmp_path / "plan.jsonl")
    titles = [item.display_title for item in world().catalog.items]
    with (tmp_path / "answers.jsonl").open("w") as stream:
        for line in (tmp_path / "plan.jsonl").read_text().splitlines():
            row = json.loads(line)
            seen = {item["title"] for item in row["history"]}
            answer = [title for title in titles if title not in seen][: row["k"]]
            stream.write(json.dumps({"id": row["id"], "items": answer}) + "\n")
    result = run_audit(f"replay:{tmp_path / 'answers.jsonl'}", recipe(), tmp_path / "run")
    for outcome in result.outcomes:
        assert outcome.status == "ran"
        assert outcome.counts["ok"] == outcome.planned > 0
    asked, _ = read_log(tmp_path / "run", result.run_key)
    assert sum("cached_from" not in body for body in asked) == planned().calls


def test_planned_request_without_an_answer_was_not_run(tmp_path):
    (tmp_path / "answers.jsonl").write_text("")
    result = run_audit(f"replay:{tmp_path / 'answers.jsonl'}", recipe(), tmp_path / "run")
    assert all(outcome.counts["not_run"] == outcome.planned for outcome in result.outcomes)


def test_sample_is_marked_and_a_full_run_goes_on_from_it(tmp_path):
    target, run = "python:planted_recommenders:Recorded", tmp_path / "run"
    sample = run_audit(target, recipe(), run, options=AuditOptions(allow_code=True, limit=10))
    assert any(note.startswith("sampled: ") for note in sample.notes)
    first = set((tmp_path / "asked.txt").read_text().split())
    (tmp_path / "asked.txt").unlink()
    full = run_audit(target, recipe(), run, options=AuditOptions(allow_code=True))
    assert not first & set((tmp_path / "asked.txt").read_text().split())
    whole = run_audit(target, recipe(), tmp_path / "whole", options=AuditOptions(allow_code=True))
    assert full == whole
