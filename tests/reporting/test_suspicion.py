"""The first screen and the summary say that a model is suspiciously good, whatever the policy."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted_recommenders import Clean, FindsEveryTestItem
from policies import judging, result_of
from run_folder import AS_OF
from run_probe import run_probe
from small_world import world

from auditkit.policy.decide import decide
from auditkit.recommenders.adapters.baselines import load_baseline
from auditkit.reporting.statements.first_screen import first_screen
from auditkit.reporting.statements.suspicion import suspicion

EXCESS = "utility.ranking.excess_over_baseline"
RULE = f"  - {{id: suspiciously-good, metric: {EXCESS}, max: 0, severity: minor}}"
FLOOR = "  - {id: floor, metric: utility.ranking.ndcg@10, min: 0.02}"
DECLARED = {"training": {"data_sha256": world().fingerprint, "fit": "all_but_test"}}


def findings_of(recommender, manifest=None):
    return run_probe("utility.ranking", recommender, manifest=manifest).findings


def test_a_memorizing_model_is_named_with_its_figures_and_what_could_not_be_checked():
    said = suspicion(findings_of(FindsEveryTestItem()))
    assert said.startswith("Suspiciously good: the model's NDCG@10 of 1")
    assert "times that of the best baseline" in said
    assert said.endswith("could not be checked, because the recommender does not declare its "
                         "training data.")  # fmt: skip


def test_a_declaration_of_the_training_data_is_quoted_as_one():
    assert "a declaration, not a measurement" in suspicion(
        findings_of(FindsEveryTestItem(), DECLARED)
    )


@pytest.mark.parametrize("recommender", [Clean(), load_baseline("ease", world())])
def test_other_models_are_not_called_suspicious(recommender):
    assert suspicion(findings_of(recommender)) == ""


def test_an_audit_without_the_metric_says_nothing():
    assert (
        suspicion([f for f in findings_of(FindsEveryTestItem()) if "excess" not in f.metric]) == ""
    )


def test_the_rule_warns_and_does_not_stop_the_release(tmp_path):
    result = result_of(*findings_of(FindsEveryTestItem()))
    decision = decide(result, judging(tmp_path, f"{FLOOR}\n{RULE}"), as_of=AS_OF)
    rules = {rule.rule: rule for rule in decision.rules}
    assert (rules["suspiciously-good"].verdict, rules["suspiciously-good"].effect) == (
        "fail",
        "shown",
    )
    assert decision.verdict == "pass"
    seen = first_screen(result, decision, n_not_planned=0, n_small_groups=0)
    assert seen.warning.startswith("Suspiciously good")
    assert "but read the warning" in seen.may_it_ship
    clean = result_of(*findings_of(load_baseline("ease", world())))
    assert first_screen(clean, None, n_not_planned=0, n_small_groups=0).warning == ""


def test_the_rule_stops_the_release_as_a_blocker(tmp_path):
    result = result_of(*findings_of(FindsEveryTestItem()))
    blocker = RULE.replace("minor", "blocker")
    assert decide(result, judging(tmp_path, f"{FLOOR}\n{blocker}"), as_of=AS_OF).verdict == "fail"


def test_a_ratio_that_does_not_exist_is_not_printed():
    found = [
        replace(f, parameters={**f.parameters, "ratio": None}) if "excess" in f.metric else f
        for f in findings_of(FindsEveryTestItem())
    ]
    assert "the best baseline has no hit" in suspicion(found)
