"""Measurements derived again from the evidence: equal after an audit, different after an edit."""

from __future__ import annotations

import json
import re

import pytest
from small_world import write_cache

from auditkit.cli import main
from auditkit.errors import ConfigurationError, IntegrityError
from auditkit.evidence.evidence_file import EVIDENCE
from auditkit.evidence.manifest import MANIFEST, read_manifest, seal_manifest, verify_run
from auditkit.evidence.run_log import RunLog, SealedLog
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.run.recompute import recompute_run
from auditkit.run.runner import run_audit

PROBES = {
    "hallucination.catalog": {"n_users": 40},
    "hallucination.claims": {},
    "utility.ranking": {},
    "fairness.exposure": {},
}
CODE = AuditOptions(allow_code=True)


@pytest.fixture(autouse=True)
def small_world(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.setenv("ASKED_LOG", str(tmp_path / "asked.txt"))
    monkeypatch.chdir(tmp_path)


def _audit(tmp_path, target="baseline:popularity", **options):
    run = tmp_path / "run"
    recipe = AuditRecipe(version=1, name="small", batch_size=8, probes=PROBES)
    run_audit(target, recipe, run, options=AuditOptions(allow_code=True, **options))
    return run


def _launder(run, edit):
    """Edit result.json and seal it, as somebody who also rewrites the manifest does."""
    result = json.loads((run / "result.json").read_text())
    edit(result)
    (run / "result.json").write_text(json.dumps(result))
    seal_manifest(run, written=["result.json"])
    verify_run(run)


@pytest.mark.parametrize(
    "target", ["baseline:popularity", "python:planted_recommenders:InventsTitles"]
)
def test_an_audit_is_derived_again_from_its_evidence(tmp_path, target):
    run = _audit(tmp_path, target)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    recomputed = recompute_run(run, options=CODE)
    assert recomputed.differences == ()
    assert recomputed.n_findings == len(json.loads(before["result.json"])["findings"]) > 5
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_the_recommender_is_not_asked_again(tmp_path):
    run = _audit(tmp_path, "python:planted_recommenders:Recorded")
    asked = (tmp_path / "asked.txt").read_text()
    assert asked
    assert recompute_run(run, options=CODE).differences == ()
    assert (tmp_path / "asked.txt").read_text() == asked


def _improve(result):
    finding = next(f for f in result["findings"] if f["metric"].endswith("invented_rate"))
    finding["estimate"] |= {"value": 0.0, "low": 0.0, "high": 0.01}


def _fewer_failures(result):
    result["outcomes"][0]["counts"]["ok"] += 1


def _drop(result):
    result["findings"] = [f for f in result["findings"] if "invented" not in f["metric"]]


def _skip(result):
    result["outcomes"][0] |= {"status": "skipped", "counts": {}, "planned": 0}


def _verified(result):
    result["target"]["verified"] = not result["target"]["verified"]


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (_improve, r"invented_rate \[all\]\.estimate\.high: result\.json has 0\.01"),
        (_fewer_failures, "counts.ok"),
        (_drop, "invented_rate .* is only in the evidence"),
        (_skip, "hallucination.catalog.status"),
        (_verified, "target.verified"),
    ],
)
def test_an_edited_and_resealed_result_is_named(tmp_path, edit, named):
    run = _audit(tmp_path, "python:planted_recommenders:InventsTitles")
    _launder(run, edit)
    differences = recompute_run(run, options=CODE).differences
    assert any(re.search(named, difference) for difference in differences)


def test_an_edited_recipe_is_an_integrity_error(tmp_path):
    run = _audit(tmp_path)
    _launder(run, lambda result: result["recipe"]["probes"].pop("hallucination.catalog"))
    with pytest.raises(IntegrityError, match="the recipe"):
        recompute_run(run)


def test_another_recommender_or_an_unknown_one_is_refused(tmp_path):
    run = _audit(tmp_path)
    with pytest.raises(ConfigurationError, match="differ from those of the audit: target"):
        recompute_run(run, target="baseline:random")
    manifest = read_manifest(run)
    del manifest["volatile"]["audited"]
    (run / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ConfigurationError, match="--target"):
        recompute_run(run)
    assert recompute_run(run, target="baseline:popularity").differences == ()


def test_a_sample_and_a_run_that_stopped_early_agree(tmp_path):
    from auditkit.recommenders.execution.stop_rule import Budget, StopRule

    run = _audit(tmp_path, limit=12, stop=StopRule(Budget(calls=20)))
    assert SealedLog(run, read_manifest(run)["run_key"]).records
    assert recompute_run(run).differences == ()


def test_the_command_exits_with_13_and_names_the_number(tmp_path, capsys):
    run = _audit(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["verify", str(run), "--recompute"])
    assert not stopped.value.code
    assert "findings agree" in capsys.readouterr().out
    _launder(run, _drop)
    with pytest.raises(SystemExit) as stopped:
        main(["verify", str(run), "--recompute"])
    assert stopped.value.code == 13
    assert "invented_rate" in capsys.readouterr().err


def test_resuming_derives_an_edited_result_again(tmp_path):
    run = _audit(tmp_path)
    honest = (run / "result.json").read_bytes()
    (run / "result.json").write_bytes(honest.replace(b'"value": 1', b'"value": 0'))
    _audit(tmp_path)
    assert (run / "result.json").read_bytes() == honest
    verify_run(run)


def test_resuming_refuses_evidence_that_was_rewritten_and_outputs_that_were_edited(tmp_path):
    run = _audit(tmp_path)
    path, key = run / EVIDENCE, read_manifest(run)["run_key"]
    whole = path.read_bytes()
    bodies = [dict(body) for body in SealedLog(run, key).records]
    bodies[3]["items"] = []
    path.unlink()
    forged = RunLog(run, key)
    forged.append(bodies)  # a valid chain with other answers
    forged.close()
    with pytest.raises(IntegrityError, match="do not have the root"):
        _audit(tmp_path)
    path.write_bytes(whole)
    (run / "verdict.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"verdict\.json"):
        _audit(tmp_path)
