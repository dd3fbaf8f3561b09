"""The headline of each dimension: its gravest judged number, or its first measured one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditkit.decision import Decision, RuleVerdict
from auditkit.policy_terms import REFERENCE
from auditkit.registry import metrics
from auditkit.report.sections import Section, verdict_of
from auditkit.types import AuditResult, Finding

__all__ = ["Headline", "headlines"]

_FIRST = (
    "utility.ranking.ndcg@10", "hallucination.catalog.out_of_catalog_rate",
    "robustness.prompt.typo.asr", "fairness.counterfactual.snsr", "privacy.membership.auc",
    "explain.comprehensiveness",
)  # fmt: skip
_EFFECTS = ("fails", "blocks", "tolerated", "passes", "shown")
_SEVERITIES = ("blocker", "major", "minor", "info")


@dataclass(frozen=True)
class Headline:
    """What a dimension's card shows; `reason` says why there is no number."""

    section: Section
    finding: Finding | None
    rule: RuleVerdict | None
    about: str
    reason: str
    n_rules: int
    n_open: int

    @property
    def state(self) -> str:
        """`fail`, `inconclusive`, `pass`, or `none` where nothing was judged."""
        return self.rule.verdict if self.rule else "none"

    @property
    def word(self) -> str:
        """The state in words."""
        if self.finding is None and self.rule is None:
            return "not tested"
        return self.rule.verdict if self.rule else "not judged"


def headlines(
    result: AuditResult, decision: Decision | None, sections: Sequence[Section]
) -> list[Headline]:
    """One card per section."""
    return [_headline(result, decision, section) for section in sections]


def _headline(result: AuditResult, decision: Decision | None, section: Section) -> Headline:
    rules = [r for r in (decision.rules if decision else ()) if r.dimension == section.key]
    findings = [
        f
        for f in result.findings
        if f.metric.split(".", 1)[0] == section.key and not f.group.startswith(f"{REFERENCE}=")
    ]
    rule = min(rules, key=_gravity, default=None)
    finding = next(
        (f for f in findings if rule and (f.metric, f.group) == (rule.metric, rule.group)), None
    )
    if rule is None:
        finding = next(
            (f for f in findings if f.metric in _FIRST), findings[0] if findings else None
        )
        rule = verdict_of(finding, decision) if finding else None
    name = finding.metric if finding else rule.metric if rule else ""
    about = metrics()[name].about if name in metrics() else ""
    stopped = [o for o in section.outcomes if o.status != "ran"]
    reasons = [f"{o.probe} {o.status}: {o.reason or 'no reason recorded'}" for o in stopped]
    reason = "; ".join(reasons) or "no probe of this dimension was planned"
    n_open = sum(r.verdict != "pass" for r in rules)
    return Headline(section, finding, rule, about, reason, len(rules), n_open)


def _gravity(rule: RuleVerdict) -> tuple[int, int, int]:
    first = _FIRST.index(rule.metric) if rule.metric in _FIRST else len(_FIRST)
    return _EFFECTS.index(rule.effect), _SEVERITIES.index(rule.severity), first
