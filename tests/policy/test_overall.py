"""Severity, doubt, requirements and the error budget: from rules to one exit code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from policies import DUP, OUT, decide_one, judging, result_of
from run_folder import audit_result, outcome, rate

from auditkit.policy.decide import decide
from auditkit.policy.schema import Policy


@pytest.mark.parametrize("severity", ["blocker", "major"])
@pytest.mark.parametrize(
    ("x", "n", "reason"), [(4, 100, "straddles"), (0, 20, "straddles"), (0, 70, "too_few")]
)
def test_an_inconclusive_rule_stops_a_release_that_does_not_write_warn(
    tmp_path, severity, x, n, reason
):
    condition = f"metric: {OUT}, max: 0.05, min_n: 80, severity: {severity}"
    rule, decision = decide_one(tmp_path, rate(OUT, x, n), condition)
    assert (rule.reason, rule.effect) == (reason, "blocks")
    assert (decision.verdict, decision.exit_code) == ("inconclusive", 11)


@pytest.mark.parametrize("severity", ["blocker", "major"])
def test_a_written_warn_tolerates_doubt_and_is_counted(tmp_path, severity):
    finding, condition = rate(OUT, 4, 100), f"metric: {OUT}, max: 0.05, severity: {severity}"
    rule, decision = decide_one(tmp_path, finding, f"{condition}, on_inconclusive: warn")
    assert (rule.effect, decision.exit_code) == ("tolerated", 0)
    assert "1 inconclusive tolerated" in decision.summary
    assert decide_one(tmp_path, finding, condition, strict=True)[1].exit_code == 11


def test_warn_as_a_default_of_the_policy_is_overridden_by_a_rule(tmp_path):
    rules = (
        f"  - {{id: a, metric: {OUT}, max: 0.05}}\n"
        f"  - {{id: b, metric: {DUP}, max: 0.05, on_inconclusive: fail}}"
    )
    policy = judging(tmp_path, rules, "defaults: {on_inconclusive: warn}")
    decision = decide(result_of(rate(OUT, 4, 100), rate(DUP, 4, 100)), policy)
    assert [rule.effect for rule in decision.rules] == ["tolerated", "blocks"]
    assert decision.exit_code == 11


def test_a_rule_without_any_severity_or_default_never_passes_undecided(tmp_path):
    decision = decide_one(tmp_path, rate(OUT, 0, 1), f"metric: {OUT}, max: 0.5")[1]
    assert (decision.verdict, decision.exit_code) == ("inconclusive", 11)


def test_minor_and_info_never_change_the_exit_code(tmp_path):
    rules = (
        f"  - {{id: a, metric: {OUT}, max: 0.05, severity: minor}}\n"
        f"  - {{id: b, metric: {DUP}, max: 0.5}}"
    )
    decision = decide(result_of(rate(OUT, 90, 100), rate(DUP, 0, 100)), judging(tmp_path, rules))
    assert decision.rules[0].verdict == "fail"
    assert decision.exit_code == 0


def test_a_required_probe_that_was_skipped_keeps_the_gate_from_passing(tmp_path):
    policy = judging(
        tmp_path, f"  - {{id: r, metric: {OUT}, max: 0.05}}",
        "require: {probes: [privacy.membership], fingerprint: verified}",
    )  # fmt: skip
    decision = decide(result_of(rate(OUT, 0, 500)), policy)
    assert decision.exit_code == 11
    assert "privacy.membership" in decision.reasons[0]
    target = dataclasses.replace(audit_result("").target, verified=False)
    unmet = [
        c.name
        for c in decide(result_of(rate(OUT, 0, 500), target=target), policy).requirements
        if not c.met
    ]
    assert unmet == ["probe privacy.membership", "fingerprint"]


def test_an_exceeded_error_budget_overrides_every_rule(tmp_path):
    result = dataclasses.replace(
        result_of(rate(OUT, 90, 100)),
        outcomes=(outcome("hallucination.catalog", counts={"ok": 90, "timeout": 10}),),
    )
    decision = decide(result, judging(tmp_path, f"  - {{id: r, metric: {OUT}, max: 0.05}}"))
    assert (decision.verdict, decision.exit_code) == ("inconclusive", 12)


def test_a_result_whose_every_probe_was_skipped_is_never_a_pass():
    result = audit_result("")
    skipped = tuple(
        outcome(o.probe, status="skipped", counts={}, planned=0) for o in result.outcomes
    )
    result = dataclasses.replace(result, outcomes=skipped, findings=())
    decision = decide(result, Policy.read(Path("recipes/policy/release.yaml")))
    assert decision.exit_code == 11
    assert {rule.reason for rule in decision.rules} == {"probe_skipped"}


def skipped_membership(status):
    """A result with one good finding, and membership not measured."""
    result = result_of(rate(OUT, 0, 500))
    lacking = outcome("privacy.membership", status=status, reason="needs Scores")
    return dataclasses.replace(result, outcomes=(*result.outcomes, lacking))


RULES = (
    f"  - {{id: r, metric: {OUT}, max: 0.05}}\n"
    "  - {id: m, metric: privacy.membership.auc, max: 0.6, severity: blocker, on_skipped: show}"
)


@pytest.mark.parametrize(("status", "exit_code"), [("skipped", 0), ("error", 11)])
def test_rule_that_some_targets_cannot_have_is_shown_if_its_probe_was_skipped(
    tmp_path, status, exit_code
):
    require = "require: {probes_if_assessable: [privacy.membership]}"
    decision = decide(skipped_membership(status), judging(tmp_path, RULES, require))
    assert decision.exit_code == exit_code
    assert decision.rules[1].effect == ("shown" if status == "skipped" else "blocks")
    assert "needs Scores" in decision.rules[1].sentence


def test_such_a_rule_blocks_without_the_key_under_strict_and_if_the_probe_was_not_planned(tmp_path):
    plain = judging(tmp_path, RULES.replace(", on_skipped: show", ""))
    assert decide(skipped_membership("skipped"), plain).exit_code == 11
    policy = judging(tmp_path, RULES)
    assert decide(skipped_membership("skipped"), policy, strict=True).exit_code == 11
    assert decide(result_of(rate(OUT, 0, 500)), policy).exit_code == 11


def test_required_probe_that_was_not_planned_is_not_met(tmp_path):
    rules = f"  - {{id: r, metric: {OUT}, max: 0.05}}"
    policy = judging(tmp_path, rules, "require: {probes_if_assessable: [privacy.membership]}")
    assert decide(result_of(rate(OUT, 0, 500)), policy).exit_code == 11
    assert decide(skipped_membership("skipped"), policy).exit_code == 0
