"""Paired comparison with a baseline run."""

from __future__ import annotations

import dataclasses

import pytest
from policies import OUT, judging, result_of
from run_folder import audit_result, rate

from auditkit.errors import ConfigurationError
from auditkit.policy.decide import decide
from auditkit.types import Finding


def _with_units(bad: int, n: int = 200) -> Finding:
    units = tuple((f"u{i}", float(i < bad), 1.0) for i in range(n))
    return dataclasses.replace(rate(OUT, bad, n), units=units)


BASELINE_RULE = f"  - {{id: r, metric: {OUT}, baseline: {{non_inferior: 0.02}}, severity: blocker}}"


@pytest.mark.parametrize(("bad", "verdict"), [(10, "pass"), (14, "inconclusive"), (40, "fail")])
def test_a_baseline_rule_judges_the_paired_difference(tmp_path, bad, verdict):
    decision = decide(
        result_of(_with_units(bad)),
        judging(tmp_path, BASELINE_RULE),
        baseline=result_of(_with_units(10)),
    )
    assert decision.rules[0].verdict == verdict


def test_a_baseline_rule_without_a_baseline_is_a_usage_error(tmp_path):
    with pytest.raises(ConfigurationError, match="--baseline"):
        decide(result_of(_with_units(10)), judging(tmp_path, BASELINE_RULE))


def test_a_baseline_of_other_conditions_is_refused_with_every_difference(tmp_path):
    other = result_of(_with_units(10), seed=1, catalog={"sha256": "other"})
    with pytest.raises(ConfigurationError) as error:
        decide(result_of(_with_units(10)), judging(tmp_path, BASELINE_RULE), baseline=other)
    assert "catalog sha256" in str(error.value)
    assert "seed: 20260601 against 1" in str(error.value)


def test_measured_parameters_of_a_finding_do_not_prevent_a_comparison(tmp_path):
    """Such as the number of claims, which differs between any two models."""
    ours, theirs = (
        dataclasses.replace(_with_units(10), parameters={"claims": n, "noise_floor": n / 7})
        for n in (200, 190)
    )
    policy = judging(tmp_path, BASELINE_RULE)
    decision = decide(result_of(ours), policy, baseline=result_of(theirs))
    assert decision.rules[0].verdict == "pass"


def _recipe(data="ml-100k", **probes):
    return {"version": 1, "data": data, "probes": probes}


CATALOG = "hallucination.catalog"
SAME = {"recipe": _recipe(**{CATALOG: {"n_users": 100}}), "environment": {"auditkit": "0.1.0"}}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"environment": {"auditkit": "0.2.0"}}, "version of auditkit: '0.1' against '0.2'"),
        ({"environment": {}}, "version of auditkit: '0.1' against None"),
        ({"recipe": _recipe(**{CATALOG: {"n_users": 50}})}, "recipe of hallucination.catalog: "),
        ({"recipe": _recipe(**{CATALOG: {}})}, "against {}"),
        (
            {"recipe": _recipe("later.yaml", **{CATALOG: {"n_users": 100}})},
            "data of the recipe: 'ml-100k' against 'later.yaml'",
        ),
        (
            {"catalog": {**audit_result("").catalog, "data_sha256": "55" * 32}},
            "data sha256: None against '5555",
        ),
        ({"schema_version": "2.0"}, "schema major version: '1' against '2'"),
    ],
)
def test_another_version_recipe_or_data_is_refused_and_named(tmp_path, changes, named):
    policy = judging(tmp_path, BASELINE_RULE)
    mine = result_of(_with_units(10), **SAME)
    other = dataclasses.replace(mine, **changes)
    with pytest.raises(ConfigurationError, match="--allow-incomparable") as error:
        decide(mine, policy, baseline=other)
    assert named in str(error.value)
    looked = decide(mine, policy, baseline=other, allow_incomparable=True)
    assert looked.rules[0].verdict == "pass"
    assert (looked.verdict, looked.exit_code) == ("inconclusive", 11)
    assert any(named in reason for reason in looked.reasons)


def test_another_metric_version_is_refused_and_named(tmp_path):
    mine = result_of(_with_units(10), **SAME)
    older = dataclasses.replace(_with_units(10), metric_version=0)
    with pytest.raises(ConfigurationError, match=r"version of .*out_of_catalog_rate \[all\]: 1"):
        decide(
            mine,
            judging(tmp_path, BASELINE_RULE),
            baseline=dataclasses.replace(mine, findings=(older,)),
        )


def test_what_does_not_change_the_compared_numbers_stays_comparable(tmp_path):
    mine = result_of(_with_units(10), **SAME)
    recipe = {**_recipe(**{CATALOG: {"n_users": 100}, "utility.ranking": {}}), "name": "other"}
    other = dataclasses.replace(mine, recipe=recipe, environment={"auditkit": "0.1.7"})
    for allowed in (False, True):
        decision = decide(
            mine, judging(tmp_path, BASELINE_RULE), baseline=other, allow_incomparable=allowed
        )
        assert decision.exit_code == 0


def test_a_failure_against_an_incomparable_baseline_stays_a_failure(tmp_path):
    mine = result_of(_with_units(60), **SAME)
    other = dataclasses.replace(mine, findings=(_with_units(5),), seed=1)
    decision = decide(
        mine, judging(tmp_path, BASELINE_RULE), baseline=other, allow_incomparable=True
    )
    assert decision.exit_code == 10


def test_pairs_that_do_not_overlap_are_incomparable(tmp_path):
    rules = judging(tmp_path, BASELINE_RULE)
    for mine, theirs, reason in ((200, 100, "incomparable"), (20, 20, "too_few")):
        decision = decide(
            result_of(_with_units(2, mine)), rules, baseline=result_of(_with_units(2, theirs))
        )
        assert decision.rules[0].reason == reason
        assert decision.exit_code == 11
