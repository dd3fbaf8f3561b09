"""Gate: decide pass, fail or inconclusive from an audit result and a policy.

A rule fails only if its bound, corrected for the number of rules, is beyond the limit. It passes
only if its bound is within the limit and there are enough data. Otherwise it is inconclusive, with
a reason. A check that could not run never counts as a pass.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from auditkit.errors import ConfigurationError
from auditkit.evidence.manifest import Verification
from auditkit.policy.baseline import check_comparable, compare, incomparable
from auditkit.policy.conjunction import combined, single_conditions
from auditkit.policy.decision import AppliedWaiver, Decision, Effect, RuleVerdict, Word
from auditkit.policy.lint import Lint, NeededN, lint, needed_n
from auditkit.policy.overall import check_requirements, overall
from auditkit.policy.rules import (
    Case,
    cases_of,
    check_data,
    find,
    measure,
    measure_difference,
)
from auditkit.policy.schema import Defaults, Policy, PolicyFile, Waiver
from auditkit.policy.stated_checks import require_stated_checks
from auditkit.policy.vocabulary import DECIDING, STATISTICAL
from auditkit.registry import metric_spec
from auditkit.stats.multiplicity import holm
from auditkit.types import AuditResult, Exact, Finding

__all__ = ["Decision", "Lint", "NeededN", "Policy", "decide", "lint", "needed_n"]

_CANNOT_BE_MEASURED = ("probe_skipped", "group_missing")


def decide(
    result: AuditResult,
    policy: Policy,
    *,
    baseline: AuditResult | None = None,
    verification: Verification | None = None,
    as_of: datetime.date | None = None,
    strict: bool = False,
    allow_incomparable: bool = False,
) -> Decision:
    """Judge the result of an audit by a policy.

    Args:
        result: result of an audit.
        policy: the rules.
        baseline: result with which baseline rules compare the candidate.
        verification: result of `verify_run`; its evidence root is written into the decision.
        as_of: the day for which expiry dates of waivers are checked; today in UTC by default.
        strict: whether every inconclusive rule blocks.
        allow_incomparable: whether to compare with a baseline of another version, recipe, data or
            catalog; the verdict is then never pass.

    Returns:
        The decision, from which all outputs are written.

    Raises:
        ConfigurationError: the policy has baseline rules, but the baseline is missing or not
            comparable; or a rule names a check that the recipe of the run does not state.
    """
    file = policy.file
    today = as_of or datetime.datetime.now(datetime.UTC).date()
    require_stated_checks(file, result.recipe.get("probes"))
    waivers, warnings = _waivers_in_force(policy, today)
    conditions = [one for rule in file.rules for one in single_conditions(rule)]
    cases = [case for one in conditions for case in cases_of(one, result, file.defaults)]
    for case in cases:
        _look_up(case, result, waivers, file.defaults)
    warnings += _unused(file.waivers, cases)
    differences = _measure_all(cases, result, baseline)
    if not allow_incomparable:
        check_comparable(differences)
    _correct(cases, file.defaults)
    _settle_groups(cases)
    several = frozenset(rule.id for rule in file.rules if rule.all_of)
    rules = tuple(combined([_verdict(case, policy, strict=strict) for case in cases], several))
    requirements = check_requirements(file.require, result)
    word, exit_code, reasons = overall(rules, requirements, incomparable=differences)
    return Decision(
        verdict=word,
        exit_code=exit_code,
        reasons=tuple(reasons),
        policy=file.name,
        policy_source=policy.source,
        policy_sha256=policy.sha256,
        run_key=result.run_key,
        evidence_root=verification.root if verification else None,
        target=result.target.name,
        target_fingerprint=result.target.fingerprint,
        rules=rules,
        requirements=tuple(requirements),
        warnings=tuple(warnings),
        as_of=today.isoformat() if file.waivers else None,
    )


def _waivers_in_force(policy: Policy, today: datetime.date) -> tuple[list[Waiver], list[str]]:
    """Waivers that have not expired, and a warning for each expired waiver."""
    live = [waiver for waiver in policy.file.waivers if waiver.expires >= today]
    expired = [waiver for waiver in policy.file.waivers if waiver.expires < today]
    return live, [
        f"the waiver of rule {w.rule} expired on {w.expires.isoformat()}; the limit of the rule "
        "applies"
        for w in expired
    ]


def _unused(waivers: Sequence[Waiver], cases: Sequence[Case]) -> list[str]:
    return [
        f"the waiver of rule {waiver.rule}{f' (group {waiver.group})' * bool(waiver.group)} "
        "matches no rule and group"
        for waiver in waivers
        if not any(waiver.applies_to(case.rule, case.group) for case in cases)
    ]


def _look_up(
    case: Case, result: AuditResult, waivers: Sequence[Waiver], defaults: Defaults
) -> None:
    """Find the finding of a case, apply a waiver, and check the data."""
    for waiver in waivers:
        if waiver.applies_to(case.rule, case.group):
            case.waiver, case.limits = waiver, waiver.loosen(case.limits)
    found = find(case.rule, case.group, result)
    if isinstance(found, Finding):
        case.finding = found
        check_data(case, defaults)
    else:
        case.stop(*found)


def _measure_all(
    cases: Sequence[Case], result: AuditResult, baseline: AuditResult | None
) -> list[str]:
    """Compute bounds and p-values of every case whose data are usable.

    Returns:
        The differences that make the baseline incomparable.
    """
    ready = [case for case in cases if case.reason is None]
    for case in ready:
        if case.rule.baseline is None:
            measure(case)
    paired = [case for case in ready if case.rule.baseline is not None]
    if baseline is None:
        if any(case.rule.baseline is not None for case in cases):
            raise ConfigurationError(
                "the policy has baseline rules, but no baseline was given. Name a baseline with "
                "--baseline RUN or with `baseline:` in the policy."
            )
        return []
    pairs: list[tuple[Case, Finding, Finding]] = []
    for case in paired:
        theirs = find(case.rule, case.group, baseline)
        if isinstance(theirs, Finding) and case.finding is not None:
            pairs.append((case, case.finding, theirs))
        else:
            case.stop("incomparable", "the baseline has no finding for this metric and group")
    for case, ours, theirs in pairs:
        margin = case.limits.high or 0.0
        outcome = compare(ours, theirs, margin=margin, confidence=case.confidence, run=result)
        if isinstance(outcome[0], str):
            case.stop(str(outcome[0]), str(outcome[1]))
        else:
            measure_difference(case, outcome)
    return incomparable(result, baseline, [(ours, theirs) for _, ours, theirs in pairs])


def _correct(cases: Sequence[Case], defaults: Defaults) -> None:
    """Adjust the p-values of blocker and major cases together; leave minor and info unadjusted."""
    family = [case for case in cases if case.rule.severity in DECIDING and case.p_values]
    raw = [p for case in family for p in case.p_values]
    adjusted = iter(holm(raw) if defaults.correction == "holm" else raw)
    for case in cases:
        in_family = case.rule.severity in DECIDING
        case.p_adjusted = [next(adjusted) for _ in case.p_values] if in_family else case.p_values


def _settle_groups(cases: Sequence[Case]) -> None:
    """Make a rule with `all_pass` inconclusive if all of its groups are too small.

    In this case, no group provided evidence.
    """
    for case in cases:
        if case.undecided_group and case.rule.groups and case.rule.groups.decide == "all_pass":
            groups = [c for c in cases if c.rule.id == case.rule.id and c.is_group]
            case.undecided_group = not all(c.reason == "too_few" for c in groups)


def _verdict(case: Case, policy: Policy, *, strict: bool) -> RuleVerdict:
    """Verdict of a case after measurement and correction, with its effect on the release."""
    rule, finding = case.rule, case.finding
    estimate = finding.estimate if finding else None
    word: Word = "inconclusive"
    if case.reason is None:
        word = _word(case)
    effect = _effect(case, word, policy.file, strict=strict)
    return RuleVerdict(
        rule=rule.id,
        metric=rule.metric,
        group=case.group,
        severity=rule.severity,
        verdict=word,
        effect=effect,
        reason=case.reason,
        detail=case.detail,
        low_limit=case.limits.low,
        high_limit=case.limits.high,
        against_baseline=rule.baseline is not None,
        on_point=rule.decide == "point",
        confidence=case.confidence,
        value=case.value,
        lower=case.lower,
        upper=case.upper,
        p_fail=min(case.p_values, default=None),
        p_adjusted=min(case.p_adjusted, default=None),
        n=estimate.n if estimate else None,
        n_missing=estimate.n_missing if estimate else None,
        unit=metric_spec(rule.metric).unit,
        waiver=_applied(case),
        line=policy.rule_lines.get(rule.id, 1),
    )


def _word(case: Case) -> Word:
    """Return the verdict: pass, fail or inconclusive. The statistical reason of an inconclusive
    verdict, and a pass by construction, are recorded in the case.
    """
    assert case.finding is not None
    if case.beyond or any(p < 1 - case.confidence for p in case.p_adjusted):
        return "fail"
    n = case.finding.estimate.n
    certain = isinstance(case.finding.law, Exact) or case.by_construction is not None
    if not case.within:
        case.stop("straddles", "the bounds enclose the limit")
        return "inconclusive"
    if n < case.min_n and not certain and case.rule.decide == "bound":
        case.stop("too_few", f"n = {n}, but {case.min_n} are needed to pass")
        return "inconclusive"
    if case.by_construction is not None:
        case.reason, case.detail = "by_construction", case.by_construction
    return "pass"


def _effect(case: Case, word: Word, file: PolicyFile, *, strict: bool) -> Effect:
    rule = case.rule
    if rule.severity not in DECIDING or case.undecided_group:
        return "shown"
    if word != "inconclusive":
        return "passes" if word == "pass" else "fails"
    if case.reason in _CANNOT_BE_MEASURED and rule.on_skipped == "show" and not strict:
        return "shown"
    if case.reason not in STATISTICAL:
        return "blocks"
    if case.is_group and rule.groups and rule.groups.decide == "no_fail":
        return "shown"
    wanted = "fail" if strict else rule.on_inconclusive or file.defaults.on_inconclusive
    effects: dict[str, Effect] = {"fail": "blocks", "warn": "tolerated", "pass": "shown"}
    return effects[wanted]


def _applied(case: Case) -> AppliedWaiver | None:
    waiver = case.waiver
    if waiver is None:
        return None
    own = case.rule.limits_of(is_group=case.is_group)
    return AppliedWaiver(
        reason=waiver.reason,
        owner=waiver.owner,
        expires=waiver.expires.isoformat(),
        own_low_limit=own.low,
        own_high_limit=own.high,
    )
