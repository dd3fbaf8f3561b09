"""Abstention: how does the error rate fall if items of low confidence are withheld?

This is selective prediction with a risk-coverage curve. Confidence is the mean log-probability of a
title's tokens. Two errors are measured: the title is not in the catalog, and the item is not a
held-out item of the user. Users are resampled, because items of one list are not independent. See
docs/explain/hallucination-mitigation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.metrics.abstention import (
    aurc,
    aurc_excess,
    coverage_at_risk,
    risk_at_coverage,
    risk_curve,
    risk_curves,
)
from auditkit.probes.base import Context, NotAssessable, finding, unit_of
from auditkit.probes.hallucination.constrained_requests import ConstrainedRequest
from auditkit.probes.hallucination.mitigation_variants import VariantResponses
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Scores
from auditkit.recommenders.wrappers.title_confidence import title_confidences
from auditkit.stats.bootstrap import bootstrap_statistic
from auditkit.types import Finding, RankedItem

__all__ = ["abstention_findings"]

_DRAWS = 1000
_POINTS = 101  # of the curve in the report
STATISTICS: dict[str, Callable[[NDArray[np.float64]], float | None]] = {
    "aurc": aurc,
    "aurc_excess": aurc_excess,
    "risk_at_coverage_0.5": lambda risks: risk_at_coverage(risks, coverage=0.5),
    "risk_at_coverage_0.8": lambda risks: risk_at_coverage(risks, coverage=0.8),
    "risk_at_coverage_0.9": lambda risks: risk_at_coverage(risks, coverage=0.9),
    "coverage_at_risk_0.05": lambda risks: coverage_at_risk(risks, risk=0.05),
}
_BY_ITEMS = (
    "at most 5% wrong by the upper bound of a 95% Clopper-Pearson interval, which treats items as "
    "independent"
)


class _Judged(NamedTuple):
    """Items of one user that have a confidence and an error label."""

    user: str
    confidence: list[float]
    wrong: list[float]


def abstention_findings(
    target: Target, context: Context, asked: Sequence[ConstrainedRequest], free: VariantResponses
) -> Iterator[Finding]:
    """The risk-coverage curve of each error, and its summary statistics.

    Raises:
        NotAssessable: the target provides no log-probabilities.
    """
    if not isinstance(target.recommender, Scores):
        raise NotAssessable("needs Scores: the recommender provides no log-probabilities")
    confidences = title_confidences(
        [one.request for one in asked], free.responses, target.score, target.reference
    )
    for name, is_wrong in (("refused", _refused), ("not_relevant", _not_relevant)):
        judged, n_missing_items = [], 0
        for one, response, row in zip(asked, free.responses, confidences, strict=True):
            verdicts = [is_wrong(item, one) for item in response.items]
            pairs = [
                (confidence, verdict)
                for confidence, verdict in zip(row, verdicts, strict=True)
                if confidence is not None and verdict is not None
            ]
            n_missing_items += len(row) - len(pairs)
            if pairs:
                judged.append(
                    _Judged(one.user.id, [c for c, _ in pairs], [float(w) for _, w in pairs])
                )
        yield from _findings(context, name, judged, len(asked) - len(judged), n_missing_items)


def _refused(item: RankedItem, asked: ConstrainedRequest) -> bool | None:
    """Whether the title is missing from the catalog; None if it is ambiguous."""
    if item.link == "ambiguous":
        return None
    return item.item_id is None and item.link != "ambiguous_variant"


def _not_relevant(item: RankedItem, asked: ConstrainedRequest) -> bool | None:
    """Whether the item is not a held-out item of the user; None if the user has none."""
    targets = {one.id for one in asked.user.test_items}
    return item.item_id not in targets if targets else None


def _findings(
    context: Context, error: str, judged: Sequence[_Judged], n_missing: int, n_missing_items: int
) -> Iterator[Finding]:
    confidence = [value for one in judged for value in one.confidence]
    wrong = [value for one in judged for value in one.wrong]
    user = np.repeat(np.arange(len(judged)), [len(one.wrong) for one in judged])
    curve = risk_curve(confidence, wrong)
    parameters: dict[str, JsonValue] = {
        "n_items": len(curve),
        "n_items_missing": n_missing_items,
    }
    for name, statistic in STATISTICS.items():
        metric = f"{context.probe_id}.{name}"
        unit, direction = unit_of(metric)

        def resampled(
            rows: NDArray[np.int64],
            statistic: Callable[[NDArray[np.float64]], float | None] = statistic,
        ) -> NDArray[np.float64]:
            times = (np.bincount(row, minlength=len(judged))[user] for row in rows)
            values = [statistic(risks) for risks in risk_curves(confidence, wrong, times)]
            return np.array([np.nan if value is None else value for value in values])

        yield finding(
            context,
            metric,
            bootstrap_statistic(
                len(judged),
                resampled,
                rng=context.rng(error, name),
                unit=unit,
                direction=direction,
                draws=_DRAWS,
                n_missing=n_missing,
                reason="no item has a confidence",
                limits=(0, 1),
            ),
            group=f"error={error}",
            parameters={**parameters, **({"curve": _points(curve)} if name == "aurc" else {})},
            notes=[_BY_ITEMS] if name.startswith("coverage") else [],
        )


def _points(curve: NDArray[np.float64]) -> list[JsonValue]:
    """At most 101 points (coverage, risk) of a curve, for the report."""
    n = len(curve)
    places = np.unique(np.linspace(0, max(0, n - 1), min(n, _POINTS)).astype(int))
    return [[round((int(i) + 1) / n, 6), round(float(curve[i]), 6)] for i in places]
