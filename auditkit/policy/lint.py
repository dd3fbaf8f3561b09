"""Checks of a policy before any audit: limits that no sample can show, and unused waivers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from auditkit.errors import did_you_mean
from auditkit.policy.conjunction import single_conditions
from auditkit.policy.schema import Policy, Rule
from auditkit.policy.vocabulary import DECIDING
from auditkit.registry import metric_spec

__all__ = ["Lint", "NeededN", "lint", "needed_n"]


class Lint(NamedTuple):
    """One warning about a line of a policy."""

    line: int
    rule: str
    message: str


class NeededN(NamedTuple):
    """Number of units at which zero violations certify the limit of a rule; None if the rule does
    not limit a fraction by its bounds.
    """

    rule: str
    metric: str
    limit: float | None
    n: int | None


def lint(policy: Policy) -> list[Lint]:
    """Return warnings about rules and waivers that are valid but probably mistaken.

    Examples: a limit that no sample can prove to be met, a fairness rule on all users together, or
    a waiver of a rule that does not exist.

    Args:
        policy: a policy; duplicate ids and unknown names were rejected when it was read.

    Returns:
        Warnings about the rules, then about the waivers, each in the order of the file.
    """
    found = [
        Lint(policy.rule_lines.get(rule.id, 1), rule.id, message)
        for rule in policy.file.rules
        for one in single_conditions(rule)
        for message in _doubts(one)
    ]
    known = {rule.id: rule for rule in policy.file.rules}
    for waiver in policy.file.waivers:
        rule = known.get(waiver.rule)
        if rule is None:
            near = did_you_mean(waiver.rule, known)
            found.append(
                Lint(1, waiver.rule, f"this waiver names a rule that does not exist.{near}")
            )
        elif waiver.group not in (None, rule.group) and rule.groups is None:
            line = policy.rule_lines.get(rule.id, 1)
            found.append(
                Lint(line, rule.id, f"waiver for group {waiver.group!r}: the rule has no groups")
            )
    return found


def _doubts(rule: Rule) -> Iterator[str]:
    metric = metric_spec(rule.metric)
    limits = rule.limits_of(is_group=False)
    if metric.unit.startswith("fraction") and rule.decide == "bound" and rule.baseline is None:
        if limits.high == 0 or limits.low == 1:
            yield (
                "no sample can show that this limit is met: use 0.01 (or 0.99) with n >= 299, or "
                "decide: point"
            )
        if limits.high == 1 or limits.low == 0:
            yield "a fraction can never violate this limit"
    if rule.baseline is None and limits.low is None and metric.direction == "higher":
        yield "`max` limits a metric for which higher is better"
    if rule.baseline is None and limits.high is None and metric.direction == "lower":
        yield "`min` limits a metric for which lower is better"
    # The concentration of exposure is one number for all users; its groups are other metrics.
    concentration = rule.metric.startswith("fairness.exposure.")
    fairness = rule.metric.startswith("fairness.") and not concentration
    if fairness and rule.severity in DECIDING and rule.group == "all" and rule.groups is None:
        yield (
            "a fairness rule without `group` or `groups` judges a mean, which hides failing groups"
        )


def needed_n(policy: Policy) -> list[NeededN]:
    """Compute, for each rule, the number of units at which zero violations certify its limit.

    n = ceil(ln(1 - confidence) / ln(1 - max)). At a confidence of 0.95, a limit of 1% needs 299
    units, 2% needs 149, 5% needs 59, and 10% needs 29.
    """
    rows = []
    for rule in (one for several in policy.file.rules for one in single_conditions(several)):
        limits = rule.limits_of(is_group=False)
        limit, n = limits.high if limits.high is not None else limits.low, None
        is_rate = metric_spec(rule.metric).unit.startswith("fraction") and rule.baseline is None
        if is_rate and limit is not None and rule.decide == "bound":
            allowed = limit if limits.high is not None else 1 - limit
            confidence = rule.confidence or policy.file.defaults.confidence
            if 0 < allowed < 1:
                n = math.ceil(math.log(1 - confidence) / math.log1p(-allowed) - 1e-9)
        rows.append(NeededN(rule.id, rule.metric, limit, n))
    return rows
