"""The Python API does what the command line does, and fetches only data that a target needs."""

from __future__ import annotations

import shutil

import pytest
from evidence_lines import replace_in_evidence
from run_folder import write_run
from small_folder import save
from small_world import write_cache

import auditkit
from auditkit.errors import ConfigurationError, IntegrityError, TargetUnavailable
from auditkit.recommenders.loading.load import load_recommender

POLICY = """version: 1
name: p
rules:
  - {id: invented, metric: hallucination.catalog.invented_rate, max: 0.9}
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    return tmp_path / "cache"


@pytest.fixture
def policy(tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path / "policy.yaml"


def test_audit_gate_and_report_give_the_files_of_the_command_line(cache, policy, tmp_path):
    run = tmp_path / "run"
    result = auditkit.audit(
        "baseline:random",
        out=run,
        only=["hallucination.catalog"],
        options=auditkit.AuditOptions(limit=10),
    )
    assert [outcome.probe for outcome in result.outcomes] == ["hallucination.catalog"]
    decision = auditkit.gate(run, policy)
    assert decision.exit_code == auditkit.gate(result, policy).exit_code
    assert (run / "verdict.json").is_file()
    assert run / "report.html" in auditkit.report(run, out=tmp_path / "page.html")
    assert (tmp_path / "page.html").is_file()
    assert callable(auditkit.report)  # importing the package of the report hides no function


def test_gate_of_a_folder_verifies_its_evidence(policy, tmp_path):
    write_run(tmp_path / "run")
    replace_in_evidence(tmp_path / "run", "ok", "ko")
    with pytest.raises(IntegrityError):
        auditkit.gate(tmp_path / "run", policy)
    with pytest.raises(ConfigurationError, match="not a run folder"):
        auditkit.gate(tmp_path, policy)


def test_a_language_model_is_loaded_without_any_data_set(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr("auditkit.api.open_dataset", None)
    loaded = auditkit.load_recommender(str(save(tmp_path / "model")))
    assert loaded.verified
    assert not (tmp_path / "empty").exists()


def test_a_baseline_is_fitted_on_the_data_that_are_named(cache):
    assert auditkit.load_recommender("baseline:popularity").kind == "baseline"
    with pytest.raises(TargetUnavailable, match="data set"):
        load_recommender("baseline:popularity", dataset=None)


def test_train_gives_a_folder_that_audit_takes(cache, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "version: 1\nname: tiny\nsteps: 2\nmodel: {layers: 1, width: 16, heads: 2}\n"
        "tasks: {recommend: 4}\ndata: {holdout_users: 5}\n"
    )
    folder = auditkit.train(recipe, tmp_path / "model")
    assert auditkit.load_recommender(str(folder)).verified
    shutil.rmtree(folder)
