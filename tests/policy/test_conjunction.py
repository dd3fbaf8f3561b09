"""Rules of several conditions: all must pass, and one failure is enough."""

from __future__ import annotations

import re

import numpy as np
import pytest
from policies import DUP, OUT, judging, result_of
from run_folder import AS_OF, rate, write_run
from scipy.stats import binom

from auditkit.errors import ConfigurationError
from auditkit.policy.decide import decide, lint, needed_n
from auditkit.reporting import write_report

BOTH = f"""\
  - id: both
    severity: blocker
    all_of:
      - {{metric: {OUT}, max: 0.05}}
      - {{metric: {DUP}, max: 0.05}}
"""


def judged(tmp_path, first, second):
    result = result_of(rate(OUT, *first), rate(DUP, *second))
    decision = decide(result, judging(tmp_path, BOTH), as_of=AS_OF)
    assert len(decision.rules) == 1
    return decision.rules[0], decision


@pytest.mark.parametrize(
    ("first", "second", "verdict", "metric", "code"),
    [
        ((0, 200), (0, 200), "pass", OUT, 0),
        ((0, 200), (60, 200), "fail", DUP, 10),
        ((60, 200), (4, 100), "fail", OUT, 10),
        ((0, 200), (4, 100), "inconclusive", DUP, 11),
    ],
)
def test_the_decisive_condition_represents_the_rule(tmp_path, first, second, verdict, metric, code):
    rule, decision = judged(tmp_path, first, second)
    assert (rule.rule, rule.verdict, rule.metric) == ("both", verdict, metric)
    assert decision.exit_code == code
    assert OUT in rule.detail
    assert DUP in rule.detail


def test_a_condition_without_a_finding_blocks_the_rule(tmp_path):
    decision = decide(result_of(rate(OUT, 0, 200)), judging(tmp_path, BOTH), as_of=AS_OF)
    assert (decision.rules[0].reason, decision.exit_code) == ("metric_missing", 11)


def test_the_rule_is_by_construction_only_if_every_condition_is(tmp_path):
    fixed = ("0 by construction: an item token names a catalog item",)
    for notes, counted in ((fixed, 1), ((), 0)):
        findings = rate(OUT, 0, 200, notes=fixed), rate(DUP, 0, 200, notes=notes)
        decision = decide(result_of(*findings), judging(tmp_path, BOTH), as_of=AS_OF)
        assert decision.counts["by_construction"] == counted


def test_false_failures_at_the_limit_stay_below_the_level(tmp_path):
    """Both true rates are at the limit; the exact chance that either of two conditions fails."""
    policy, fails = judging(tmp_path, BOTH), {}
    for x in range(0, 40):
        result = result_of(rate(OUT, x, 200), rate(DUP, 0, 200))
        fails[x] = decide(result, policy, as_of=AS_OF).rules[0].verdict == "fail"
    first = min(x for x, failed in fails.items() if failed)
    alone = binom.sf(first - 1, 200, 0.05)
    assert 1 - (1 - alone) ** 2 <= 0.05
    assert np.all([fails[x] for x in range(first, 40)])


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (f"all_of: [{{metric: {OUT}, max: 0.05}}]", "at least two conditions"),
        (
            f"metric: {OUT}, all_of: [{{metric: {OUT}, max: 1}}, {{metric: {DUP}, max: 1}}]",
            "takes metric only in",
        ),
        (
            f"max: 1, all_of: [{{metric: {OUT}, max: 1}}, {{metric: {DUP}, max: 1}}]",
            "takes max only in",
        ),
        (f"all_of: [{{metric: {OUT}}}, {{metric: {DUP}, max: 1}}]", "exactly one of"),
        (f"all_of: [{{metric: {OUT}x, max: 1}}, {{metric: {DUP}, max: 1}}]", "unknown metric"),
    ],
)
def test_a_rule_that_would_check_nothing_is_refused(tmp_path, rule, message):
    with pytest.raises(ConfigurationError, match=message):
        judging(tmp_path, f"  - {{id: r, {rule}}}")


def test_a_waiver_of_several_conditions_is_refused(tmp_path):
    rest = "waivers:\n  - {rule: both, max: 0.2, reason: x, owner: y, expires: 2027-01-01}"
    with pytest.raises(ConfigurationError, match="which condition of all_of"):
        judging(tmp_path, BOTH, rest)


def test_the_report_names_every_condition(tmp_path):
    judging(tmp_path, BOTH)
    result = result_of(rate(OUT, 0, 200), rate(DUP, 60, 200))
    run = write_run(tmp_path / "run", result, policy=tmp_path / "policy.yaml")
    write_report(run)
    page = re.sub(r"<[^>]*>", "", (run / "report.html").read_text(encoding="utf-8"))
    assert f"all of: {OUT} at most 0.05: pass; {DUP} at most 0.05: fail" in page


def test_lint_and_sample_sizes_read_every_condition(tmp_path):
    policy = judging(tmp_path, BOTH.replace("max: 0.05}", "max: 0}", 1))
    assert [doubt.rule for doubt in lint(policy)] == ["both"]
    assert [(row.rule, row.n) for row in needed_n(policy)] == [("both", None), ("both", 59)]
