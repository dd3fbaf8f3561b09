"""Whole audits on the small world: crashes recorded, other runs refused, kills resumed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from evidence_lines import replace_in_evidence
from small_world import write_cache

import auditkit
from auditkit.errors import AuditkitError, ConfigurationError, IntegrityError
from auditkit.evidence.evidence_file import EVIDENCE
from auditkit.evidence.manifest import read_manifest, verify_run
from auditkit.evidence.run_log import lock_run, read_log
from auditkit.gating import gate_run
from auditkit.policy.schema import Policy
from auditkit.reporting import write_report
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit
from auditkit.types import AuditResult

ATTRIBUTES = Path(auditkit.__file__).parent / "recommenders/prompting/templates/attributes.yaml"
LISTS = {"hallucination.catalog": {"n_users": 40}, "robustness.prompt.case": {"n_users": 35}}
POLICY = """version: 1
name: strict
require: {probes: [hallucination.claims, hallucination.catalog]}
rules:
  - {id: invented, metric: hallucination.catalog.invented_rate, max: 0.5}
"""


@pytest.fixture(autouse=True)
def small_world(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.setenv("ASKED_LOG", str(tmp_path / "asked.txt"))


def recipe(probes=LISTS, **fields):
    return AuditRecipe(
        **{"version": 1, "name": "small", "batch_size": 8, "probes": probes, **fields}
    )


def audit(name, out, probes=LISTS, *, recipe_fields=None, **options) -> AuditResult:
    return run_audit(
        f"python:planted_recommenders:{name}", recipe(probes, **(recipe_fields or {})), out,
        options=AuditOptions(allow_code=True, **options),
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of Clean and one of Recorded that nothing disturbed; tests only read them."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITKIT_CACHE", str(write_cache(folder / "cache")))
        patch.setenv("ASKED_LOG", str(folder / "asked.txt"))
        for name in ("Clean", "Recorded"):
            audit(name, folder / name)
    return folder


def outcome(result, probe):
    return next(o for o in result.outcomes if o.probe == probe)


def asked(tmp_path):
    path = tmp_path / "asked.txt"
    return path.read_text().split() if path.exists() else []


# --- one probe's trouble is not the others' -----------------------------------------------------

CRASHING = {"hallucination.claims": {}, **LISTS}


def test_crash_in_a_probe_is_an_outcome_and_the_others_run_on(tmp_path):
    result = audit("CannotDescribe", tmp_path / "run", CRASHING)
    crashed = outcome(result, "hallucination.claims")
    assert crashed.status == "error"
    assert crashed.reason == "RuntimeError: describe_prompt <b>is broken</b>"
    assert "in describe_prompt" in crashed.traceback
    assert [o.status for o in result.outcomes] == ["error", "ran", "ran"]
    assert {f.probe for f in result.findings} == set(LISTS)


def test_gate_cannot_tell_after_a_crash_and_the_report_shows_it(tmp_path):
    run = tmp_path / "run"
    audit("CannotDescribe", run, CRASHING)
    (tmp_path / "policy.yaml").write_text(POLICY)
    assert gate_run(run, Policy.read(tmp_path / "policy.yaml")).exit_code == 11
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "describe_prompt &lt;b&gt;is broken&lt;/b&gt;" in page
    assert "<b>is broken</b>" not in page


def test_missing_capability_skips_the_probe_with_its_reason(tmp_path):
    result = audit("OnlyRecommends", tmp_path / "run", {"hallucination.claims": {}, **LISTS})
    skipped = outcome(result, "hallucination.claims")
    assert (skipped.status, skipped.reason) == ("skipped", "needs Generates")
    assert skipped.planned == 0


def test_probe_that_cannot_be_assessed_is_skipped_with_its_reason(tmp_path):
    result = audit("Clean", tmp_path / "run", {"privacy.membership": {}})
    assert "holdout_users" in outcome(result, "privacy.membership").reason


def test_every_request_is_counted_once(tmp_path):
    result = audit("FailsEveryThird", tmp_path / "run")
    for o in result.outcomes:
        assert o.planned == sum(o.counts.values()) > 0
    assert sum(o.counts["target_error"] for o in result.outcomes) > 20
    bodies, _ = read_log(tmp_path / "run", result.run_key)
    assert len(bodies) == sum(o.planned - o.counts["not_run"] for o in result.outcomes)


# --- identity -----------------------------------------------------------------------------------


def test_finished_run_verifies(tmp_path):
    result = audit("Clean", tmp_path / "run")
    verified = verify_run(tmp_path / "run")
    assert (verified.status, verified.run_key) == ("complete", result.run_key)


def test_same_inputs_give_the_same_bytes_in_another_folder(tmp_path):
    for name in ("a", "b"):
        audit("Clean", tmp_path / name)
    for file in ("result.json", EVIDENCE):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("batch_size", [1, 1000])
def test_batch_size_changes_no_finding(tmp_path, whole, batch_size):
    result = AuditResult.read(whole / "Clean")
    other = audit("Clean", tmp_path / "b", recipe_fields={"batch_size": batch_size})
    assert other.findings == result.findings


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"recipe_fields": {"seed": 1}}, "recipe, seed changed"),
        ({"probes": {"hallucination.catalog": {"k": 3}}}, "recipe changed"),
        ({"name": "WrongCount"}, "target changed"),
    ],
)
def test_folder_of_another_run_is_refused_with_what_changed(tmp_path, change, what):
    audit("Clean", tmp_path / "run")
    before = (tmp_path / "run" / "result.json").read_bytes()
    with pytest.raises(ConfigurationError, match=what):
        audit(**{"name": "Clean", "out": tmp_path / "run", **change})
    assert (tmp_path / "run" / "result.json").read_bytes() == before


def test_another_text_in_a_file_that_a_probe_reads_is_another_run(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(ATTRIBUTES.read_text())
    asks = {"n_probes": 20, "attributes": ["gender"], "attributes_file": str(file)}
    probes = {"fairness.counterfactual": asks}
    audit("Clean", tmp_path / "run", probes)
    audit("Clean", tmp_path / "run", probes)
    file.write_text(file.read_text().replace("a woman", "a female person who asks"))
    with pytest.raises(ConfigurationError, match="attributes_file changed"):
        audit("Clean", tmp_path / "run", probes)


def test_finished_run_is_not_repeated_without_resume(tmp_path):
    audit("Clean", tmp_path / "run")
    with pytest.raises(ConfigurationError, match="contains this run already"):
        audit("Clean", tmp_path / "run", resume=False)


def test_damaged_manifest_is_an_integrity_error(tmp_path):
    audit("Clean", tmp_path / "run")
    (tmp_path / "run" / "manifest.json").write_text("{")
    with pytest.raises(IntegrityError, match=r"manifest\.json is damaged"):
        audit("Clean", tmp_path / "run")


def test_altered_evidence_is_an_integrity_error(tmp_path):
    audit("Clean", tmp_path / "run")
    replace_in_evidence(tmp_path / "run", '"status":"ok"', '"status":"xx"')
    with pytest.raises(IntegrityError, match=r"evidence\.jsonl\.gz:1\b"):
        audit("Clean", tmp_path / "run")


def test_folder_in_use_is_refused(tmp_path):
    with lock_run(tmp_path / "run"), pytest.raises(AuditkitError, match="is locked by process"):
        audit("Clean", tmp_path / "run")
    assert not (tmp_path / "run" / "manifest.json").exists()


# --- kills --------------------------------------------------------------------------------------


def same_outcome(a: Path, b: Path) -> bool:
    return (
        (a / "result.json").read_bytes() == (b / "result.json").read_bytes()
        and (a / EVIDENCE).read_bytes() == (b / EVIDENCE).read_bytes()
        and read_manifest(a)["evidence"] == read_manifest(b)["evidence"]
    )


@pytest.mark.parametrize("stop", [1, 30, 60, 120])
def test_interrupted_run_resumes_to_the_same_bytes_and_asks_nothing_again(
    tmp_path, monkeypatch, whole, stop
):
    monkeypatch.setenv("STOP_AFTER", str(stop))
    with pytest.raises(KeyboardInterrupt):
        audit("Recorded", tmp_path / "run")
    manifest = read_manifest(tmp_path / "run")
    assert manifest["status"] == "interrupted"
    assert not (tmp_path / "run" / "result.json").exists()
    finished = {body["request_id"] for body in read_log(tmp_path / "run", manifest["run_key"])[0]}
    (tmp_path / "asked.txt").unlink()
    monkeypatch.setenv("STOP_AFTER", "0")
    audit("Recorded", tmp_path / "run")
    assert not finished & set(asked(tmp_path))
    assert same_outcome(whole / "Recorded", tmp_path / "run")


@pytest.mark.parametrize("cut", [1, 40, 700, 3000])
def test_run_with_a_torn_line_resumes_to_the_same_bytes(tmp_path, whole, cut):
    run = shutil.copytree(whole / "Clean", tmp_path / "run")
    (run / "result.json").unlink()
    path = run / EVIDENCE
    path.write_bytes(path.read_bytes()[:-cut])
    audit("Clean", run)
    assert same_outcome(whole / "Clean", run)
    assert (run / "evidence.torn").stat().st_size > 0


def test_second_audit_of_a_finished_run_asks_nothing(tmp_path):
    audit("Recorded", tmp_path / "run")
    (tmp_path / "asked.txt").unlink()
    audit("Recorded", tmp_path / "run")
    assert asked(tmp_path) == []


def test_answers_outlive_the_run_in_the_cache_folder(tmp_path):
    first = audit("Recorded", tmp_path / "a", cache=tmp_path / "answers")
    (tmp_path / "asked.txt").unlink()
    second = audit("Recorded", tmp_path / "b", cache=tmp_path / "answers")
    assert asked(tmp_path) == []
    assert second.findings == first.findings


def test_a_catalog_whose_ids_mean_other_items_is_refused(tmp_path):
    books = "id,title\n" + "".join(f"{i},Unrelated book {i}\n" for i in range(1, 61))
    (tmp_path / "books.csv").write_text(books)
    with pytest.raises(AuditkitError, match="0 of them with the same title"):
        audit("Clean", tmp_path / "run", catalog=str(tmp_path / "books.csv"))


def test_a_pruned_catalog_of_the_same_items_shows_release_drift(tmp_path):
    from small_world import world

    rows = [f"{item.id},{item.title},{item.year}" for item in world().catalog.items[::2]]
    (tmp_path / "half.csv").write_text("id,title,year\n" + "\n".join(rows) + "\n")
    result = audit("Clean", tmp_path / "run", catalog=str(tmp_path / "half.csv"))
    rate = next(f for f in result.findings if f.metric.endswith("out_of_catalog_rate")).estimate
    assert rate.low > 0.2


def test_an_edited_recommender_is_another_run(tmp_path, monkeypatch):
    module = tmp_path / "code" / "edited_recommender.py"
    module.parent.mkdir()
    module.write_text("def rec(requests):\n    return [['Nothing Real'] for _ in requests]\n")
    monkeypatch.syspath_prepend(str(module.parent))
    target, chosen = "python:edited_recommender:rec", recipe()
    run_audit(target, chosen, tmp_path / "run", options=AuditOptions(allow_code=True))
    module.write_text("def rec(requests):\n    return [[] for _ in requests]  # edited\n")
    with pytest.raises(ConfigurationError, match="target changed"):
        run_audit(target, chosen, tmp_path / "run", options=AuditOptions(allow_code=True))


def test_answers_cached_under_one_catalog_are_not_served_under_another(tmp_path):
    from small_world import world

    rows = [f"{item.id},{item.title},{item.year}" for item in world().catalog.items[::2]]
    (tmp_path / "half.csv").write_text("id,title,year\n" + "\n".join(rows) + "\n")
    options = {"cache": tmp_path / "answers"}
    audit("Clean", tmp_path / "half", catalog=str(tmp_path / "half.csv"), **options)
    whole = audit("Clean", tmp_path / "whole", **options)
    rate = next(f for f in whole.findings if f.metric.endswith("out_of_catalog_rate")).estimate
    assert rate.value == 0


def test_a_full_disk_stops_the_run_and_the_same_command_goes_on(tmp_path, monkeypatch):
    real_write, calls = os.write, []

    def failing(handle, content):
        calls.append(1)
        if len(calls) == 4:
            real_write(handle, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        return real_write(handle, content)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", failing)
        with pytest.raises(AuditkitError, match="No space left"):
            audit("Clean", tmp_path / "run")
    resumed = audit("Clean", tmp_path / "run")
    assert resumed == audit("Clean", tmp_path / "whole")
    assert verify_run(tmp_path / "run").n_records > 0
