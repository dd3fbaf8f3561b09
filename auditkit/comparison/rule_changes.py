"""Rules whose verdict differs between two decisions."""

from __future__ import annotations

from dataclasses import dataclass

from auditkit.policy.decision import Decision, RuleVerdict

__all__ = ["ABSENT", "RuleChange", "rule_changes"]

ABSENT = "not in the policy"


@dataclass(frozen=True, kw_only=True)
class RuleChange:
    """One rule with its verdict in each run: `pass`, `fail` or `inconclusive`, followed by
    `(waived)` if a waiver applied, or `not in the policy`. A value is None if the rule has none.
    """

    rule: str
    baseline: str
    candidate: str
    baseline_value: float | None
    candidate_value: float | None


def rule_changes(baseline: Decision, candidate: Decision) -> tuple[tuple[RuleChange, ...], int]:
    """Return the rules whose verdict differs, in the order of the candidate's policy, and the
    number of rules in both decisions.
    """
    before, now = ({rule.name: rule for rule in one.rules} for one in (baseline, candidate))
    rows = [
        RuleChange(
            rule=name,
            baseline=_word(before.get(name)),
            candidate=_word(now.get(name)),
            baseline_value=before[name].value if name in before else None,
            candidate_value=now[name].value if name in now else None,
        )
        for name in dict.fromkeys([*now, *before])
    ]
    return tuple(row for row in rows if row.baseline != row.candidate), len(rows)


def _word(rule: RuleVerdict | None) -> str:
    if rule is None:
        return ABSENT
    return f"{rule.verdict}{' (waived)' if rule.waiver else ''}"
