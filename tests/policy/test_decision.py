"""The decision as a file and as text."""

from __future__ import annotations

import dataclasses

from run_folder import AS_OF, audit_result, band

from auditkit.policy.decide import Decision, decide
from auditkit.policy.schema import Policy


def test_a_decision_reads_back_and_its_text_is_inert(tmp_path):
    from run_folder import HOSTILE, write_policy

    decision = decide(audit_result(HOSTILE), Policy.read(write_policy(tmp_path)), as_of=AS_OF)
    decision.write(tmp_path)
    assert Decision.read(tmp_path) == decision
    text = decision.as_text()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n::" not in text


def test_a_decision_on_another_run_or_state_is_not_read_as_one_on_this(tmp_path):
    from run_folder import write_policy

    result = audit_result()
    decision = decide(result, Policy.read(write_policy(tmp_path)), as_of=AS_OF)
    sealed = dataclasses.replace(decision, evidence_root="a" * 64)
    sealed.write(tmp_path)
    assert Decision.read_about(tmp_path, result.run_key, "a" * 64) == sealed
    assert Decision.read_about(tmp_path, result.run_key, "b" * 64) is None
    assert Decision.read_about(tmp_path, "0" * 64, "a" * 64) is None
    decision.write(tmp_path)  # made without looking at the evidence
    assert Decision.read_about(tmp_path, result.run_key, "b" * 64) == decision
    (tmp_path / "verdict.json").unlink()
    assert Decision.read_about(tmp_path, result.run_key, "a" * 64) is None


def test_a_pilot_band_is_not_assessable_and_never_crashes_the_gate(tmp_path):

    from run_folder import audit_result

    metric = "fairness.counterfactual.snsr"
    pilot = band(metric, 0.01, 0.0, 0.02, 15, group="gender")
    pilot = dataclasses.replace(
        pilot, estimate=dataclasses.replace(pilot.estimate, low=None, high=None)
    )
    strict = dataclasses.replace(band(metric, 0.01, 0.0, 0.02, 200, group="age"))
    path = tmp_path / "policy.yaml"
    path.write_text(
        "version: 1\nname: p\nrules:\n"
        f"  - {{id: pilot, metric: {metric}, group: gender, max: 0.05}}\n"
        f"  - {{id: strict, metric: {metric}, group: age, max: 0.05, confidence: 0.999}}\n"
    )
    result = dataclasses.replace(audit_result(), findings=(pilot, strict))
    decision = decide(result, Policy.read(path))
    words = {rule.rule: (rule.verdict, rule.reason) for rule in decision.rules}
    assert all(verdict == "inconclusive" for verdict, _ in words.values())
    assert all("not_assessable" in str(reason) for _, reason in words.values())
