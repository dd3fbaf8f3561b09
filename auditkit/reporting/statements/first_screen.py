"""The first screen of a report: release decision, reasons, examples, changes, and untested
parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditkit.comparison.headline_metrics import gravity
from auditkit.policy.decision import Decision, RuleVerdict
from auditkit.policy.vocabulary import STATISTICAL
from auditkit.reporting.statements.numbers import in_words, range_in_words
from auditkit.reporting.statements.suspicion import suspicion
from auditkit.reporting.statements.wording import clause, means, remedy
from auditkit.types import AuditResult, Finding

__all__ = ["FirstScreen", "Statement", "first_screen", "limit_in_words", "statement", "weight"]

_SHOWN = 5
_WHY_OPEN = {
    "straddles": "the interval includes the limit, so more data must decide",
    "too_few": "too few users were measured",
    "low_coverage": "too many responses are missing",
    "probe_skipped": "the check could not run",
    "probe_error": "the check crashed",
    "metric_missing": "the audit did not measure this metric",
    "group_missing": "the data do not contain this group",
}


@dataclass(frozen=True)
class Statement:
    """One rule and its result as sentences.

    Attributes:
        state: verdict of the rule.
        dimension: section of the report with all recorded cases.
        sentence: the measured result.
        facts: interval and limit of the value, and why a rule is undecided.
        example: one recorded case; empty if there is none.
        means: consequence for users; empty for a rule that passes.
        remedy: what to try next; empty for a rule that passes.
    """

    state: str
    dimension: str
    sentence: str
    facts: str = ""
    example: str = ""
    means: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class FirstScreen:
    """Sentences of the first screen.

    Attributes:
        may_it_ship: the decision.
        why: the rules that decide against a release, the most severe first.
        n_more: number of such rules beyond those in `why`.
        changed: result of the comparison with the policy's baseline, or a note that there was none.
        not_tested: counts of checks that did not run and of groups that were too small.
        warning: warning about a suspiciously good model; empty for other models.
    """

    may_it_ship: str
    why: tuple[Statement, ...]
    n_more: int
    changed: str
    not_tested: str
    warning: str = ""


def first_screen(
    result: AuditResult, decision: Decision | None, *, n_not_planned: int, n_small_groups: int
) -> FirstScreen:
    """Build the sentences of the first screen.

    Args:
        result: the measurements.
        decision: the verdicts; None if no policy was applied.
        n_not_planned: number of probes that the recipe left out.
        n_small_groups: number of groups of fewer than 30 users.
    """
    rules = decision.rules if decision else ()
    against = sorted((r for r in rules if r.effect in ("fails", "blocks")), key=weight)
    warning = suspicion(result.findings)
    shipping = _may_it_ship(decision, against)
    if warning and decision is not None and decision.verdict == "pass":
        shipping = f"{shipping[:-1]}, but read the warning about suspiciously good results."
    return FirstScreen(
        may_it_ship=shipping,
        why=tuple(statement(rule, result) for rule in against[:_SHOWN]),
        n_more=max(0, len(against) - _SHOWN),
        changed=_changed(rules),
        not_tested=_not_tested(result, n_not_planned, n_small_groups),
        warning=warning,
    )


def weight(rule: RuleVerdict) -> tuple[int, int, bool, int]:
    """Return the sort key of a rule: effect on the release, then severity, measured rules first."""
    effect, severity, usual = gravity(rule)
    return effect, severity, rule.value is None, usual


def _may_it_ship(decision: Decision | None, against: Sequence[RuleVerdict]) -> str:
    if decision is None:
        return "No policy was applied to these measurements, so this is not a release decision."
    n, failed = len(decision.rules), sum(rule.effect == "fails" for rule in against)
    if decision.verdict == "pass":
        open_ = decision.counts["inconclusive"]
        some = f"; {open_} undecided rules do not block it" if open_ else ""
        return f"The recommender may be released: it breaks no rule of the policy{some}."
    if decision.verdict == "fail":
        return f"The recommender must not be released: {_count(failed, 'check')} of {n} failed."
    undecided = len(against) - failed
    if undecided:
        return (
            f"The recommender cannot be released yet: {_count(undecided, 'check')} of {n} could "
            "not be decided."
        )
    return (
        "The recommender cannot be released yet: the run does not meet a requirement of the policy."
    )


def _changed(rules: Sequence[RuleVerdict]) -> str:
    compared = [rule for rule in rules if rule.against_baseline]
    if not compared:
        return (
            "This run was not compared with an earlier run; `auditkit diff EARLIER THIS` shows "
            "what changed."
        )
    worse = sum(rule.verdict == "fail" for rule in compared)
    open_ = sum(rule.verdict == "inconclusive" for rule in compared)
    return (
        f"Compared with the baseline, {worse} of {_count(len(compared), 'metric')} got worse than "
        f"the policy allows, and {open_} could not be decided."
    )


def _not_tested(result: AuditResult, n_not_planned: int, n_small_groups: int) -> str:
    stopped = [outcome for outcome in result.outcomes if outcome.status != "ran"]
    crashed = sum(outcome.status == "error" for outcome in stopped)
    skipped = len(stopped) - crashed
    parts = [
        (crashed, "check", "crashed", "crashed"),
        (skipped, "planned check", "could not run", "could not run"),
        (n_not_planned, "check", "was not in the recipe", "were not in the recipe"),
        (n_small_groups, "group", "has fewer than 30 users", "have fewer than 30 users"),
    ]
    told = [f"{_count(n, noun)} {one if n == 1 else many}" for n, noun, one, many in parts if n]
    return "; ".join(told) + "." if told else "Every check of auditkit ran."


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("s" if n != 1 else "")


def statement(rule: RuleVerdict, result: AuditResult) -> Statement:
    """Describe a rule and its result, with an example if one was recorded."""
    finding = _finding(rule, result)
    sentence, facts = _sentence(rule, finding)
    if rule.verdict != "fail":
        return Statement(rule.verdict, rule.dimension, sentence, facts)
    cases = finding.evidence if finding else ()
    return Statement(
        state=rule.verdict,
        dimension=rule.dimension,
        sentence=sentence,
        facts=facts,
        example=cases[0].what if cases else "",
        means=means(rule.metric),
        remedy=remedy(rule.metric),
    )


def _finding(rule: RuleVerdict, result: AuditResult) -> Finding | None:
    fitting = [f for f in result.findings if (f.metric, f.group) == (rule.metric, rule.group)]
    return next((f for f in fitting if f.estimate.value == rule.value), next(iter(fitting), None))


def _sentence(rule: RuleVerdict, finding: Finding | None) -> tuple[str, str]:
    estimate = finding.estimate if finding else None
    if rule.against_baseline and rule.value is not None:
        return f"Against the baseline: {rule.sentence}", ""
    if estimate is None or estimate.value is None:
        why = _why_open(rule)
        return f"Not measured: {_rule_in_words(rule)}.", f"{why[0].upper()}{why[1:]}."
    said = clause(rule.metric, rule.group, estimate)
    unit = estimate.unit
    facts = [f"limit: {limit_in_words(rule, unit)}"]
    if estimate.low is not None and estimate.high is not None:
        level = f"{100 * estimate.level:.3g}%"
        facts.insert(0, f"{level} interval: {range_in_words(estimate.low, estimate.high, unit)}")
    if rule.verdict == "inconclusive":
        return f"Undecided: {said}.", f"{'; '.join([*facts, _why_open(rule)])}."
    return f"{said[0].upper()}{said[1:]}.", f"{'; '.join(facts)}."


def _rule_in_words(rule: RuleVerdict) -> str:
    group = "" if rule.group == "all" else f" ({rule.group.replace('=', ' = ')})"
    return f"{rule.rule.replace('-', ' ')}{group}"


def _why_open(rule: RuleVerdict) -> str:
    word = rule.reason or "not measured"
    told = _WHY_OPEN.get(word, word.replace("_", " "))
    return f"{told} ({rule.detail})" if rule.detail and word not in STATISTICAL else told


def limit_in_words(rule: RuleVerdict, unit: str) -> str:
    """Return the limit of a rule with its unit, such as `at most 10%`."""
    low, high = rule.low_limit, rule.high_limit
    words = [None if limit is None else in_words(limit, unit) for limit in (low, high)]
    if words[0] is not None and words[1] is not None:
        return f"between {words[0]} and {words[1]}"
    return f"at least {words[0]}" if words[0] is not None else f"at most {words[1]}"
