"""The shipped policies: a sound result of each kind passes, and each rule can stop a release."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from policies import result_of
from run_folder import AS_OF, band, drawn, outcome, rate

from auditkit.policy.decide import decide
from auditkit.policy.schema import Policy
from auditkit.policy.vocabulary import DECIDING
from auditkit.registry import metrics
from auditkit.shipped_recipes import find_recipe

KINDS = ("item-tokens", "local", "endpoint", "scores")
JUDGED = (*(f"release-{kind}" for kind in KINDS), "conversation", "explanation")


def shipped(name):
    return Policy.read(find_recipe(name, kind="policy"))


def finding(rule, *, sound):
    """A finding within the limits of a rule, or far beyond them, with the kind of interval that
    its metric has."""
    metric, group = rule.metric, rule.group
    low, high = rule.limits_of(is_group=False)
    if low is not None and high is not None:
        value = (low + high) / 2 if sound else high + 0.2
    elif high is not None:
        value = (0.0 if high > 0 else high - 0.1) if sound else high + 0.3
    else:
        value = low + 0.3 if sound else low - 0.1
    if metric.startswith(("fairness.counterfactual", "fairness.group_utility")):
        return band(metric, value, max(value - 0.01, 0), value + 0.01, 400, group=group)
    if metrics()[metric].unit.startswith("fraction"):
        return rate(metric, round(max(value, 0) * 400), 400, group=group)
    return drawn(metric, value, 0.005, 400, group=group)


def judged(policy, broken=None):
    """Decision on a result that breaks one rule or none."""
    findings = [finding(rule, sound=rule.id != broken) for rule in policy.file.rules]
    result = result_of(*findings)
    named = {o.probe for o in result.outcomes}
    others = [p for p in policy.file.require.probes if p not in named]
    result = replace(result, outcomes=(*result.outcomes, *map(outcome, others)))
    return decide(result, policy, as_of=AS_OF)


@pytest.mark.parametrize("name", JUDGED)
def test_a_sound_result_of_the_kind_passes(name):
    decision = judged(shipped(name))
    assert (decision.verdict, decision.reasons) == ("pass", ())


@pytest.mark.parametrize("name", JUDGED)
def test_every_deciding_rule_of_the_policy_can_stop_the_release(name):
    policy = shipped(name)
    for rule in policy.file.rules:
        decision = judged(policy, broken=rule.id)
        verdicts = {one.rule: one.verdict for one in decision.rules}
        assert verdicts.pop(rule.id) == "fail", rule.id
        assert set(verdicts.values()) == {"pass"}
        assert (decision.exit_code == 10) == (rule.severity in DECIDING)


@pytest.mark.parametrize("kind", KINDS)
def test_limits_are_those_of_the_general_release_policy(kind):
    general = yaml.safe_load(find_recipe("release", kind="policy").read_text(encoding="utf-8"))
    limits = {rule.pop("id"): rule for rule in general["rules"]}
    path = find_recipe(f"release-{kind}", kind="policy")
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    for rule in yaml.safe_load(text)["rules"]:
        same = dict(limits[rule.pop("id")])
        if "on_skipped" not in rule:
            same.pop("on_skipped", None)
        assert rule == same
