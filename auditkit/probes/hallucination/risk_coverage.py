"""Findings on a risk-coverage curve, for any confidence of items.

The curve shows how the error rate falls if items of low confidence are withheld. The AUC shows
whether confidence separates wrong items from right items. Users are resampled, because items of one
list are not independent.
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
    confidence_aucs,
    coverage_at_risk,
    risk_at_coverage,
    risk_curve,
    risk_curves,
)
from auditkit.probes.base import Context, finding, unit_of
from auditkit.stats.bootstrap import bootstrap_statistic
from auditkit.types import Finding

__all__ = ["ItemsOfUser", "LabeledItems", "Method", "auc_finding", "curve_findings"]

_DRAWS = 1000
_POINTS = 101  # of the curve in the report
_STATISTICS: dict[str, Callable[[NDArray[np.float64]], float | None]] = {
    "aurc": aurc,
    "aurc_excess": aurc_excess,
    "risk_at_coverage_0.5": lambda risks: risk_at_coverage(risks, coverage=0.5),
    "risk_at_coverage_0.8": lambda risks: risk_at_coverage(risks, coverage=0.8),
    "risk_at_coverage_0.9": lambda risks: risk_at_coverage(risks, coverage=0.9),
    "coverage_at_risk_0.05": lambda risks: coverage_at_risk(risks, risk=0.05),
}
_BY_ITEMS = (
    "the upper bound of a 95% Clopper-Pearson interval of the error rate is at most 5%; the "
    "interval treats items as independent"
)
_NOT_TOLD = (
    "not shown to be above 0.5: this confidence does not separate wrong items from right items, "
    "so withholding items of low confidence does not remove wrong items"
)


class Method(NamedTuple):
    """Measure of confidence: its description, and its name as suffix of a finding's group."""

    label: str
    suffix: str

    @property
    def stream(self) -> tuple[str, ...]:
        """Parts of the name of the random generator, in addition to error and metric."""
        return (self.suffix,) if self.suffix else ()


class ItemsOfUser(NamedTuple):
    """Items of one user that have a confidence and an error label."""

    user: str
    confidence: list[float]
    wrong: list[float]


class LabeledItems(NamedTuple):
    """All items with a confidence and a label of one error.

    Attributes:
        judged: items by user.
        n_missing, n_missing_items: number of users, and of items, without confidence or label.
    """

    error: str
    judged: Sequence[ItemsOfUser]
    n_missing: int
    n_missing_items: int

    @property
    def confidence(self) -> list[float]:
        """Confidence of every item, [n]."""
        return [value for one in self.judged for value in one.confidence]

    @property
    def wrong(self) -> list[float]:
        """1 for a wrong item, else 0, [n]."""
        return [value for one in self.judged for value in one.wrong]

    @property
    def user(self) -> NDArray[np.int64]:
        """Index of the user of every item, [n]."""
        return np.repeat(np.arange(len(self.judged)), [len(one.wrong) for one in self.judged])

    def parameters(self, method: Method) -> dict[str, JsonValue]:
        """Return the parameters of a finding that describe the items."""
        return {
            "n_items": len(self.wrong),
            "n_items_missing": self.n_missing_items,
            "confidence": method.label,
        }


def curve_findings(context: Context, items: LabeledItems, method: Method) -> Iterator[Finding]:
    """Yield the summary statistics of one error's curve; the first finding has the curve's
    points.
    """
    confidence, wrong, user = items.confidence, items.wrong, items.user
    n = len(items.judged)
    curve = risk_curve(confidence, wrong)
    parameters = items.parameters(method)
    for name, statistic in _STATISTICS.items():
        metric = f"{context.probe_id}.{name}"
        unit, direction = unit_of(metric)

        def resampled(
            rows: NDArray[np.int64],
            statistic: Callable[[NDArray[np.float64]], float | None] = statistic,
        ) -> NDArray[np.float64]:
            times = (np.bincount(row, minlength=n)[user] for row in rows)
            values = [statistic(risks) for risks in risk_curves(confidence, wrong, times)]
            return np.array([np.nan if value is None else value for value in values])

        yield finding(
            context,
            metric,
            bootstrap_statistic(
                n,
                resampled,
                rng=context.rng(items.error, name, *method.stream),
                unit=unit,
                direction=direction,
                draws=_DRAWS,
                n_missing=items.n_missing,
                reason="no item has a confidence",
                limits=(0, 1),
            ),
            group=f"error={items.error}{method.suffix}",
            parameters={**parameters, **({"curve": _points(curve)} if name == "aurc" else {})},
            notes=[_BY_ITEMS] if name.startswith("coverage") else [],
        )


def auc_finding(context: Context, items: LabeledItems, method: Method) -> Finding:
    """Estimate how well confidence separates wrong items from right items."""
    metric = f"{context.probe_id}.confidence_auc"
    unit, direction = unit_of(metric)
    confidence, wrong, user = items.confidence, items.wrong, items.user

    def resampled(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        times = (np.bincount(row, minlength=len(items.judged))[user] for row in rows)
        values = confidence_aucs(confidence, wrong, times)
        return np.array([np.nan if value is None else value for value in values])

    measured = bootstrap_statistic(
        len(items.judged),
        resampled,
        rng=context.rng(items.error, "confidence_auc", *method.stream),
        unit=unit,
        direction=direction,
        draws=_DRAWS,
        n_missing=items.n_missing,
        reason="all items are right, or all are wrong" if wrong else "no item has a confidence",
        limits=(0, 1),
    )
    low = measured[0].low
    return finding(
        context,
        metric,
        measured,
        group=f"error={items.error}{method.suffix}",
        parameters=items.parameters(method),
        notes=[_NOT_TOLD] if low is not None and low <= 0.5 else [],
    )


def _points(curve: NDArray[np.float64]) -> list[JsonValue]:
    """Return at most 101 points (coverage, risk) of a curve, for the report."""
    n = len(curve)
    places = np.unique(np.linspace(0, max(0, n - 1), min(n, _POINTS)).astype(int))
    return [[round((int(i) + 1) / n, 6), round(float(curve[i]), 6)] for i in places]
