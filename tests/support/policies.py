"""Policies of a few rules, results of a few findings, and what the gate says of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from run_folder import AS_OF, audit_result, outcome

from auditkit.policy.decide import decide
from auditkit.policy.schema import Policy
from auditkit.registry import metrics
from auditkit.shipped_recipes import find_recipe
from auditkit.types import Finding

OUT, DUP = "hallucination.catalog.out_of_catalog_rate", "hallucination.catalog.duplicate_rate"
SNSR = "fairness.counterfactual.snsr"


def judging(tmp_path: Path, rules: str, rest: str = "") -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(f"version: 1\nname: test\nrules:\n{rules}\n{rest}", encoding="utf-8")
    return Policy.read(path)


def result_of(*findings: Finding, **changes: object):
    names = {metrics()[f.metric].probe for f in findings}
    return audit_result(
        "", findings=findings, outcomes=tuple(outcome(name) for name in sorted(names)), **changes
    )


def verdicts_of(findings: Iterable[Finding], name: str) -> dict[str, str]:
    """Verdicts of a shipped policy by rule, of the rules on metrics that were measured."""
    policy = Policy.read(find_recipe(name, kind="policy"))
    measured = {finding.metric for finding in findings}
    decision = decide(result_of(*findings), policy, as_of=AS_OF)
    return {rule.rule: rule.verdict for rule in decision.rules if rule.metric in measured}


def decide_one(tmp_path, finding, rule, **options):
    result = result_of(*([finding] if finding else []))
    decision = decide(result, judging(tmp_path, f"  - {{id: r, {rule}}}"), as_of=AS_OF, **options)
    return decision.rules[0], decision
