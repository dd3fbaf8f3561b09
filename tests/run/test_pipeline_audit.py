"""Whole audits of a pipeline with a served model: evidence, resume, recomputation and cost."""

from __future__ import annotations

import json

import pytest
from planted_recommenders import chance
from ranking_server import candidates_in, ranking, write_pipeline
from small_world import world, write_cache

from auditkit.cli import main
from auditkit.evidence.manifest import verify_run
from auditkit.evidence.run_log import read_log
from auditkit.recommenders.execution.stop_rule import Budget, StopRule
from auditkit.recommenders.loading.target_card import Price
from auditkit.run.dry_run import plan_audit
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe, read_recipe
from auditkit.run.recompute import recompute_run
from auditkit.run.runner import run_audit
from auditkit.security.network_guard import NetworkForbidden
from auditkit.shipped_recipes import find_recipe
from auditkit.types import AuditResult

PROBES = {
    "utility.ranking": {},
    "utility.stages": {},
    "hallucination.catalog": {"n_users": 30},
    "robustness.prompt.typo": {"n_users": 8},
}
INVENTED = [f"Zzyzx Number {n} (1999)" for n in range(3)]


@pytest.fixture(autouse=True)
def small_world(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.chdir(tmp_path)


def recipe(probes=PROBES):
    return AuditRecipe(version=1, name="small", probes=probes)


def choose(candidates):
    """Seven of the candidates in an order of its own, and three titles that do not exist."""
    return [*sorted(candidates, key=lambda title: chance(title))[:7], *INVENTED]


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A run folder and what it was made of; its server is gone."""
    folder = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as patch, ranking(choose) as (url, prompts):
        patch.setenv("AUDITKIT_CACHE", str(write_cache(folder / "cache")))
        target = write_pipeline(folder / "shop.yaml", f"openai:{url}#m")
        result = run_audit(target, recipe(), folder / "run")
    return folder / "run", target, result, tuple(prompts)


def one(result, metric, stage):
    (found,) = [f for f in result.findings if (f.metric, f.group) == (metric, f"stage={stage}")]
    return found


def test_every_record_has_inputs_and_outputs_of_both_stages(audited):
    run, _, result, prompts = audited
    bodies, _ = read_log(run, result.run_key)
    assert len(bodies) == sum(outcome.planned for outcome in result.outcomes)
    for body in bodies:
        retrieval, last = body["trace"]
        assert [item["rank"] for item in retrieval["items"]] == [*range(1, 21)] or (
            body["request"]["candidates"]
        )
        assert last["prompt"] in prompts
        if not body["probe"].startswith("robustness"):  # a typing error may touch the list
            assert candidates_in(last["prompt"]) == [item["raw"] for item in retrieval["items"]]
        assert body["text"].startswith("1. ")
        assert [item["raw"] for item in body["items"]][-3:] == INVENTED


def test_findings_name_the_stage_at_fault(audited):
    _, _, result, _ = audited
    invented = one(result, "utility.stages.out_of_catalog_rate", "ranking")
    assert invented.estimate.value == pytest.approx(0.3)
    assert invented.parameters["n_added"] == 3 * invented.estimate.n
    assert one(result, "utility.stages.out_of_catalog_rate", "retrieval").estimate.value == 0
    recall = one(result, "utility.stages.candidate_recall", "retrieval").estimate
    assert 0.2 < recall.low < recall.value < recall.high < 1
    lost = [one(result, "utility.stages.lost_rate", s).estimate for s in ("retrieval", "ranking")]
    (hits,) = [
        f for f in result.findings if (f.metric, f.group) == ("utility.ranking.hr@10", "all")
    ]
    assert lost[0].value + lost[1].value + hits.estimate.value == pytest.approx(1)


def test_both_utility_probes_send_a_request_once(audited):
    _, _, result, prompts = audited
    outcomes = {outcome.probe: outcome for outcome in result.outcomes}
    assert all(outcome.status == "ran" for outcome in outcomes.values())
    assert outcomes["utility.ranking"].planned == outcomes["utility.stages"].planned == 80
    planned = sum(outcome.planned for outcome in outcomes.values())
    # 10 of the 30 requests of the catalog probe are the neutral ones of the utility probes.
    assert len(prompts) == len(set(prompts)) or len(prompts) < planned
    assert len(prompts) <= planned - 80


def test_an_audit_is_derived_again_without_its_server(audited):
    run, *_ = audited
    verify_run(run)
    recomputed = recompute_run(run)
    assert recomputed.differences == ()
    assert recomputed.n_findings > 30


def test_an_audit_that_was_stopped_resumes_with_the_same_result(audited, tmp_path):
    _, _, result, prompts = audited
    with ranking(choose) as (url, asked):
        here = write_pipeline(tmp_path / "shop.yaml", f"openai:{url}#m")
        stopped = AuditOptions(stop=StopRule(Budget(calls=50)))
        assert run_audit(here, recipe(), tmp_path / "run", options=stopped).stopped == "budget"
        assert len(asked) == 50
        whole = run_audit(here, recipe(), tmp_path / "run")
    assert len(asked) == len(prompts)
    assert whole.findings == result.findings


def test_a_plan_counts_calls_and_tokens_with_the_candidates(audited, tmp_path):
    _, target, _, prompts = audited
    plan = plan_audit(target, recipe(), price=Price(input=1.0, output=2.0))
    assert plan.calls == len(prompts)
    sent = sum(map(len, prompts)) / 4
    assert plan.spending.input_tokens == pytest.approx(sent, rel=0.02)
    assert plan.spending.output_tokens == 512 * plan.calls
    assert plan.spending.money > 0
    few = plan_audit(write_pipeline(tmp_path / "few.yaml", "openai:http://127.0.0.1:9/v1#m", n=2),
                     recipe())  # fmt: skip
    assert few.spending.input_tokens < plan.spending.input_tokens - 15 * plan.calls


def test_timed_calls_run_both_stages(tmp_path):
    with ranking(choose) as (url, prompts):
        target = write_pipeline(tmp_path / "shop.yaml", f"openai:{url}#m")
        plan = plan_audit(target, recipe({"utility.stages": {}}), n_timed=3)
    assert (len(prompts), plan.spending.timed) == (3, 3)
    assert plan.spending.minutes > 0


def test_other_targets_skip_the_probe_and_say_why(tmp_path):
    result = run_audit("baseline:popularity", recipe({"utility.stages": {}}), tmp_path / "run")
    assert result.outcomes[0].reason == "needs Staged"


def test_a_failing_server_is_retried_and_named(tmp_path, monkeypatch):
    from recorded_server import answering

    failed = []

    def respond(path, body):
        prompt = body.get("messages", [{}])[-1].get("content", "")
        if path.endswith("/chat/completions") and len(failed) < 1 and "Choose" in prompt:
            failed.append(prompt)
            return 500, {"error": {"message": "busy"}}
        if not path.endswith("/chat/completions"):
            return 404, {"error": {"message": "no such route"}}
        message = {"role": "assistant", "content": "1. Golden Harbor (1971)"}
        return {"choices": [{"message": message, "finish_reason": "stop"}]}

    with answering(respond) as (url, seen):
        target = write_pipeline(tmp_path / "shop.yaml", f"openai:{url}#m")
        result = run_audit(target, recipe({"utility.stages": {"n_users": 5}}), tmp_path / "run")
    assert result.outcomes[0].counts["ok"] == 5
    assert sum("Choose" in str(body) for _, body in seen) == 6


def test_the_report_shows_where_held_out_items_are_lost(audited):
    from auditkit.reporting import write_report

    run, *_ = audited
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Stages of the pipeline" in page
    assert "20 candidates of retrieval" in page


def test_the_shipped_recipe_of_pipelines_is_read():
    shipped = read_recipe(find_recipe("pipeline", kind="audit"))
    assert {"utility.ranking", "utility.stages", "hallucination.catalog"} <= shipped.probes.keys()


def test_the_command_line_audits_a_pipeline(tmp_path, capsys):
    (tmp_path / "r.yaml").write_text(
        "version: 1\nname: r\nprobes:\n  utility.stages: {n_users: 30}\n"
    )
    with ranking(choose) as (url, _):
        target = write_pipeline(tmp_path / "shop.yaml", f"openai:{url}#m")
        with pytest.raises(SystemExit) as stopped:
            main(["audit", target, "--recipe", "r.yaml", "--out", "run", "--json", "--quiet"])
    result = json.loads(capsys.readouterr().out)
    assert not stopped.value.code
    assert result["target"]["name"] == "pipeline:shop.yaml"
    assert AuditResult.read(tmp_path / "run").findings
    assert len(world().catalog.items) == 60


def test_code_of_a_stage_has_a_deadline(tmp_path):
    (tmp_path / "sleepy.py").write_text(
        "import time\n\n\ndef rank(requests):\n    time.sleep(3)\n    return [[]] * len(requests)\n"
    )
    target = write_pipeline(tmp_path / "shop.yaml", "python:sleepy.py:rank")
    options = AuditOptions(allow_code=True, call_seconds=0.2, stop=StopRule(max_error_rate=1))
    result = run_audit(
        target, recipe({"utility.stages": {"n_users": 2}}), tmp_path / "run", options=options
    )
    assert result.outcomes[0].counts["timeout"] == 2


def test_code_of_a_stage_may_not_reach_another_host_than_the_endpoint(tmp_path):
    (tmp_path / "curious.py").write_text(
        "import socket\n\n\ndef find(requests):\n"
        "    socket.create_connection(('192.0.2.1', 80), timeout=1)\n"
    )
    with ranking(choose) as (url, prompts):
        target = write_pipeline(
            tmp_path / "shop.yaml", f"openai:{url}#m", first="python:curious.py:find"
        )
        with pytest.raises(
            NetworkForbidden, match=r"curious\.py:5 tried to connect to 192\.0\.2\.1"
        ):
            run_audit(
                target,
                recipe({"utility.stages": {"n_users": 5}}),
                tmp_path / "run",
                options=AuditOptions(allow_code=True),
            )
    assert prompts == []
