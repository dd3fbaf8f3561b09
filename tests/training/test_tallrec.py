"""A real language model under LoRA, on the real data: in a file of its own, for it takes long."""

from __future__ import annotations

import json

import pytest
from zero_shot import untrained_base

from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe
from auditkit.training.loop import train
from auditkit.training.recipe_checks import read_training_recipe


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_tallrec_tells_likes_of_unseen_users_better_than_its_base_does_untrained(ml100k, tmp_path):
    recipe = read_training_recipe(find_recipe("tallrec", kind="train"))
    folder = train(recipe, tmp_path / "model", dataset=ml100k)
    # The last four interactions of each of the 189 users that the recipe holds out.
    audit = AuditRecipe(version=1, name="likes", probes={"utility.likes": {"n_examples": 756}})
    trained, untrained = (
        {f.group: f for f in run_audit(str(target), audit, tmp_path / run).findings}
        for run, target in (
            ("trained", folder),
            ("untrained", untrained_base(folder, tmp_path / "base")),
        )
    )
    ours, before = trained["all"].estimate, untrained["all"].estimate
    record = json.loads((folder / "manifest.json").read_text())
    for name, found in (("trained", ours), ("zero-shot", before)):
        print(f"{name}: AUC {found.value:.4f} [{found.low:.4f}, {found.high:.4f}]")
    print(record["volatile"])
    means = "baseline=item mean rating"  # equal: the examples are the same
    assert trained[means].estimate == untrained[means].estimate
    assert trained["all"].parameters == untrained["all"].parameters
    assert trained["all"].parameters["n_examples"] == 756
    assert (ours.n, ours.n_missing) == (189, 0)
    assert ours.low > before.high  # .654 and .606 where it was measured


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_few_steps_of_tallrec_give_an_adapter_that_is_audited(ml100k, tmp_path):
    recipe = read_training_recipe(find_recipe("tallrec", kind="train"))
    few = recipe.model_copy(update={"steps": 3})
    folder = train(few, tmp_path / "model", dataset=ml100k)
    assert RecommenderManifest.read(folder).training.steps == 3
    audit = AuditRecipe(version=1, name="likes", probes={"utility.likes": {"n_examples": 48}})
    trained, untrained = (
        {f.group: f.estimate for f in run_audit(str(target), audit, tmp_path / run).findings}
        for run, target in (
            ("trained", folder),
            ("untrained", untrained_base(folder, tmp_path / "base")),
        )
    )
    assert trained["all"].n_missing == 0
    assert trained["all"].value != untrained["all"].value
    assert trained["baseline=item mean rating"] == untrained["baseline=item mean rating"]
