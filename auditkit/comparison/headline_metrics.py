"""The metric that represents a dimension: the usual one, or the first that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.policy.vocabulary import REFERENCE
from auditkit.types import Finding

__all__ = ["HEADLINE_METRICS", "dimension_of", "dimensions_of", "headline_of", "is_reference"]

HEADLINE_METRICS = (
    "utility.ranking.ndcg@10", "hallucination.catalog.out_of_catalog_rate",
    "robustness.prompt.typo.asr", "fairness.counterfactual.snsr", "privacy.membership.auc",
    "explain.comprehensiveness",
)  # fmt: skip


def dimension_of(metric: str) -> str:
    """Dimension of a metric id, the word before its first dot."""
    return metric.split(".", 1)[0]


def is_reference(finding: Finding) -> bool:
    """Whether a finding is about a reference recommender, such as popularity."""
    return finding.group.startswith(f"{REFERENCE}=")


def headline_of(findings: Sequence[Finding], dimension: str) -> Finding | None:
    """The finding that represents a dimension.

    Returns:
        The first finding of the usual metric, else the first of the dimension; None if the
        dimension was not measured. Reference recommenders are left out.
    """
    own = [f for f in findings if dimension_of(f.metric) == dimension and not is_reference(f)]
    return next(iter([*(f for f in own if f.metric in HEADLINE_METRICS), *own]), None)


def dimensions_of(findings: Sequence[Finding]) -> list[str]:
    """Dimensions with a finding, the six usual ones first, in the order of the report."""
    usual = [dimension_of(metric) for metric in HEADLINE_METRICS]
    measured = list(dict.fromkeys(dimension_of(f.metric) for f in findings))
    return [*(d for d in usual if d in measured), *sorted(set(measured) - set(usual))]
