"""The page about own checks, from recipe to verdict and report, on the small world."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_world import write_cache

from auditkit.cli import main
from auditkit.evidence.manifest import read_manifest
from auditkit.gating import gate_run
from auditkit.policy.schema import Policy
from auditkit.reporting import write_report
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import read_recipe
from auditkit.run.recompute import recompute_run
from auditkit.run.runner import run_audit
from auditkit.types import AuditResult

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "write-your-own-check.md"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The recipe and the policy of the page."""
    monkeypatch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path / "cache")))
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for name, text in blocks:
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [name for name, _ in blocks] == ["recipe.yaml", "policy.yaml"]
    return tmp_path


def test_the_page_leads_to_a_verdict_a_report_and_the_same_numbers_again(files):
    run, recipe = files / "run", read_recipe(files / "recipe.yaml").only(["check"])
    run_audit("baseline:popularity", recipe, run, options=AuditOptions(limit=40))
    result = AuditResult.read(run)
    assert {o.status for o in result.outcomes} == {"ran"}
    found = {f.metric: f.estimate for f in result.findings}
    assert len(found) == 7
    assert found["check.disclosure"].value == 1.0
    assert found["check.links"].value == found["check.seen"].value == 0.0
    assert found["check.old-films"].n == 40
    decision = gate_run(run, Policy.read(files / "policy.yaml"))
    assert {r.rule: r.severity for r in decision.rules} == {
        "old-films": "major",
        "links": "blocker",
    }
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Own checks" in page
    assert "films that we cannot deliver" in page
    assert recompute_run(run).differences == ()


def test_a_policy_that_names_another_check_is_refused_before_the_audit(files, capsys):
    policy = files / "policy.yaml"
    policy.write_text(policy.read_text().replace("check.links", "check.linkz"))
    with pytest.raises(SystemExit) as ended:
        main(["audit", "baseline:popularity", "--recipe", str(files / "recipe.yaml"),
              "--policy", str(policy), "--out", str(files / "run"), "--quiet"])  # fmt: skip
    assert ended.value.code == 2
    assert "Did you mean 'links'" in capsys.readouterr().err
    assert not (files / "run").exists()


def test_a_changed_check_is_another_run(files):
    keys = []
    for number, years in enumerate((1950, 1951)):
        path = files / "recipe.yaml"
        path.write_text(re.sub(r"below: \d+", f"below: {years}", path.read_text()))
        recipe = read_recipe(path).only(["check"])
        out = files / f"run{number}"
        run_audit("baseline:popularity", recipe, out, options=AuditOptions(limit=5))
        keys.append(read_manifest(out)["run_key"])
    assert keys[0] != keys[1]
