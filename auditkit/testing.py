"""Assertion for test suites that a result or run folder meets a policy.

The assertion needs no torch and no recommender, and it does not write into the run folder.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from auditkit.evidence.manifest import OUTPUTS_OF, verify_run
from auditkit.gating import read_baseline
from auditkit.policy.decide import decide
from auditkit.policy.decision import Decision
from auditkit.policy.schema import Policy
from auditkit.shipped_recipes import find_recipe
from auditkit.types import AuditResult

__all__ = ["assert_gate"]


def assert_gate(
    result: AuditResult | str | Path,
    policy: Policy | str | Path,
    *,
    baseline: str | Path | None = None,
    as_of: datetime.date | None = None,
    strict: bool = False,
) -> Decision:
    """Assert that an audit passes a policy.

    Args:
        result: a result, or a run folder, which is verified first.
        policy: a policy, the name of a shipped policy, or a YAML file.
        baseline: run folder or `result.json` to compare with; if None, the baseline of the policy.
        as_of: day on which expiry dates of waivers are checked; if None, today (UTC).
        strict: whether every inconclusive rule blocks a release.

    Returns:
        The decision, whose verdict is pass.

    Raises:
        AssertionError: the verdict is fail or inconclusive; the message is the table of rules.
        ConfigurationError: the policy is invalid, or the folder is not a run folder.
        IntegrityError: the run or the baseline was altered.
    """
    judged = (
        policy
        if isinstance(policy, Policy)
        else Policy.read(find_recipe(str(policy), kind="policy"))
    )
    verification = None
    if not isinstance(result, AuditResult):
        verification = verify_run(Path(result), replacing=OUTPUTS_OF["gate"])
        result = AuditResult.read(Path(result))
    decision = decide(
        result,
        judged,
        baseline=read_baseline(judged.baseline_path() if baseline is None else Path(baseline)),
        verification=verification,
        as_of=as_of,
        strict=strict,
    )
    if decision.verdict != "pass":
        raise AssertionError(decision.as_text())
    return decision
