"""Summary of the item checks in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from auditkit.types import Finding

__all__ = ["sentence"]

_PREFIX = "hallucination.catalog."


def sentence(findings: Sequence[Finding]) -> str:
    """Write a sentence about titles that are not in the catalog; empty without such a
    measurement.
    """
    rates = {
        f.metric.removeprefix(_PREFIX): f
        for f in findings
        if f.metric.startswith(_PREFIX) and f.group == "all"
    }
    total = rates.get("out_of_catalog_rate")
    if total is None or total.estimate.value is None:
        return ""
    estimate, n = total.estimate, total.parameters.get("titles")
    range_ = ""
    if estimate.low is not None and estimate.high is not None:
        range_ = f" ({_percent(estimate.low)} to {_percent(estimate.high)})"
    parts = [
        f"{_percent(found.estimate.value)} {words}"
        for name, words in (
            ("invented_rate", "invented"),
            ("near_miss_rate", "near misses"),
            ("year_conflict_rate", "with a wrong year"),
        )
        if (found := rates.get(name)) is not None and found.estimate.value is not None
    ]
    unsure = rates.get("ambiguous_rate")
    said = f"Of {n} titles, " if isinstance(n, int) else "Of the titles, "
    said += f"{_percent(estimate.value or 0.0)}{range_} are not in the catalog"
    said += f": {', '.join(parts)}" if parts else ""
    if unsure is not None and unsure.estimate.value is not None:
        said += f"; {_percent(unsure.estimate.value)} match several entries"
    return said + ". Shares are means over users."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
