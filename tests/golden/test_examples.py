"""The committed examples are what the same commands give today."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from auditkit.reporting.html_allowlist import check_html
from auditkit.run.recipe import read_recipe
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe
from auditkit.types import AuditResult

EXAMPLES = Path(__file__).resolve().parents[2] / "reports" / "examples"


@pytest.mark.slow
def test_the_popularity_example_is_reproduced_number_by_number(ml100k, tmp_path):
    committed = AuditResult.read(EXAMPLES / "popularity")
    recipe = read_recipe(find_recipe("quick", kind="audit"))
    fresh = run_audit("baseline:popularity", recipe, tmp_path / "run")
    assert [o.probe for o in fresh.outcomes] == [o.probe for o in committed.outcomes]
    assert [o.status for o in fresh.outcomes] == [o.status for o in committed.outcomes]
    for new, old in zip(fresh.findings, committed.findings, strict=True):
        assert (new.metric, new.group) == (old.metric, old.group)
        now, then = dataclasses.asdict(new.estimate), dataclasses.asdict(old.estimate)
        numbers = [name for name in ("value", "low", "high") if then[name] is not None]
        assert [now.pop(n) for n in numbers] == pytest.approx(
            [then.pop(n) for n in numbers], rel=1e-9
        )
        assert now == then


@pytest.mark.parametrize("folder", sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()))
def test_committed_reports_hold_nothing_outside_the_allow_list(folder):
    check_html((EXAMPLES / folder / "report.html").read_text(encoding="utf-8"))
    assert AuditResult.read(EXAMPLES / folder).findings
