"""Headline of each dimension: the metric with the most severe verdict, or the first metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auditkit.comparison.headline_metrics import (
    dimension_of,
    gravity,
    headline_of,
    is_reference,
)
from auditkit.policy.decision import Decision, RuleVerdict
from auditkit.policy.vocabulary import DECIDING
from auditkit.reporting.sections import Section
from auditkit.reporting.statements.first_screen import limit_in_words
from auditkit.reporting.statements.numbers import in_words, range_in_words
from auditkit.reporting.statements.wording import clause
from auditkit.types import AuditResult, Finding

__all__ = ["Headline", "headlines"]


class InWords(NamedTuple):
    """A value, its interval and its limit as text, and a sentence about the value."""

    value: str
    range: str
    limit: str
    said: str


@dataclass(frozen=True)
class Headline:
    """Content of the card of a dimension.

    `rule` is the verdict on the displayed number. `gravest` is the most severe verdict of the
    dimension, possibly that of a check that could not run; this verdict determines the card's color
    and word. `reasons` state why probes did not run.
    """

    section: Section
    finding: Finding | None
    rule: RuleVerdict | None
    gravest: RuleVerdict | None
    words: InWords
    reasons: tuple[str, ...]
    n_rules: int
    n_open: int

    @property
    def state(self) -> str:
        """Verdict of the card: `fail`, `inconclusive`, `pass`, or `none` if there is no verdict."""
        return self.gravest.verdict if self.gravest else "none"

    @property
    def word(self) -> str:
        """Word for the state on the card."""
        if self.gravest is not None:
            return self.gravest.verdict
        return "not judged" if self.finding else "not tested"


def headlines(
    result: AuditResult, decision: Decision | None, sections: Sequence[Section]
) -> list[Headline]:
    """Create one card per section."""
    return [_headline(result, decision, section) for section in sections]


def _headline(result: AuditResult, decision: Decision | None, section: Section) -> Headline:
    every = decision.rules if decision else ()
    rules = [r for r in every if r.dimension == section.key and not _not_planned(r)]
    findings = [
        f for f in result.findings if dimension_of(f.metric) == section.key and not is_reference(f)
    ]
    gravest = min(rules, key=gravity, default=None)
    measured = {(f.metric, f.group): f for f in findings}
    judged = [r for r in rules if (r.metric, r.group) in measured]
    rule = min(judged, key=gravity, default=None)
    finding = headline_of(findings, section.key)
    if rule is not None:
        finding = measured[rule.metric, rule.group]
    stopped = [o for o in section.outcomes if o.status != "ran"]
    reasons = [f"{o.probe} {o.status}: {o.reason or 'no reason recorded'}" for o in stopped]
    if not section.outcomes:
        reasons = ["no probe of this dimension was planned"]
    n_open = sum(r.verdict != "pass" for r in rules)
    words = _in_words(finding, rule)
    return Headline(section, finding, rule, gravest, words, tuple(reasons), len(rules), n_open)


def _not_planned(rule: RuleVerdict) -> bool:
    """Whether a rule is a warning about a probe that was not part of the audit.

    Such a rule says nothing about the recommender and does not block a release.
    """
    return rule.reason == "metric_missing" and rule.severity not in DECIDING


def _in_words(finding: Finding | None, rule: RuleVerdict | None) -> InWords:
    estimate = finding.estimate if finding else None
    limit = limit_in_words(rule, rule.unit) if rule else ""
    if finding is None or estimate is None or estimate.value is None:
        return InWords("\u2013", "", limit, "")
    unit, low, high = estimate.unit, estimate.low, estimate.high
    said = clause(finding.metric, finding.group, estimate)
    return InWords(
        value=in_words(estimate.value, unit, low=low, high=high),
        range="" if low is None or high is None else range_in_words(low, high, unit),
        limit=limit,
        said=f"{said[0].upper()}{said[1:]}.",
    )
