"""Rules, groups and waivers: from findings to verdicts."""

from __future__ import annotations

import dataclasses
import datetime

import numpy as np
import pytest
from policies import DUP, OUT, SNSR, decide_one, judging, result_of
from run_folder import AS_OF, band, drawn, estimate, exact, outcome, rate
from scipy.stats import binom

from auditkit.errors import ConfigurationError
from auditkit.policy.decide import decide
from auditkit.registry import metrics
from auditkit.types import Binomial

# --- one rule ---


@pytest.mark.parametrize(
    ("x", "n", "verdict", "code"),
    [(0, 100, "pass", 0), (4, 100, "inconclusive", 11), (30, 100, "fail", 10)],
)
def test_a_rate_is_judged_at_its_bound(tmp_path, x, n, verdict, code):
    rule, decision = decide_one(
        tmp_path, rate(OUT, x, n), f"metric: {OUT}, max: 0.05, severity: blocker"
    )
    assert (rule.verdict, decision.verdict, decision.exit_code) == (verdict, verdict, code)


def test_a_minimum_mirrors_a_maximum(tmp_path):
    metric = "hallucination.claims.claim_coverage"
    verdicts = [
        decide_one(tmp_path, rate(metric, x, 200), f"metric: {metric}, min: 0.5")[0].verdict
        for x in (60, 100, 140)
    ]
    assert verdicts == ["fail", "inconclusive", "pass"]


def test_a_range_needs_both_bounds_inside(tmp_path):
    metric = "privacy.membership.auc"
    for value, verdict in ((0.5, "pass"), (0.6, "inconclusive"), (0.8, "fail"), (0.2, "fail")):
        rule, _ = decide_one(
            tmp_path, drawn(metric, value, 0.02), f"metric: {metric}, range: [0.4, 0.6]"
        )
        assert rule.verdict == verdict


def test_too_few_units_never_pass_and_may_fail(tmp_path):
    condition = f"metric: {OUT}, max: 0.2, severity: blocker"
    few, decision = decide_one(tmp_path, rate(OUT, 0, 20), condition)
    assert (few.verdict, few.reason, decision.exit_code) == ("inconclusive", "too_few", 11)
    assert decide_one(tmp_path, rate(OUT, 18, 20), condition)[0].verdict == "fail"


def test_clustered_rows_count_by_their_effective_number(tmp_path):
    finding = rate(OUT, 10, 1000)
    clustered = dataclasses.replace(finding, law=Binomial(x=10, n=1000, n_eff=50))
    condition = f"metric: {OUT}, max: 0.02"
    assert decide_one(tmp_path, finding, condition)[0].verdict == "pass"
    assert decide_one(tmp_path, clustered, condition)[0].reason == "straddles"


def test_a_band_needs_its_own_correction_to_fail(tmp_path):
    condition = f"metric: {SNSR}, group: gender, max: 0.05"
    for p_adjusted, verdict in ((0.2, "inconclusive"), (0.01, "fail"), (None, "fail")):
        finding = band(SNSR, 0.1, 0.06, 0.14, 90, group="gender", p_adjusted=p_adjusted)
        assert decide_one(tmp_path, finding, condition)[0].verdict == verdict


def test_an_exact_value_passes_at_equality_whatever_n(tmp_path):
    metric = "privacy.claim.epsilon"
    finding = exact(metric, 8.0, parameters={"delta": 1e-5})
    assert decide_one(tmp_path, finding, f"metric: {metric}, max: 8")[0].verdict == "pass"
    assert decide_one(tmp_path, finding, f"metric: {metric}, max: 7.9")[0].verdict == "fail"


def test_a_point_decision_says_that_it_is_one(tmp_path):
    rule, decision = decide_one(
        tmp_path, rate(OUT, 5, 100), f"metric: {OUT}, max: 0.05, decide: point"
    )
    assert rule.verdict == "pass"
    assert rule.on_point
    assert "decided on a point estimate" in rule.sentence
    assert "point estimate" in decision.as_text()


# --- data reasons ---


@pytest.mark.parametrize(
    ("status", "reason"), [("skipped", "probe_skipped"), ("error", "probe_error")]
)
def test_a_probe_that_did_not_run_blocks_even_where_doubt_is_tolerated(tmp_path, status, reason):
    result = dataclasses.replace(
        result_of(rate(OUT, 0, 500)),
        outcomes=(outcome("hallucination.catalog", status=status, reason="why"),),
    )
    policy = judging(tmp_path, f"  - {{id: r, metric: {OUT}, max: 0.05, on_inconclusive: pass}}")
    decision = decide(result, policy)
    assert (decision.rules[0].reason, decision.exit_code) == (reason, 11)


def test_a_metric_that_nobody_measured_blocks(tmp_path):
    rule, decision = decide_one(tmp_path, rate(DUP, 0, 500), f"metric: {OUT}, max: 0.05")
    assert (rule.reason, rule.effect, decision.exit_code) == ("metric_missing", "blocks", 11)


def test_low_coverage_is_neither_pass_nor_fail(tmp_path):
    finding = rate(OUT, 0, 300, n_missing=100)
    rule, _ = decide_one(tmp_path, finding, f"metric: {OUT}, max: 0.05")
    assert (rule.reason, rule.effect) == ("low_coverage", "blocks")
    assert (
        decide_one(tmp_path, finding, f"metric: {OUT}, max: 0.05, min_coverage: 0.5")[0].verdict
        == "pass"
    )


@pytest.mark.parametrize(
    ("said", "reason", "detail"),
    [
        ("no rows", "undefined", "no rows"),
        ("not_assessable: catalog overlap 12%", "not_assessable", "catalog overlap 12%"),
    ],
)
def test_an_undefined_estimate_keeps_the_probes_own_reason(tmp_path, said, reason, detail):
    nothing = estimate(OUT, None, 0, status="undefined", reason=said)
    finding = dataclasses.replace(rate(OUT, 0, 10), estimate=nothing)
    rule, _ = decide_one(tmp_path, finding, f"metric: {OUT}, max: 0.05")
    assert (rule.reason, rule.detail) == (reason, detail)


def test_parameters_named_by_at_must_fit(tmp_path):
    metric = "privacy.claim.epsilon"
    finding = exact(metric, 3.0, parameters={"delta": 1e-5})
    condition = f"metric: {metric}, max: 8, at: {{delta: %s}}"
    assert decide_one(tmp_path, finding, condition % "1e-5")[0].verdict == "pass"
    assert decide_one(tmp_path, finding, condition % "1e-6")[0].reason == "not_assessable"


def test_two_findings_that_fit_one_rule_are_not_chosen_between(tmp_path):
    result = result_of(
        *(
            exact("privacy.claim.epsilon", e, parameters={"delta": d})
            for e, d in ((3, 0.1), (9, 0.2))
        )
    )
    decision = decide(
        result, judging(tmp_path, "  - {id: r, metric: privacy.claim.epsilon, max: 8}")
    )
    assert decision.rules[0].reason == "not_assessable"


# --- groups ---

GROUPED = "fairness.group_utility.hr@10"


def _grouped(tmp_path, groups, *findings):
    rules = f"  - {{id: r, metric: {GROUPED}, min: 0.05, groups: {{by: [gender], {groups}}}}}"
    return decide(result_of(rate(GROUPED, 60, 400), *findings), judging(tmp_path, rules))


def test_one_failing_group_fails_the_rule(tmp_path):
    decision = _grouped(
        tmp_path, "min_n: 60",
        rate(GROUPED, 50, 200, group="gender=M"), rate(GROUPED, 1, 200, group="gender=F"),
        rate(GROUPED, 0, 12, group="gender=X"),
    )  # fmt: skip
    effects = {rule.group: (rule.verdict, rule.effect) for rule in decision.rules}
    assert effects["gender=F"] == ("fail", "fails")
    assert decision.exit_code == 10
    assert effects["gender=X"] == ("inconclusive", "shown")


def test_a_group_in_doubt_blocks_only_when_all_must_pass(tmp_path):
    doubtful = rate(GROUPED, 12, 200, group="gender=F")
    assert _grouped(tmp_path, "min_n: 60, decide: no_fail", doubtful).exit_code == 0
    strict = _grouped(tmp_path, "min_n: 60, decide: all_pass", doubtful)
    assert [rule.effect for rule in strict.rules] == ["passes", "blocks"]


def test_an_attribute_without_any_measured_group_blocks(tmp_path):
    decision = _grouped(tmp_path, "min_n: 60")
    assert [(r.group, r.reason) for r in decision.rules[1:]] == [("gender", "metric_missing")]
    assert decision.exit_code == 11


def test_groups_that_are_all_too_small_do_not_pass_where_all_must(tmp_path):
    decision = _grouped(
        tmp_path, "min_n: 60, decide: all_pass", rate(GROUPED, 9, 9, group="gender=F")
    )
    assert (decision.rules[1].effect, decision.exit_code) == ("blocks", 11)


# --- waivers ---


def _waived(tmp_path, waiver, as_of=AS_OF):
    text = f"waivers:\n  - {{rule: r, {waiver}, reason: known, owner: ana, expires: 2026-06-01}}"
    policy = judging(tmp_path, f"  - {{id: r, metric: {OUT}, max: 0.05}}", text)
    return decide(result_of(rate(OUT, 30, 400)), policy, as_of=as_of)


def test_a_waiver_replaces_the_limit_until_its_last_day(tmp_path):
    decision = _waived(tmp_path, "max: 0.2")
    assert decision.exit_code == 0
    assert decision.counts["waived"] == 1
    assert decision.as_of == "2026-06-01"


def test_an_expired_waiver_leaves_the_rule_as_it_is_and_is_named(tmp_path):
    decision = _waived(tmp_path, "max: 0.2", as_of=datetime.date(2026, 6, 2))
    assert decision.rules[0].waiver is None
    assert "expired on 2026-06-01" in decision.warnings[0]


def test_a_waiver_that_matches_nothing_is_a_warning(tmp_path):
    assert (
        "matches no rule and group"
        in _waived(tmp_path, 'max: 0.2, group: "language=th"').warnings[0]
    )


@pytest.mark.parametrize("limit", ["max: 0.04", "max: 0.05", "min: 0.01"])
def test_a_waiver_must_be_looser_on_the_same_side(tmp_path, limit):
    with pytest.raises(ConfigurationError, match="must state a looser value of the limit"):
        _waived(tmp_path, limit)


# --- error rates of the gate ---


def test_false_alarms_stay_below_five_percent_over_twenty_rules_at_their_limit(tmp_path):
    names = [m.id for m in metrics().values() if m.unit.startswith("fraction")][:20]
    names = (names * 20)[:20]
    rules = "\n".join(
        f'  - {{id: r{i}, metric: "{name}", max: 0.05, group: "g{i}"}}'
        for i, name in enumerate(names)
    )
    policy = judging(tmp_path, rules)
    rng, failed, n = np.random.default_rng(11), 0, 400
    for _ in range(400):
        draws = rng.binomial(n, 0.05, size=20)
        findings = [
            rate(m, int(x), n, group=f"g{i}")
            for i, (m, x) in enumerate(zip(names, draws, strict=True))
        ]
        failed += decide(result_of(*findings), policy).exit_code == 10
    assert failed / 400 <= 0.05


def test_power_and_false_passes_are_those_promised(tmp_path):
    policy = judging(tmp_path, f"  - {{id: r, metric: {OUT}, max: 0.05}}")
    for n, power in ((400, 0.79), (100, None)):
        words = [decide(result_of(rate(OUT, x, n)), policy).rules[0].verdict for x in range(n // 4)]
        chance = {
            w: sum(binom.pmf(x, n, 0.08) for x, v in enumerate(words) if v == w) for w in words
        }
        beyond = binom.sf(n // 4 - 1, n, 0.08)
        assert chance.get("pass", 0) < 0.01
        assert power is None or chance["fail"] + beyond >= power


# --- rates that can only be 0 ---

FIXED = ("0 by construction: an item token names a catalog item",)


def test_a_rate_that_can_only_be_0_passes_without_a_sample_size(tmp_path):
    condition = f"metric: {OUT}, max: 0.05, severity: blocker"
    rule, decision = decide_one(tmp_path, rate(OUT, 0, 5, notes=FIXED), condition)
    assert (rule.verdict, rule.reason, rule.effect) == ("pass", "by_construction", "passes")
    assert rule.detail == "an item token names a catalog item"
    assert (decision.exit_code, decision.counts["by_construction"]) == (0, 1)
    assert "1 pass (of which 1 by construction)" in decision.summary
    measured, _ = decide_one(tmp_path, rate(OUT, 0, 5), condition)
    assert (measured.verdict, measured.reason) == ("inconclusive", "straddles")


def test_a_rule_that_requires_evidence_does_not_accept_a_constructed_rate(tmp_path):
    condition = f"metric: {OUT}, max: 0.05, severity: blocker, require_evidence: true"
    rule, decision = decide_one(tmp_path, rate(OUT, 0, 400, notes=FIXED), condition)
    assert (rule.verdict, rule.reason) == ("inconclusive", "by_construction")
    assert (rule.effect, decision.exit_code) == ("blocks", 11)
    assert decision.counts["by_construction"] == 0
    assert decide_one(tmp_path, rate(OUT, 0, 400), condition)[0].verdict == "pass"


def test_a_note_that_the_value_contradicts_is_ignored(tmp_path):
    finding = rate(OUT, 40, 100, notes=FIXED)
    rule, _ = decide_one(tmp_path, finding, f"metric: {OUT}, max: 0.05")
    assert (rule.verdict, rule.reason) == ("fail", None)


def test_a_constructed_zero_fails_a_minimum(tmp_path):
    metric = "hallucination.claims.claim_coverage"
    finding = rate(metric, 0, 100, notes=FIXED)
    rule, _ = decide_one(tmp_path, finding, f"metric: {metric}, min: 0.5")
    assert (rule.verdict, rule.reason) == ("fail", None)


def test_missing_responses_prevent_a_pass_by_construction(tmp_path):
    finding = rate(OUT, 0, 50, n_missing=50, notes=FIXED)
    rule, _ = decide_one(tmp_path, finding, f"metric: {OUT}, max: 0.05")
    assert (rule.verdict, rule.reason) == ("inconclusive", "low_coverage")


def test_a_band_without_bounds_is_judged_if_the_value_can_only_be_0(tmp_path):
    pilot = band(SNSR, 0.0, None, None, 9, group="gender", notes=FIXED)
    condition = f"metric: {SNSR}, group: gender, max: 0.05"
    assert decide_one(tmp_path, pilot, condition)[0].reason == "by_construction"
    measured = dataclasses.replace(pilot, notes=())
    assert decide_one(tmp_path, measured, condition)[0].reason == "not_assessable"
