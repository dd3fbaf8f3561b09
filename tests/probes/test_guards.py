"""Measurements that would mean something else are refused or say what they are."""

from __future__ import annotations

import dataclasses

import pytest
from planted_recommenders import Clean, Memorizes
from run_probe import run_probe
from small_world import world

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.probes.base import NotAssessable
from auditkit.recommenders.adapters.baselines import load_baseline
from auditkit.run.recipe import AuditRecipe

TRAINING = {"recipe": "x", "holdout_users": [], "data_sha256": "0" * 64, "fit": "all_but_test"}


@pytest.mark.parametrize(
    "probe", ["utility.ranking", "fairness.group_utility", "privacy.membership"]
)
def test_a_model_trained_on_other_data_is_not_assessable(probe):
    with pytest.raises(NotAssessable, match="other data"):
        run_probe(probe, Memorizes(), manifest={"training": TRAINING})


def test_the_fingerprint_of_a_data_set_covers_the_users_attributes():
    data = world()
    emptied = dataclasses.replace(
        data.interactions, attributes=tuple({} for _ in data.interactions.attributes)
    )
    assert Dataset(data.catalog, emptied).fingerprint != data.fingerprint


def test_a_recommender_that_never_reads_words_says_so_beside_every_number():
    popularity = load_baseline("popularity", world())
    run = run_probe("robustness.prompt.case", popularity)
    assert all("never reads the prompt text" in finding.notes[-1] for finding in run.findings)
    run = run_probe("robustness.prompt.case", Clean())
    assert not any("never reads" in note for finding in run.findings for note in finding.notes)


def test_a_split_that_is_told_apart_without_the_model_leaves_membership_undefined():
    lengths = {user: len(world().interactions.history(user, until="test")) for user in range(80)}
    longest = sorted(lengths, key=lambda user: -lengths[user])[:30]
    held_out = [world().interactions.user_ids[user] for user in longest]
    training = {**TRAINING, "holdout_users": held_out, "data_sha256": world().fingerprint}
    run = run_probe("privacy.membership", Memorizes(), manifest={"training": training})
    blind = run.one("privacy.membership.auc", "attack=blind").estimate
    loss = run.one("privacy.membership.auc", "attack=loss").estimate
    assert blind.low > 0.5
    assert loss.value is None
    assert loss.reason.startswith("not_assessable")


def test_every_name_given_to_only_must_be_in_the_recipe():
    recipe = AuditRecipe(version=1, name="r", probes={"utility.ranking": {}})
    assert list(recipe.only(["utility"]).probes) == ["utility.ranking"]
    with pytest.raises(ConfigurationError, match="no probe of explain"):
        recipe.only(["utility", "explain"])
