"""Rules of several conditions (`all_of`): one verdict from the verdicts of the conditions.

The rule passes if every condition passes. This is an intersection-union test: each condition is
tested at the level of the rule, and a wrong pass needs a wrong pass of every condition that does
not hold, so no correction is needed. The rule fails if any condition fails; the p-values of all
conditions are in the family that Holm's method corrects, so a rule of two conditions fails no more
often by chance than two rules. Source: Berger 1982; Holm 1979.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from auditkit.policy.decision import RuleVerdict
from auditkit.policy.schema import Rule

__all__ = ["combined", "single_conditions"]

_ORDER = ("fails", "blocks", "tolerated", "shown", "passes")
_WORDS = ("fail", "inconclusive", "pass")


def single_conditions(rule: Rule) -> Iterator[Rule]:
    """Split a rule with `all_of` into one rule per condition; any other rule is returned unchanged
    as the only element.
    """
    if not rule.all_of:
        yield rule
    for one in rule.all_of:
        stated = {name: getattr(one, name) for name in type(one).model_fields}
        yield rule.model_copy(update={**stated, "all_of": ()})


def combined(verdicts: Sequence[RuleVerdict], several: frozenset[str]) -> list[RuleVerdict]:
    """Combine the verdicts on the conditions of each `all_of` rule into one verdict.

    Args:
        verdicts: verdicts in the order of the policy.
        several: ids of the rules with `all_of`.

    Returns:
        The verdicts, with one verdict per `all_of` rule: that of its first failing condition, else
        of its first inconclusive condition, else of its first condition. The detail states the
        verdict of every condition.
    """
    found: list[RuleVerdict] = []
    for rule_id, group in groupby(verdicts, key=lambda one: one.rule):
        members = list(group)
        found += [_decisive(members)] if rule_id in several else members
    return found


def _decisive(members: Sequence[RuleVerdict]) -> RuleVerdict:
    def rank(one: RuleVerdict) -> tuple[int, int, bool]:
        # Of passes, a measured one represents the rule, so it is by construction only as a whole.
        return _WORDS.index(one.verdict), _ORDER.index(one.effect), one.passes_by_construction

    chosen = min(members, key=rank)
    stated = "; ".join(
        f"{one.metric}{'' if one.group == 'all' else f' for {one.group}'} {one.limit_text}: "
        f"{one.verdict}{f' ({one.reason})' if one.reason else ''}"
        for one in members
    )
    own = f"{chosen.detail}; " if chosen.detail else ""
    return replace(chosen, detail=f"{own}all of: {stated}")
