"""The recipe and the policy `privacy` on trained models: from the coins to verdict and report."""

from __future__ import annotations

import json
import re

import pytest
from small_world import world, write_cache
from training_recipes import small_model, small_recipe

from auditkit.errors import ConfigurationError
from auditkit.gating import gate_run
from auditkit.policy.schema import Policy
from auditkit.privacy.canary_file import canary_path
from auditkit.reporting import write_report
from auditkit.run.recipe import AuditRecipe, read_recipe
from auditkit.run.recompute import recompute_run
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe
from auditkit.training.loop import train
from auditkit.training.recipe import CanaryRecipe
from auditkit.types import AuditResult

POLICY = Policy.read(find_recipe("privacy", kind="policy"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """An audited model with canaries, and two references."""
    parent = tmp_path_factory.mktemp("models")
    recipes = [
        small_recipe(
            seed=seed, steps=3, holdout_users=30, model=small_model(dropout=0.0),
            canaries=CanaryRecipe(count=80, length=5) if seed == 0 else None,
        )
        for seed in range(3)
    ]  # fmt: skip
    return [train(one, parent / f"m{seed}", dataset=world()) for seed, one in enumerate(recipes)]


@pytest.fixture(scope="module", autouse=True)
def small_data(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("AUDITKIT_CACHE", str(write_cache(folder)))
        yield


def privacy_recipe(folders, *, named=True):
    shipped = read_recipe(find_recipe("privacy", kind="audit"))
    probes = {name: dict(own) for name, own in shipped.probes.items() if "leak" not in name}
    probes["privacy.canary"]["n_exposure"] = 5
    probes["privacy.scan"] |= {"n_samples": 10, "max_new_tokens": 8}
    if named:
        probes["privacy.canary"]["canaries_file"] = str(canary_path(folders[0]))
        probes["privacy.membership"]["reference_models"] = [str(one) for one in folders[1:]]
    return shipped.model_copy(update={"probes": probes})


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    run_audit(str(folders[0]), privacy_recipe(folders), out)
    return out


def test_an_audit_with_all_files_is_measured_judged_reported_and_recomputed(run):
    result = AuditResult.read(run)
    status = {outcome.probe: outcome.status for outcome in result.outcomes}
    assert status == {
        "privacy.claim": "skipped", "privacy.canary": "ran", "privacy.membership": "ran",
        "privacy.extraction": "ran", "privacy.scan": "ran",
    }  # fmt: skip
    assert len([d for d in result.detectors if d.name.startswith("personal data")]) == 5
    decision = gate_run(run, POLICY)
    verdicts = {rule.rule: rule for rule in decision.rules}
    assert (verdicts["canary-bound"].verdict, verdicts["canary-bound"].effect) == (
        "pass", "passes",
    )  # fmt: skip
    assert verdicts["contradicted-claim"].effect == "shown"
    assert verdicts["canary-ceiling"].verdict == "pass"
    assert verdicts["personal-data"].effect in ("passes", "blocks")  # 80 texts are too few
    assert verdicts["members-found"].verdict == "inconclusive"  # 30 held-out users are too few
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "epsilon shown by canaries" in page
    told = r"in this audit; recommender\.yaml makes no privacy claim; .* at least \d\.\d\d nats"
    assert re.search(told, page)
    recomputed = recompute_run(run)
    assert recomputed.differences == ()
    assert recomputed.n_findings == len(result.findings)


def test_without_files_the_canary_probe_is_skipped_with_the_remedy(folders, tmp_path):
    recipe = privacy_recipe(folders, named=False)
    result = run_audit(str(folders[0]), recipe, tmp_path / "run")
    (canary,) = [o for o in result.outcomes if o.probe == "privacy.canary"]
    assert canary.status == "skipped"
    assert "names no canaries_file" in canary.reason
    verdicts = {rule.rule: rule.effect for rule in gate_run(tmp_path / "run", POLICY).rules}
    assert verdicts["canary-bound"] == verdicts["canary-ceiling"] == "shown"


def test_another_reference_model_at_the_same_path_is_another_run(run, folders):
    weights = folders[1] / "recommender.yaml"
    before = weights.read_bytes()
    try:
        weights.write_bytes(before.replace(b"name: small", b"name: other"))
        with pytest.raises(ConfigurationError, match=r"privacy\.membership\.reference_models"):
            run_audit(str(folders[0]), privacy_recipe(folders), run)
    finally:
        weights.write_bytes(before)


def test_a_recipe_that_names_no_model_keeps_its_identity(folders, tmp_path):
    recipe = AuditRecipe(version=1, name="one", probes={"privacy.membership": {"n_members": 40}})
    run_audit(str(folders[0]), recipe, tmp_path / "run")
    named = json.loads((tmp_path / "run" / "manifest.json").read_text())["fingerprints"]
    assert not any("model" in name for name in named)
