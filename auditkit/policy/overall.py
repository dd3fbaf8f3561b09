"""Overall verdict from the rule verdicts and the requirements on the run."""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.policy.decision import EXIT_CODES, RequirementCheck, RuleVerdict, Word
from auditkit.policy.schema import Requirements
from auditkit.types import AuditResult

__all__ = ["check_requirements", "overall"]


def check_requirements(require: Requirements, result: AuditResult) -> list[RequirementCheck]:
    """Check the requirements of a policy: required probes, verified fingerprint, and error
    budget.
    """
    checks = []
    wanted: list[tuple[str, tuple[str, ...]]] = [(probe, ("ran",)) for probe in require.probes]
    wanted += [(probe, ("ran", "skipped")) for probe in require.probes_if_assessable]
    for probe, accepted in wanted:
        outcomes = [outcome for outcome in result.outcomes if outcome.probe == probe]
        met = bool(outcomes) and all(outcome.status in accepted for outcome in outcomes)
        detail = "; ".join(
            outcome.status if not outcome.reason else f"{outcome.status}: {outcome.reason}"
            for outcome in outcomes
        )
        detail = detail or "not part of the audit"
        checks.append(RequirementCheck(name=f"probe {probe}", met=met, detail=detail))
    if require.fingerprint == "verified":
        detail = "verified" if result.target.verified else "not verifiable: weights were not hashed"
        checks.append(
            RequirementCheck(name="fingerprint", met=result.target.verified, detail=detail)
        )
    counts = [outcome.counts for outcome in result.outcomes]
    attempted = sum(sum(c.values()) - c.get("not_run", 0) for c in counts)
    errors = sum(c.get("timeout", 0) + c.get("target_error", 0) for c in counts)
    checks.append(
        RequirementCheck(
            name="error_budget",
            met=errors <= require.max_error_rate * attempted,
            detail=f"{errors} errors in {attempted} requests; the allowed rate is "
            f"{require.max_error_rate:.4g}",
        )
    )
    return checks


def overall(
    rules: Sequence[RuleVerdict],
    requirements: Sequence[RequirementCheck],
    *,
    incomparable: Sequence[str] = (),
) -> tuple[Word, int, list[str]]:
    """Compute the overall verdict, the exit code and the reasons.

    The first that applies decides: exceeded error budget, failing rule, blocking rule or
    incomparable baseline, pass.

    Args:
        rules: verdicts of the rules.
        requirements: results of the requirements.
        incomparable: conditions that differ from those of the baseline, if the comparison was made
            in spite of them.
    """
    unmet = [check for check in requirements if not check.met]
    if any(check.name == "error_budget" for check in unmet):
        reasons = [f"{check.name}: {check.detail}" for check in unmet]
        return "inconclusive", EXIT_CODES["error_budget"], reasons
    if failed := [rule.sentence for rule in rules if rule.effect == "fails"]:
        return "fail", EXIT_CODES["fail"], failed
    reasons = [f"required {check.name}: {check.detail}" for check in unmet]
    reasons += [rule.sentence for rule in rules if rule.effect == "blocks"]
    reasons += [f"incomparable baseline: {difference}" for difference in incomparable]
    word: Word = "inconclusive" if reasons else "pass"
    return word, EXIT_CODES[word], reasons
