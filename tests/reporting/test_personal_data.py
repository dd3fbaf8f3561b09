"""Personal data from model output are masked in everything that is passed on."""

from __future__ import annotations

import dataclasses
import json

import pytest
from evidence_lines import evidence_text
from policies import OUT, judging
from run_folder import audit_result, outcome, rate, record, write_run
from small_world import write_cache

from auditkit.cli import main
from auditkit.evidence.manifest import verify_run
from auditkit.gating import gate_run
from auditkit.reporting import write_report
from auditkit.types import Evidence

LEAKS = ("ana.lee@example.org", "+49 170 1234567", "(212) 555-0123", "4111 1111 1111 1111")
KEPT = ("978-3-16-148410-0", "2001: A Space Odyssey (1968)", "tt0111161")
TEXT = f"Ask {LEAKS[0]} or {LEAKS[1]}, {LEAKS[2]}; card {LEAKS[3]}. {' '.join(KEPT)}"
SHARED = ("report.html", "summary.md", "findings.csv", "results.sarif", "junit.xml")


def test_no_shared_file_holds_personal_data(tmp_path, monkeypatch):
    import run_folder

    raw = record("aa01", "hallucination.catalog", "ana.lee@example.org", TEXT, [TEXT, KEPT[1]])
    raw["text"] = TEXT
    monkeypatch.setattr(run_folder, "_records", lambda hostile: [raw])
    finding = rate(OUT, 90, 300, evidence=(Evidence(requests=("aa01",), what=TEXT),), notes=(TEXT,))
    crashed = outcome("robustness.prompt.typo", status="error", reason=TEXT, traceback=TEXT)
    result = audit_result(
        "", findings=(finding,), outcomes=(outcome("hallucination.catalog"), crashed)
    )
    result = dataclasses.replace(result, notes=(TEXT,))
    run = write_run(tmp_path / "run", result, hostile="")
    waiver = (
        "waivers:\n  - {rule: r, max: 0.5, reason: agreed, owner: ben@example.org, "
        "expires: 2999-01-01}"
    )
    rules = (
        f"  - {{id: r, metric: {OUT}, max: 0.05}}\n"
        "  - {id: t, metric: robustness.prompt.typo.asr, max: 0.1}"
    )
    gate_run(run, judging(tmp_path, rules, waiver))
    write_report(run)
    for name in SHARED:
        text = (run / name).read_text(encoding="utf-8")
        assert not [leak for leak in LEAKS if leak in text], name
        assert "1234567" not in text
    page = (run / "report.html").read_text(encoding="utf-8")
    assert all(title in page for title in KEPT)
    assert "[email]" in page
    assert "ben@example.org" in page  # the owner of a waiver is named by the policy
    verify_run(run)


LEAKING = """
class Leaks:
    name = "leaks"

    def recommend(self, requests):
        rest = "\\n2. b@example.org\\n3. 978-3-16-148410-0"
        return [f"1. a{i}@example.org{rest}" for i, _ in enumerate(requests)]
"""


@pytest.mark.parametrize("keep_raw", [False, True])
def test_evidence_is_masked_unless_raw_is_asked_for_and_verifies_either_way(
    tmp_path, monkeypatch, capsys, keep_raw
):
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"leaking_{keep_raw}.py").write_text(LEAKING)
    (tmp_path / "tiny.yaml").write_text(
        "version: 1\nname: tiny\nprobes: {hallucination.catalog: {n_users: 30}}\n"
    )
    words = ["audit", f"python:leaking_{keep_raw}:Leaks", "--allow-code", "--recipe", "tiny.yaml"]
    words += ["--out", "run", "--quiet", *(["--keep-raw"] * keep_raw)]
    for command in (words, words, ["verify", "run", "--recompute", "--allow-code"]):
        with pytest.raises(SystemExit) as stopped:
            main(command)
        assert not stopped.value.code, capsys.readouterr().err
    evidence = evidence_text(tmp_path / "run")
    assert ("b@example.org" in evidence) == keep_raw
    assert "978-3-16-148410-0" in evidence
    assert "@example.org" not in (tmp_path / "run" / "report.html").read_text()
    found = {
        f["metric"].rpartition(".")[2]: f["estimate"]["value"]
        for f in json.loads((tmp_path / "run" / "result.json").read_text())["findings"]
    }
    assert found["out_of_catalog_rate"] == 1.0
    assert found["duplicate_rate"] == 0.0  # two addresses are two items
