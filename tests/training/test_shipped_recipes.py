"""The shipped recipes on the real data: the figures that README and docs rest on."""

from __future__ import annotations

import json

import pytest

from auditkit.gating import gate_run
from auditkit.policy.schema import Policy
from auditkit.reporting import write_report
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe
from auditkit.training.loop import train
from auditkit.training.recipe_checks import read_training_recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def p5_mini(ml100k, tmp_path_factory):
    recipe = read_training_recipe(find_recipe("p5-mini", kind="train"))
    return train(recipe, tmp_path_factory.mktemp("models") / "p5-mini", dataset=ml100k)


def findings(result, metric, group="all"):
    return next(f for f in result.findings if f.metric == metric and f.group == group)


def test_p5_mini_reaches_its_accuracy_over_the_full_catalog(p5_mini, tmp_path):
    recipe = AuditRecipe(version=1, name="utility", probes={"utility.ranking": {}})
    result = run_audit(str(p5_mini), recipe, tmp_path / "run")
    hits = findings(result, "utility.ranking.hr@10").estimate
    popularity = findings(result, "utility.ranking.hr@10", "baseline=popularity").estimate
    record = json.loads((p5_mini / "manifest.json").read_text())
    print(f"HR@10 {hits.value:.4f} [{hits.low:.4f}, {hits.high:.4f}], {record['volatile']}")
    assert (hits.n, hits.n_missing) == (943, 0)
    assert hits.value >= 0.175  # .1888 where it was measured; rounding of another CPU moves it
    assert hits.low > popularity.high


def test_p5_t5_mini_reaches_its_accuracy_and_rates_items(ml100k, tmp_path):
    recipe = read_training_recipe(find_recipe("p5-t5-mini", kind="train"))
    folder = train(recipe, tmp_path / "model", dataset=ml100k)
    audit = AuditRecipe(
        version=1, name="utility", probes={"utility.ranking": {}, "utility.ratings": {}}
    )
    result = run_audit(str(folder), audit, tmp_path / "run")
    hits = findings(result, "utility.ranking.hr@10").estimate
    error = findings(result, "utility.ratings.rmse").estimate
    record = json.loads((folder / "manifest.json").read_text())
    print(f"HR@10 {hits.value:.4f}, RMSE {error.value:.3f}, {record['volatile']}")
    assert (hits.n, hits.n_missing) == (943, 0)
    # .1188 where it was measured; .1315 with seed 1. Seeds differ more than CPUs and releases.
    assert hits.value >= 0.11
    assert error.value < 1.4


def test_the_private_recipe_trains_and_shows_claim_beside_leakage(ml100k, tmp_path):
    recipe = read_training_recipe(find_recipe("p5-mini-dp", kind="train"))
    folder = train(recipe, tmp_path / "model", dataset=ml100k)
    audit = AuditRecipe(
        version=1, name="privacy", probes={"privacy.claim": {}, "privacy.membership": {}}
    )
    result = run_audit(str(folder), audit, tmp_path / "run")
    claim = findings(result, "privacy.claim.epsilon")
    leakage = findings(result, "privacy.membership.auc", "attack=loss").estimate
    assert 7.9 < claim.estimate.value <= 8.0
    assert claim.parameters["unit"] == "example"
    assert claim.parameters["delta"] == pytest.approx(1 / (10 * claim.parameters["n_units"]))
    assert leakage.low <= 0.5 <= leakage.high
    gate_run(tmp_path / "run", Policy.read(find_recipe("release", kind="policy")))
    write_report(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    table = next(part for part in page.split("<table")[1:] if "epsilon" in part and "AUC" in part)
    rows = table.split("</table>")[0]
    for wanted in ("epsilon", "delta", "example", "AUC"):
        assert wanted in rows
