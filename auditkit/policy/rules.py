"""Evaluation of one rule on one finding: data checks, then value, bounds and p-values.

Nothing here is corrected for multiple rules; `auditkit.policy.decide` does that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from auditkit.policy.schema import Defaults, Rule, Waiver
from auditkit.policy.vocabulary import Limits, group_attributes
from auditkit.registry import metric_spec
from auditkit.stats.bounds import Side, one_sided_bounds, p_fail
from auditkit.stats.paired import PairedComparison
from auditkit.types import AuditResult, Band, Binomial, Exact, Finding

__all__ = ["Case", "cases_of", "find", "measure"]


@dataclass
class Case:
    """Intermediate state of the decision of one rule on one group.

    `p_values` are corrected for multiplicity together with those of other rules. `beyond` are the
    limits that a decision without correction (band, exact, point) found violated. `by_construction`
    says why the value can only be 0; such a value has no sampling error.
    """

    rule: Rule
    group: str
    is_group: bool
    limits: Limits
    confidence: float
    min_n: int
    waiver: Waiver | None = None
    finding: Finding | None = None
    reason: str | None = None
    detail: str | None = None
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_values: list[float] = field(default_factory=list)
    p_adjusted: list[float] = field(default_factory=list)
    beyond: bool = False
    by_construction: str | None = None
    undecided_group: bool = False

    def stop(self, reason: str, detail: str | None = None) -> None:
        """Make the case inconclusive, with a reason and an explanation of this reason."""
        self.reason, self.detail = reason, detail

    @property
    def within(self) -> bool:
        """Whether both bounds lie within the limits."""
        low, high = self.limits
        return (
            self.lower is not None
            and self.upper is not None
            and (low is None or self.lower >= low)
            and (high is None or self.upper <= high)
        )


def cases_of(rule: Rule, result: AuditResult, defaults: Defaults) -> Iterator[Case]:
    """Yield the case of the rule itself, then one case for each group that the run measured.

    An attribute in `groups.by` without a measured group yields an inconclusive case with the reason
    `metric_missing`, because an unmeasured group must not count as passing.
    """

    def case(group: str, *, is_group: bool) -> Case:
        own_n = rule.groups.min_n if is_group and rule.groups else None
        return Case(
            rule,
            group,
            is_group,
            rule.limits_of(is_group=is_group),
            rule.confidence or defaults.confidence,
            own_n or rule.min_n or defaults.min_n,
        )

    yield case(rule.group, is_group=False)
    for attribute in rule.groups.by if rule.groups else ():
        names = [
            finding.group
            for finding in result.findings
            if finding.metric == rule.metric and group_attributes(finding.group) == attribute
        ]
        for name in sorted(set(names)) or [attribute]:
            yield case(name, is_group=True)


def find(rule: Rule, group: str, result: AuditResult) -> Finding | tuple[str, str | None]:
    """Return the finding that a rule evaluates, or (reason, detail) if not exactly one finding
    matches.
    """
    probe = metric_spec(rule.metric).probe
    outcomes = [outcome for outcome in result.outcomes if outcome.probe == probe]
    for outcome in outcomes:
        if outcome.status != "ran":
            word = "probe_error" if outcome.status == "error" else "probe_skipped"
            return word, outcome.reason
    named = [f for f in result.findings if f.metric == rule.metric and f.group == group]
    matching = [f for f in named if _has_parameters(f, rule)]
    of_metric = {f.group for f in result.findings if f.metric == rule.metric}
    if not named and of_metric and "all" not in of_metric:
        groups = ", ".join(sorted(of_metric))
        return "group_missing", f"the data do not have this group, only {groups}"
    if not named:
        return "metric_missing", None if outcomes else "the probe was not part of the audit"
    if not matching:
        return "not_assessable", f"no finding was measured at {dict(rule.at)}"
    if len(matching) > 1:
        return "not_assessable", f"{len(matching)} findings match; select one with `at`"
    return matching[0]


def _has_parameters(finding: Finding, rule: Rule) -> bool:
    return all(_same(finding.parameters.get(name), wanted) for name, wanted in rule.at.items())


def _same(given: object, wanted: str | int | float | bool) -> bool:
    """Whether two parameter values are equal; numbers are compared up to rounding."""
    if isinstance(given, int | float) and isinstance(wanted, int | float):
        is_flag = isinstance(given, bool) or isinstance(wanted, bool)
        return given is wanted if is_flag else math.isclose(given, wanted, rel_tol=1e-9)
    return given == wanted


def check_data(case: Case, defaults: Defaults) -> bool:
    """Check whether the estimate can be judged; otherwise make the case inconclusive, and return
    False.
    """
    assert case.finding is not None
    estimate, law = case.finding.estimate, case.finding.law
    why = case.finding.by_construction
    if why is not None and case.rule.require_evidence:
        case.value = estimate.value
        case.stop("by_construction", f"{why}; the rule requires evidence")
        return False
    if case.rule.baseline is None:  # a difference to a baseline has a sampling error of its own
        case.by_construction = why
    if case.is_group and estimate.n < case.min_n and not case.by_construction:
        case.value, case.undecided_group = estimate.value, True
        case.stop("too_few", f"n = {estimate.n}; groups with n below {case.min_n} do not decide")
        return False
    if estimate.value is None:
        reason = estimate.reason or "no value"
        own = reason.startswith("not_assessable")
        word = "not_assessable" if own else "undefined"
        case.stop(word, reason.removeprefix("not_assessable").lstrip(": ") if own else reason)
        return False
    if isinstance(law, Binomial) and (law.n <= 0 or law.n_eff <= 0):
        case.stop("undefined", "the rate has no rows to be computed over")
        return False
    sampled = isinstance(law, Band) and not case.by_construction
    if sampled and (estimate.low is None or estimate.high is None):
        case.value = estimate.value
        case.stop(
            "not_assessable",
            estimate.reason or "a pilot run has too few units for confidence bounds",
        )
        return False
    if sampled and case.confidence > estimate.level:
        case.value = estimate.value
        case.stop("not_assessable", f"its bounds have a confidence of only {estimate.level:g}")
        return False
    needed = defaults.min_coverage if case.rule.min_coverage is None else case.rule.min_coverage
    planned = estimate.n + estimate.n_missing
    coverage = estimate.n / planned if planned else float(isinstance(law, Exact))
    if coverage < needed:
        case.value = estimate.value
        case.stop(
            "low_coverage",
            f"{estimate.n} of {planned} units were measured, {needed:.0%} are needed",
        )
        return False
    return True


def measure(case: Case) -> None:
    """Set value, bounds and p-values of a case that passed `check_data`."""
    assert case.finding is not None
    assert case.finding.estimate.value is not None
    estimate, law = case.finding.estimate, case.finding.law
    case.value = value = case.finding.estimate.value
    low, high = case.limits
    certain = case.rule.decide == "point" or case.by_construction is not None
    if certain:
        case.lower = case.upper = value
    else:
        case.lower, case.upper = one_sided_bounds(law, estimate, case.confidence)
        sides: tuple[tuple[Side, float | None], ...] = (("max", high), ("min", low))
        for side, limit in sides:
            p = None if limit is None else p_fail(law, estimate, limit, side)
            if p is not None:
                case.p_values.append(p)
    if not case.p_values:
        corrected = getattr(law, "p_adjusted", None)
        real = corrected is None or certain or corrected < 1 - case.confidence
        outside = (high is not None and case.lower > high) or (low is not None and case.upper < low)
        case.beyond = outside and real


def measure_difference(case: Case, comparison: PairedComparison) -> None:
    """Set value, bounds and p-values of a baseline rule from its paired comparison."""
    case.value, case.lower, case.upper = comparison.delta, comparison.lower, comparison.upper
    case.p_values = [comparison.p_fail]
