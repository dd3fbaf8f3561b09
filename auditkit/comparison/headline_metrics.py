"""The metric that represents a dimension: the usual metric, or the first that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.policy.decision import Decision, RuleVerdict
from auditkit.policy.vocabulary import REFERENCE
from auditkit.types import Finding

__all__ = [
    "HEADLINE_METRICS", "dimension_of", "dimensions_of", "gravest_rule", "gravity", "headline_of",
    "is_reference",
]  # fmt: skip

HEADLINE_METRICS = (
    "utility.ranking.ndcg@10", "hallucination.catalog.out_of_catalog_rate",
    "robustness.prompt.typo.asr", "fairness.counterfactual.snsr", "privacy.membership.auc",
    "explain.comprehensiveness",
)  # fmt: skip

_EFFECTS = ("fails", "blocks", "tolerated", "passes", "shown")
_SEVERITIES = ("blocker", "major", "minor", "info")


def dimension_of(metric: str) -> str:
    """Dimension of a metric id, the word before its first dot."""
    return metric.split(".", 1)[0]


def is_reference(finding: Finding) -> bool:
    """Whether a finding describes a reference recommender, such as popularity."""
    return finding.group.startswith(f"{REFERENCE}=")


def headline_of(findings: Sequence[Finding], dimension: str) -> Finding | None:
    """The finding that represents a dimension.

    Returns:
        The first finding of the usual metric or, without one, the first finding of the dimension;
        None if the dimension was not measured. Findings on reference recommenders are ignored.
    """
    own = [f for f in findings if dimension_of(f.metric) == dimension and not is_reference(f)]
    return next(iter([*(f for f in own if f.metric in HEADLINE_METRICS), *own]), None)


def dimensions_of(findings: Sequence[Finding]) -> list[str]:
    """Dimensions with a finding: the six standard dimensions in the order of the report, then
    others.
    """
    usual = [dimension_of(metric) for metric in HEADLINE_METRICS]
    measured = list(dict.fromkeys(dimension_of(f.metric) for f in findings))
    return [*(d for d in usual if d in measured), *sorted(set(measured) - set(usual))]


def gravity(rule: RuleVerdict) -> tuple[int, int, int]:
    """Sort key of rules: the most severe verdict first, and for equal severity the headline metric
    first.
    """
    usual = HEADLINE_METRICS
    first = usual.index(rule.metric) if rule.metric in usual else len(usual)
    return _EFFECTS.index(rule.effect), _SEVERITIES.index(rule.severity), first


def gravest_rule(decision: Decision | None, dimension: str) -> RuleVerdict | None:
    """The rule with the most severe verdict on a dimension; None if no rule judges the
    dimension.
    """
    rules = decision.rules if decision else ()
    return min((r for r in rules if r.dimension == dimension), key=gravity, default=None)
