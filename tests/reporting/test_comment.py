"""The comment on a pull request: the summary, and the rules whose verdict changed."""

from __future__ import annotations

import dataclasses

import pytest
from policies import DUP, OUT, judging, result_of
from run_folder import AS_OF, HOSTILE, rate, write_run

from auditkit.cli import main
from auditkit.policy.decide import decide
from auditkit.reporting.exports.comment import render_comment
from auditkit.reporting.run_reader import ReportSource

RULES = f"""\
  - {{id: real, metric: {OUT}, max: 0.05}}
  - {{id: once, metric: {DUP}, max: 0.05}}
"""


def source(tmp_path, out, twice, *, rules=RULES, judged=True, **changes):
    result = result_of(rate(OUT, out, 200), rate(DUP, twice, 200), **changes)
    decision = decide(result, judging(tmp_path, rules), as_of=AS_OF) if judged else None
    return ReportSource(result, {"status": "complete"}, decision, {}, 0, "0" * 64)


def test_only_rules_whose_verdict_changed_are_rows(tmp_path):
    before, now = source(tmp_path, 0, 0), source(tmp_path, 60, 1)
    text = render_comment(now, before)
    assert "- verdict: PASS before, FAIL now" in text
    changes = text.split("What changed")[1]
    assert "| real | PASS | FAIL | 0 | 0.3 |" in changes
    assert "once" not in changes
    assert "- 1 of 2 rule checks have the same verdict" in changes
    assert render_comment(now, now).split("What changed")[1].count("|") == 0


def test_rules_of_one_side_and_other_conditions_are_stated(tmp_path):
    before = source(tmp_path, 0, 0, rules=RULES.splitlines(keepends=True)[0], seed=2)
    text = render_comment(source(tmp_path, 0, 0), before)
    assert "| once | not in the policy | PASS | \u2013 | 0 |" in text
    assert "another policy" in text
    assert "- not comparable: seed: 20260601 against 2" in text


def test_a_run_without_a_verdict_is_named(tmp_path):
    judged, other = source(tmp_path, 0, 0), source(tmp_path, 0, 0, judged=False)
    assert "the base run has no verdict" in render_comment(judged, other)
    assert "- the run has no verdict" in render_comment(other, judged)
    assert "What changed" not in render_comment(judged)


def test_a_hostile_name_is_no_markup_and_the_comment_stays_short(tmp_path):
    rules = "".join(f"  - {{id: r{n}, metric: {OUT}, max: 0.05}}\n" for n in range(300))
    before, now = (source(tmp_path, x, 0, rules=rules) for x in (0, 60))
    hostile = dataclasses.replace(now.result.target, name=HOSTILE)
    now = dataclasses.replace(now, result=dataclasses.replace(now.result, target=hostile))
    text = render_comment(now, before)
    assert "<script" not in text
    assert "\u202e" not in text
    assert "30 of 300 changed rule checks shown." in text
    assert len(text) < 65_536  # the limit of a comment on GitHub


def test_a_base_without_a_comment_is_a_usage_error_and_writes_nothing(tmp_path):
    run = write_run(tmp_path / "run")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(run), "--base", str(run)])
    assert ended.value.code == 2
    assert not (run / "report.html").exists()
