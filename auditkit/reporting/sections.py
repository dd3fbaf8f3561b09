"""Sections of the report by dimension, and the assignment of findings to figures.

A figure contains findings of one probe on one scale. The probes that edit requests share one
figure, so that the edits can be compared. Reference recommenders are shown below the model in the
same figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from auditkit.policy.decision import Decision, RuleVerdict
from auditkit.policy.vocabulary import REFERENCE
from auditkit.registry import OWN_CHECKS, metrics, probes
from auditkit.reporting.exposure_section import Exposure, build_exposure
from auditkit.reporting.fairness_section import Fairness, build_fairness
from auditkit.reporting.hallucination_summary import sentence
from auditkit.reporting.heat_map import TokenEffects, build_token_effects
from auditkit.reporting.interval_plots import Figure, Row, draw
from auditkit.reporting.mitigation_section import PROBE as MITIGATION
from auditkit.reporting.mitigation_section import Mitigations, build_mitigations
from auditkit.reporting.stages_section import Stages, build_stages
from auditkit.types import AuditResult, Finding, Outcome

__all__ = ["DIMENSIONS", "ClaimRow", "Panel", "Section", "build_sections", "row_of", "verdict_of"]

DIMENSIONS: Mapping[str, tuple[str, str]] = {
    "utility": ("Utility", "Are the lists useful at all?"),
    "hallucination": ("Hallucination", "Are recommendations and claims supported by the catalog?"),
    "robustness": ("Robustness", "Does a harmless change of the request change the list?"),
    "fairness": ("Fairness", "Do groups of users get recommendations of equal quality?"),
    "privacy": ("Privacy", "Does the model reveal which users it was trained on?"),
    "explain": ("Explanation", "Do the stated reasons determine the list?"),
}
# Sections that only a result with such a probe has.
_OPTIONAL = {
    "conversation": (
        "Conversation",
        "Does the assistant respect what the user said, and does it use its tools correctly?",
    ),
    OWN_CHECKS: ("Own checks", "How often do responses violate the checks of the recipe?"),
}
_LEAK = "fairness.leak.attack_auc"
_LOWER = "privacy.canary.epsilon_lower"
_ORIGINS = {
    _LEAK: 0.5,
    "privacy.membership.auc": 0.5,
    "privacy.membership.tpr_at_fpr_0.01": 0.01,
    "privacy.canary.auc": 0.5,
}
_FALSE_ALARMS = 0.01
_ACRONYMS = frozenset({"asr", "auc", "fpr", "hr", "mrr", "ndcg", "rbo", "snsr", "snsv", "tpr"})
_ATTACKS = {
    "privacy.membership.auc": ("membership AUC", "0.5 is guessing, 1 identifies every member"),
    "privacy.membership.tpr_at_fpr_0.01": (
        "share of members identified at a false-positive rate of 1%",
        "0.01 is guessing",
    ),
}


@dataclass(frozen=True)
class Panel:
    """One figure, with its metrics and the literature sources of their methods."""

    figure: Figure
    metrics: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class ClaimRow:
    """One row of the table that compares a privacy claim with measurements."""

    quantity: str
    claimed: str | float | None
    finding: Finding | None
    about: str


@dataclass(frozen=True)
class Section:
    """One dimension of the report."""

    key: str
    title: str
    question: str
    panels: tuple[Panel, ...]
    outcomes: tuple[Outcome, ...]
    claims: tuple[ClaimRow, ...] = ()
    mitigations: Mitigations | None = None
    fairness: Fairness | None = None
    exposure: Exposure | None = None
    stages: Stages | None = None
    by_token: TokenEffects | None = None
    lead: str = ""

    @property
    def measured(self) -> bool:
        """Whether a probe of the dimension ran."""
        return any(outcome.status == "ran" for outcome in self.outcomes)


def verdict_of(finding: Finding, decision: Decision | None) -> RuleVerdict | None:
    """Return the most severe verdict of a rule on this finding; None if no rule judges it."""
    order = {"fails": 0, "blocks": 1, "tolerated": 2, "shown": 3, "passes": 4}
    rules = decision.rules if decision else ()
    fitting = [r for r in rules if (r.metric, r.group) == (finding.metric, finding.group)]
    return min(fitting, key=lambda rule: order[rule.effect], default=None)


def row_of(finding: Finding, label: str, decision: Decision | None) -> Row:
    """Convert a finding to a row of a figure and its table."""
    estimate, rule = finding.estimate, verdict_of(finding, decision)
    judged = rule is not None and not rule.against_baseline
    state: Literal["pass", "fail", "inconclusive", "none"] = rule.verdict if rule else "none"
    return Row(
        label=label,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        n_missing=estimate.n_missing,
        level=estimate.level,
        low_limit=rule.low_limit if rule and judged else None,
        high_limit=rule.high_limit if rule and judged else None,
        baseline=finding.baseline.value if finding.baseline else None,
        state=state,
        reference=finding.group.startswith(f"{REFERENCE}="),
        reason=estimate.reason,
        notes=finding.notes,
        group=finding.group,
    )


def _dimension(metric: str) -> str:
    return metric.split(".", 1)[0]


def _short(metric: str) -> str:
    """Return the name of a metric without its probe."""
    spec = metrics().get(metric)
    owner = spec.probe if spec else metric.rsplit(".", 1)[0]
    name = metric.removeprefix(f"{owner}.").removeprefix(f"{_dimension(metric)}.")
    words = name.replace("_", " ").split()
    return " ".join(word.upper() if word.split("@")[0] in _ACRONYMS else word for word in words)


def _panel_key(finding: Finding) -> tuple[str, str]:
    """Return the key of the figure of a finding; the second element is the title of the figure."""
    unit = finding.estimate.unit
    if finding.metric.startswith("utility."):
        return finding.metric, _short(finding.metric)
    if finding.probe.startswith("robustness.") and not finding.probe.startswith("robustness.order"):
        return f"robustness/{_short(finding.metric)}", _short(finding.metric)
    scale = "shares" if unit.startswith("fraction") else unit
    name = finding.probe.split(".", 1)[-1].replace("_", " ")
    return f"{finding.probe}/{scale}", f"{name}: {scale}"


def _label(finding: Finding) -> str:
    group = "" if finding.group == "all" else finding.group
    if finding.metric.startswith("utility."):
        return group.removeprefix(f"{REFERENCE}=") or "this model"
    if finding.metric == _LEAK:
        return group.removeprefix("attribute=").replace("&input=", ", from the ")
    if _panel_key(finding)[0].startswith("robustness/"):
        name = finding.probe.removeprefix("robustness.").replace(".", " ")
    else:
        name = _short(finding.metric)
    return f"{name} \u00b7 {group}" if group else name


def _panels(findings: Sequence[Finding], decision: Decision | None) -> Iterator[Panel]:
    joined: dict[str, list[Finding]] = {}
    for finding in findings:
        joined.setdefault(_panel_key(finding)[0], []).append(finding)
    for members in joined.values():
        members.sort(key=lambda finding: finding.group.startswith(f"{REFERENCE}="))
        first = members[0]
        ids = tuple(dict.fromkeys(finding.metric for finding in members))
        known = [metrics()[name] for name in ids if name in metrics()]
        origin = _ORIGINS.get(first.metric, 0.0)
        units = dict.fromkeys(finding.estimate.unit for finding in members)
        figure = draw(
            [row_of(finding, _label(finding), decision) for finding in members],
            title=_panel_key(first)[1],
            unit=" / ".join(units),
            kind="bars" if _panel_key(first)[0].startswith("robustness/") else "forest",
            origin=origin,
        )
        sources = dict.fromkeys(
            probes()[finding.probe].source for finding in members if finding.probe in probes()
        )
        yield Panel(figure, tuple((spec.id, spec.about) for spec in known), tuple(sources))


def _claims(findings: Sequence[Finding]) -> tuple[ClaimRow, ...]:
    """Compare the claimed epsilon, delta and unit with the measured attacks, one row each."""
    found = {finding.metric: finding for finding in findings}
    epsilon, delta = (found.get(f"privacy.claim.{name}") for name in ("epsilon", "delta"))
    attacks = [f for f in findings if f.metric in _ATTACKS]
    lower = found.get(_LOWER)
    if not (epsilon or attacks or lower):
        return ()
    unit = epsilon.parameters.get("unit") if epsilon else None
    e, d = _claimed(epsilon), _claimed(delta)
    rows = [
        ClaimRow("epsilon (nats)", e, None, "smaller values give stronger privacy"),
        ClaimRow(
            "delta (probability)", d, None, "probability with which the epsilon bound may fail"
        ),
        ClaimRow(
            "protected unit",
            str(unit or "none claimed"),
            None,
            "one record or one user that epsilon protects",
        ),
    ]
    if lower:
        rows.append(ClaimRow("epsilon shown by canaries, nats", e, lower, _reading(lower)))
    for attack in attacks:
        name, reading = _ATTACKS[attack.metric]
        name = name if attack.group == "all" else f"{name}, {attack.group}"
        allowed: float | None = None
        is_rate = attack.metric.startswith("privacy.membership.tpr")
        if is_rate and unit == "user" and isinstance(e, float) and isinstance(d, float):
            allowed = _largest_rate(e, d)
            reading += "; the claim allows at most exp(epsilon) x 0.01 + delta"
        rows.append(ClaimRow(name, allowed, attack, reading))
    return tuple(rows)


def _reading(lower: Finding) -> str:
    """Explain the lower bound of a canary audit and the largest bound that it could have shown."""
    most = lower.baseline.value if lower.baseline else None
    if most is None:
        return lower.estimate.reason or "a lower bound"
    return f"a lower bound, at most {most:.2f} in this audit; {lower.notes[0]}"


def _largest_rate(epsilon: float, delta: float) -> float:
    """Return the largest true-positive rate at a false-positive rate of 1% that the claim
    allows.
    """
    return min(1.0, math.exp(min(epsilon, 50.0)) * _FALSE_ALARMS + delta)


def _claimed(finding: Finding | None) -> str | float:
    value = finding.estimate.value if finding else None
    return "none claimed" if value is None else value


def build_sections(result: AuditResult, decision: Decision | None) -> list[Section]:
    """Create one section per dimension in the order of the report; none is left out."""
    keys = [*DIMENSIONS, *sorted({_dimension(o.probe) for o in result.outcomes} - set(DIMENSIONS))]
    sections = []
    for key in keys:
        title, question = {**DIMENSIONS, **_OPTIONAL}.get(key, (key, ""))
        findings = [f for f in result.findings if _dimension(f.metric) == key]
        claims = _claims(findings) if key == "privacy" else ()
        exposure = build_exposure(findings)
        stages = build_stages(findings)
        told = exposure.told if exposure else frozenset()
        told |= stages.told if stages else frozenset()
        drawn = [
            f
            for f in findings
            if f.probe != MITIGATION
            and not (claims and f.metric.startswith("privacy.claim."))
            # Findings with a rule stay in a panel, which shows their limit.
            and not ((f.metric, f.group) in told and verdict_of(f, decision) is None)
        ]
        outcomes = tuple(o for o in result.outcomes if _dimension(o.probe) == key)
        panels = tuple(_panels(drawn, decision))
        sections.append(
            Section(
                key,
                title,
                question,
                panels,
                outcomes,
                claims=claims,
                mitigations=build_mitigations(findings),
                fairness=build_fairness(findings),
                exposure=exposure,
                stages=stages,
                by_token=build_token_effects(findings),
                lead=sentence(findings) if key == "hallucination" else "",
            )
        )
    return sections
