"""Validated types of policy fields: metric and probe names, fractions and limits."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.registry import metric_spec, metrics, probes

__all__ = [
    "DECIDING",
    "REFERENCE",
    "STATISTICAL",
    "Confidence",
    "Count",
    "Decide",
    "Fraction",
    "Group",
    "Limits",
    "MetricId",
    "Number",
    "OnInconclusive",
    "OnSkipped",
    "ProbeId",
    "Severity",
    "group_attributes",
]

Severity = Literal["blocker", "major", "minor", "info"]
OnInconclusive = Literal["fail", "warn", "pass"]
OnSkipped = Literal["block", "show"]
Decide = Literal["bound", "point"]
DECIDING: frozenset[str] = frozenset({"blocker", "major"})
STATISTICAL = frozenset({"straddles", "too_few"})  # reasons that more data would remove
REFERENCE = "baseline"  # findings of reference recommenders have the group `baseline=NAME`

Number = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Confidence = Annotated[float, Field(gt=0.5, lt=1)]
Count = Annotated[int, Field(ge=1)]


def _known_metric(name: str) -> str:
    try:
        metric_spec(name)
    except ConfigurationError:
        raise ValueError(f"unknown metric.{did_you_mean(name, metrics())}") from None
    return name


def _known_probe(name: str) -> str:
    if name not in probes():
        raise ValueError(f"unknown probe.{did_you_mean(name, probes())}")
    return name


def group_attributes(group: str) -> str:
    """Attributes of a group, joined by `&`: `gender&age` for `gender=F&age=18-24`.

    The result is empty for `all`, and for the group of a gap finding, which is only the name of an
    attribute.
    """
    return "&".join(re.findall(r"(?:^|&)([^&=]+)=", group))


def _no_reference(name: str) -> str:
    if name == REFERENCE or name.startswith(f"{REFERENCE}="):
        raise ValueError(
            "results of reference baselines are only shown, and rules cannot judge them"
        )
    return name


MetricId = Annotated[str, AfterValidator(_known_metric)]
ProbeId = Annotated[str, AfterValidator(_known_probe)]
Group = Annotated[str, Field(min_length=1), AfterValidator(_no_reference)]


class Limits(NamedTuple):
    """Range of allowed values: at least `low` and at most `high`; None means unlimited."""

    low: float | None
    high: float | None

    def within(self, other: Limits) -> bool:
        """Whether `other` allows every value that these limits allow."""
        low, high = self._closed()
        other_low, other_high = other._closed()
        return other_low <= low and high <= other_high

    def _closed(self) -> tuple[float, float]:
        return (
            float("-inf") if self.low is None else self.low,
            float("inf") if self.high is None else self.high,
        )
