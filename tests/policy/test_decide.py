"""The gate: verdicts by law, data reasons, waivers, groups, baselines, and its error rates."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import numpy as np
import pytest
from run_folder import AS_OF, audit_result, band, drawn, estimate, exact, outcome, rate
from scipy.stats import binom

from auditkit.errors import ConfigurationError
from auditkit.policy.decide import Decision, decide, lint, needed_n
from auditkit.policy.schema import Policy
from auditkit.registry import metrics
from auditkit.types import Binomial, Finding

OUT, DUP = "hallucination.catalog.out_of_catalog_rate", "hallucination.catalog.duplicate_rate"
SNSR = "fairness.counterfactual.snsr"


def _policy(tmp_path: Path, rules: str, rest: str = "") -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(f"version: 1\nname: test\nrules:\n{rules}\n{rest}", encoding="utf-8")
    return Policy.read(path)


def _result(*findings: Finding, **changes: object):
    names = {metrics()[f.metric].probe for f in findings}
    return audit_result(
        "", findings=findings, outcomes=tuple(outcome(name) for name in sorted(names)), **changes
    )


def _one(tmp_path, finding, rule, **options):
    result = _result(*([finding] if finding else []))
    decision = decide(result, _policy(tmp_path, f"  - {{id: r, {rule}}}"), as_of=AS_OF, **options)
    return decision.rules[0], decision


# --- one rule ---


@pytest.mark.parametrize(
    ("x", "n", "verdict", "code"),
    [(0, 100, "pass", 0), (4, 100, "inconclusive", 11), (30, 100, "fail", 10)],
)
def test_a_rate_is_judged_at_its_bound(tmp_path, x, n, verdict, code):
    rule, decision = _one(tmp_path, rate(OUT, x, n), f"metric: {OUT}, max: 0.05, severity: blocker")
    assert (rule.verdict, decision.verdict, decision.exit_code) == (verdict, verdict, code)


def test_a_minimum_mirrors_a_maximum(tmp_path):
    metric = "hallucination.claims.claim_coverage"
    verdicts = [
        _one(tmp_path, rate(metric, x, 200), f"metric: {metric}, min: 0.5")[0].verdict
        for x in (60, 100, 140)
    ]
    assert verdicts == ["fail", "inconclusive", "pass"]


def test_a_range_needs_both_bounds_inside(tmp_path):
    metric = "privacy.membership.auc"
    for value, verdict in ((0.5, "pass"), (0.6, "inconclusive"), (0.8, "fail"), (0.2, "fail")):
        rule, _ = _one(tmp_path, drawn(metric, value, 0.02), f"metric: {metric}, range: [0.4, 0.6]")
        assert rule.verdict == verdict


def test_too_few_units_never_pass_and_may_fail(tmp_path):
    condition = f"metric: {OUT}, max: 0.2, severity: blocker"
    few, decision = _one(tmp_path, rate(OUT, 0, 20), condition)
    assert (few.verdict, few.reason, decision.exit_code) == ("inconclusive", "too_few", 11)
    assert _one(tmp_path, rate(OUT, 18, 20), condition)[0].verdict == "fail"


def test_clustered_rows_count_by_their_effective_number(tmp_path):
    finding = rate(OUT, 10, 1000)
    clustered = dataclasses.replace(finding, law=Binomial(x=10, n=1000, n_eff=50))
    condition = f"metric: {OUT}, max: 0.02"
    assert _one(tmp_path, finding, condition)[0].verdict == "pass"
    assert _one(tmp_path, clustered, condition)[0].reason == "straddles"


def test_a_band_needs_its_own_correction_to_fail(tmp_path):
    condition = f"metric: {SNSR}, group: gender, max: 0.05"
    for p_adjusted, verdict in ((0.2, "inconclusive"), (0.01, "fail"), (None, "fail")):
        finding = band(SNSR, 0.1, 0.06, 0.14, 90, group="gender", p_adjusted=p_adjusted)
        assert _one(tmp_path, finding, condition)[0].verdict == verdict


def test_an_exact_value_passes_at_equality_whatever_n(tmp_path):
    metric = "privacy.claim.epsilon"
    finding = exact(metric, 8.0, parameters={"delta": 1e-5})
    assert _one(tmp_path, finding, f"metric: {metric}, max: 8")[0].verdict == "pass"
    assert _one(tmp_path, finding, f"metric: {metric}, max: 7.9")[0].verdict == "fail"


def test_a_point_decision_says_that_it_is_one(tmp_path):
    rule, decision = _one(tmp_path, rate(OUT, 5, 100), f"metric: {OUT}, max: 0.05, decide: point")
    assert rule.verdict == "pass"
    assert rule.on_point
    assert "decided on a point estimate" in rule.sentence
    assert "on point" in decision.as_text()


# --- data reasons ---


@pytest.mark.parametrize(
    ("status", "reason"), [("skipped", "probe_skipped"), ("error", "probe_error")]
)
def test_a_probe_that_did_not_run_blocks_even_where_doubt_is_tolerated(tmp_path, status, reason):
    result = dataclasses.replace(
        _result(rate(OUT, 0, 500)),
        outcomes=(outcome("hallucination.catalog", status=status, reason="why"),),
    )
    policy = _policy(tmp_path, f"  - {{id: r, metric: {OUT}, max: 0.05, on_inconclusive: pass}}")
    decision = decide(result, policy)
    assert (decision.rules[0].reason, decision.exit_code) == (reason, 11)


def test_a_metric_that_nobody_measured_blocks(tmp_path):
    rule, decision = _one(tmp_path, rate(DUP, 0, 500), f"metric: {OUT}, max: 0.05")
    assert (rule.reason, rule.effect, decision.exit_code) == ("metric_missing", "blocks", 11)


def test_low_coverage_is_neither_pass_nor_fail(tmp_path):
    finding = rate(OUT, 0, 300, n_missing=100)
    rule, _ = _one(tmp_path, finding, f"metric: {OUT}, max: 0.05")
    assert (rule.reason, rule.effect) == ("low_coverage", "blocks")
    assert (
        _one(tmp_path, finding, f"metric: {OUT}, max: 0.05, min_coverage: 0.5")[0].verdict == "pass"
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
    rule, _ = _one(tmp_path, finding, f"metric: {OUT}, max: 0.05")
    assert (rule.reason, rule.detail) == (reason, detail)


def test_parameters_named_by_at_must_fit(tmp_path):
    metric = "privacy.claim.epsilon"
    finding = exact(metric, 3.0, parameters={"delta": 1e-5})
    condition = f"metric: {metric}, max: 8, at: {{delta: %s}}"
    assert _one(tmp_path, finding, condition % "1e-5")[0].verdict == "pass"
    assert _one(tmp_path, finding, condition % "1e-6")[0].reason == "not_assessable"


def test_two_findings_that_fit_one_rule_are_not_chosen_between(tmp_path):
    result = _result(
        *(
            exact("privacy.claim.epsilon", e, parameters={"delta": d})
            for e, d in ((3, 0.1), (9, 0.2))
        )
    )
    decision = decide(
        result, _policy(tmp_path, "  - {id: r, metric: privacy.claim.epsilon, max: 8}")
    )
    assert decision.rules[0].reason == "not_assessable"


# --- severity, doubt, requirements, error budget ---


def test_doubt_blocks_a_blocker_and_is_tolerated_for_major(tmp_path):
    finding = rate(OUT, 4, 100)
    condition = f"metric: {OUT}, max: 0.05"
    assert _one(tmp_path, finding, condition)[1].exit_code == 0
    assert "1 inconclusive tolerated" in _one(tmp_path, finding, condition)[1].summary
    assert _one(tmp_path, finding, f"{condition}, severity: blocker")[1].exit_code == 11
    assert _one(tmp_path, finding, condition, strict=True)[1].exit_code == 11


def test_minor_and_info_never_change_the_exit_code(tmp_path):
    rules = (
        f"  - {{id: a, metric: {OUT}, max: 0.05, severity: minor}}\n"
        f"  - {{id: b, metric: {DUP}, max: 0.5}}"
    )
    decision = decide(_result(rate(OUT, 90, 100), rate(DUP, 0, 100)), _policy(tmp_path, rules))
    assert decision.rules[0].verdict == "fail"
    assert decision.exit_code == 0


def test_a_required_probe_that_was_skipped_keeps_the_gate_from_passing(tmp_path):
    policy = _policy(
        tmp_path, f"  - {{id: r, metric: {OUT}, max: 0.05}}",
        "require: {probes: [privacy.membership], fingerprint: verified}",
    )  # fmt: skip
    decision = decide(_result(rate(OUT, 0, 500)), policy)
    assert decision.exit_code == 11
    assert "privacy.membership" in decision.reasons[0]
    target = dataclasses.replace(audit_result("").target, verified=False)
    unmet = [
        c.name
        for c in decide(_result(rate(OUT, 0, 500), target=target), policy).requirements
        if not c.met
    ]
    assert unmet == ["probe privacy.membership", "fingerprint"]


def test_an_exceeded_error_budget_overrides_every_rule(tmp_path):
    result = dataclasses.replace(
        _result(rate(OUT, 90, 100)),
        outcomes=(outcome("hallucination.catalog", counts={"ok": 90, "timeout": 10}),),
    )
    decision = decide(result, _policy(tmp_path, f"  - {{id: r, metric: {OUT}, max: 0.05}}"))
    assert (decision.verdict, decision.exit_code) == ("inconclusive", 12)


def test_a_result_whose_every_probe_was_skipped_is_never_a_pass():
    result = audit_result("")
    skipped = tuple(
        outcome(o.probe, status="skipped", counts={}, planned=0) for o in result.outcomes
    )
    result = dataclasses.replace(result, outcomes=skipped, findings=())
    decision = decide(result, Policy.read(Path("recipes/policy/release.yaml")))
    assert decision.exit_code == 11
    assert {rule.reason for rule in decision.rules} == {"probe_skipped"}


# --- groups ---

GROUPED = "fairness.group_utility.hr@10"


def _grouped(tmp_path, groups, *findings):
    rules = f"  - {{id: r, metric: {GROUPED}, min: 0.05, groups: {{by: [gender], {groups}}}}}"
    return decide(_result(rate(GROUPED, 60, 400), *findings), _policy(tmp_path, rules))


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
    assert [rule.effect for rule in strict.rules] == ["passes", "tolerated"]


def test_an_attribute_without_any_measured_group_blocks(tmp_path):
    decision = _grouped(tmp_path, "min_n: 60")
    assert [(r.group, r.reason) for r in decision.rules[1:]] == [("gender", "metric_missing")]
    assert decision.exit_code == 11


def test_groups_that_are_all_too_small_do_not_pass_where_all_must(tmp_path):
    decision = _grouped(
        tmp_path, "min_n: 60, decide: all_pass", rate(GROUPED, 9, 9, group="gender=F")
    )
    assert decision.rules[1].effect == "tolerated"


# --- waivers ---


def _waived(tmp_path, waiver, as_of=AS_OF):
    text = f"waivers:\n  - {{rule: r, {waiver}, reason: known, owner: ana, expires: 2026-06-01}}"
    policy = _policy(tmp_path, f"  - {{id: r, metric: {OUT}, max: 0.05}}", text)
    return decide(_result(rate(OUT, 30, 400)), policy, as_of=as_of)


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
    assert "matches nothing" in _waived(tmp_path, 'max: 0.2, group: "language=th"').warnings[0]


@pytest.mark.parametrize("limit", ["max: 0.04", "max: 0.05", "min: 0.01"])
def test_a_waiver_must_be_looser_on_the_same_side(tmp_path, limit):
    with pytest.raises(ConfigurationError, match="must be looser"):
        _waived(tmp_path, limit)


# --- the file ---


def test_every_fault_of_a_policy_is_listed_with_its_line(tmp_path):
    rules = (
        "  - {id: a, metric: hallucination.catalog.out_of_catalog_rat, max: 0.05}\n"
        f"  - {{id: b, metric: {OUT}, max: 0.05, min: 0.01}}\n"
        f"  - {{id: c, metric: {OUT}, maxx: 0.05}}\n"
        f'  - {{id: d, metric: {OUT}, group: "baseline=popularity", max: 0.1}}'
    )
    with pytest.raises(ConfigurationError) as error:
        _policy(tmp_path, rules)
    text = str(error.value)
    assert f"policy.yaml:4: rules[0].metric: unknown metric. Did you mean '{OUT}'?" in text
    assert "policy.yaml:5: rules[1]: give exactly one of max, min, range, baseline" in text
    assert "policy.yaml:6: rules[2].maxx: unknown key. Did you mean 'max'?" in text
    assert "policy.yaml:7: rules[3].group: reference baselines" in text


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            f"  - {{id: a, metric: {OUT}, max: 0.1}}\n  - {{id: a, metric: {DUP}, max: 0.1}}",
            "occur twice: a",
        ),
        (f"  - {{id: a, metric: {OUT}, max: 0.1, severity: info}}", "nothing could ever fail"),
        (f"  - {{id: a, metric: {OUT}, range: [0.2, 0.1]}}", "low < high"),
        (f'  - {{id: a, metric: {OUT}, max: "0.1"}}', "valid number"),
    ],
)
def test_a_policy_that_could_not_decide_is_refused(tmp_path, rules, message):
    with pytest.raises(ConfigurationError, match=message):
        _policy(tmp_path, rules)


def test_every_mutated_metric_id_and_key_of_the_shipped_policy_is_an_error(tmp_path):
    text = Path("recipes/policy/release.yaml").read_text(encoding="utf-8")
    policy = Policy.read(Path("recipes/policy/release.yaml"))
    words = {rule.metric for rule in policy.file.rules} | {
        "severity",
        "max_error_rate",
        "confidence",
    }
    for word in sorted(words):
        path = tmp_path / "mutated.yaml"
        path.write_text(text.replace(f"{word}:", f"{word}x:").replace(f" {word},", f" {word}x,"))
        with pytest.raises(ConfigurationError, match="unknown"):
            Policy.read(path)


def test_the_shipped_policy_has_no_doubtful_line():
    assert lint(Policy.read(Path("recipes/policy/release.yaml"))) == []


def test_lint_names_limits_that_no_sample_can_show(tmp_path):
    rules = (
        f"  - {{id: a, metric: {OUT}, max: 0}}\n  - {{id: b, metric: {SNSR}, max: 0.05}}\n"
        "  - {id: c, metric: utility.ranking.ndcg@10, max: 0.5}"
    )
    policy = _policy(
        tmp_path, rules, "waivers: [{rule: q, max: 1, reason: x, owner: y, expires: 2030-01-01}]"
    )
    assert [(doubt.rule, doubt.line) for doubt in lint(policy)] == [
        ("a", 4),
        ("b", 5),
        ("c", 6),
        ("q", 1),
    ]
    assert "n >= 299" in lint(policy)[0].message


@pytest.mark.parametrize(("limit", "n"), [(0.01, 299), (0.02, 149), (0.05, 59), (0.10, 29)])
def test_the_needed_n_certifies_the_limit_without_a_violation(tmp_path, limit, n):
    policy = _policy(tmp_path, f"  - {{id: r, metric: {OUT}, max: {limit}, min_n: 1}}")
    assert needed_n(policy)[0].n == n
    assert decide(_result(rate(OUT, 0, n)), policy).exit_code == 0
    assert decide(_result(rate(OUT, 0, n - 1)), policy).rules[0].verdict == "inconclusive"


# --- baselines ---


def _with_units(bad: int, n: int = 200) -> Finding:
    units = tuple((f"u{i}", float(i < bad), 1.0) for i in range(n))
    return dataclasses.replace(rate(OUT, bad, n), units=units)


BASELINE_RULE = f"  - {{id: r, metric: {OUT}, baseline: {{non_inferior: 0.02}}, severity: blocker}}"


@pytest.mark.parametrize(("bad", "verdict"), [(10, "pass"), (14, "inconclusive"), (40, "fail")])
def test_a_baseline_rule_judges_the_paired_difference(tmp_path, bad, verdict):
    decision = decide(
        _result(_with_units(bad)),
        _policy(tmp_path, BASELINE_RULE),
        baseline=_result(_with_units(10)),
    )
    assert decision.rules[0].verdict == verdict


def test_a_baseline_rule_without_a_baseline_is_a_usage_error(tmp_path):
    with pytest.raises(ConfigurationError, match="--baseline"):
        decide(_result(_with_units(10)), _policy(tmp_path, BASELINE_RULE))


def test_a_baseline_of_other_conditions_is_refused_with_every_difference(tmp_path):
    other = _result(_with_units(10), seed=1, catalog={"sha256": "other"})
    with pytest.raises(ConfigurationError) as error:
        decide(_result(_with_units(10)), _policy(tmp_path, BASELINE_RULE), baseline=other)
    assert "catalog sha256" in str(error.value)
    assert "seed: 20260601 against 1" in str(error.value)


def test_pairs_that_do_not_overlap_are_incomparable(tmp_path):
    rules = _policy(tmp_path, BASELINE_RULE)
    for mine, theirs, reason in ((200, 100, "incomparable"), (20, 20, "too_few")):
        decision = decide(
            _result(_with_units(2, mine)), rules, baseline=_result(_with_units(2, theirs))
        )
        assert decision.rules[0].reason == reason
        assert decision.exit_code == 11


# --- error rates of the gate ---


def test_false_alarms_stay_below_five_percent_over_twenty_rules_at_their_limit(tmp_path):
    names = [m.id for m in metrics().values() if m.unit.startswith("fraction")][:20]
    names = (names * 20)[:20]
    rules = "\n".join(
        f'  - {{id: r{i}, metric: "{name}", max: 0.05, group: "g{i}"}}'
        for i, name in enumerate(names)
    )
    policy = _policy(tmp_path, rules)
    rng, failed, n = np.random.default_rng(11), 0, 400
    for _ in range(400):
        draws = rng.binomial(n, 0.05, size=20)
        findings = [
            rate(m, int(x), n, group=f"g{i}")
            for i, (m, x) in enumerate(zip(names, draws, strict=True))
        ]
        failed += decide(_result(*findings), policy).exit_code == 10
    assert failed / 400 <= 0.05


def test_power_and_false_passes_are_those_promised(tmp_path):
    policy = _policy(tmp_path, f"  - {{id: r, metric: {OUT}, max: 0.05}}")
    for n, power in ((400, 0.79), (100, None)):
        words = [decide(_result(rate(OUT, x, n)), policy).rules[0].verdict for x in range(n // 4)]
        chance = {
            w: sum(binom.pmf(x, n, 0.08) for x, v in enumerate(words) if v == w) for w in words
        }
        beyond = binom.sf(n // 4 - 1, n, 0.08)
        assert chance.get("pass", 0) < 0.01
        assert power is None or chance["fail"] + beyond >= power


# --- the decision as a file ---


def test_a_decision_reads_back_and_its_text_is_inert(tmp_path):
    from run_folder import HOSTILE, write_policy

    decision = decide(audit_result(HOSTILE), Policy.read(write_policy(tmp_path)), as_of=AS_OF)
    decision.write(tmp_path)
    assert Decision.read(tmp_path) == decision
    text = decision.as_text()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n::" not in text


def test_a_pilot_band_is_not_assessable_and_never_crashes_the_gate(tmp_path):
    import dataclasses

    from run_folder import audit_result, band

    metric = "fairness.counterfactual.snsr"
    pilot = band(metric, 0.01, 0.0, 0.02, 15, group="gender")
    pilot = dataclasses.replace(
        pilot, estimate=dataclasses.replace(pilot.estimate, low=None, high=None)
    )
    strict = dataclasses.replace(band(metric, 0.01, 0.0, 0.02, 200, group="age"))
    path = tmp_path / "policy.yaml"
    path.write_text(
        "version: 1\nname: p\nrules:\n"
        f"  - {{id: pilot, metric: {metric}, group: gender, max: 0.05}}\n"
        f"  - {{id: strict, metric: {metric}, group: age, max: 0.05, confidence: 0.999}}\n"
    )
    result = dataclasses.replace(audit_result(), findings=(pilot, strict))
    decision = decide(result, Policy.read(path))
    words = {rule.rule: (rule.verdict, rule.reason) for rule in decision.rules}
    assert all(verdict == "inconclusive" for verdict, _ in words.values())
    assert all("not_assessable" in str(reason) for _, reason in words.values())
