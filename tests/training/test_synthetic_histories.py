"""Training on synthetic histories: one release, its claim, and a model that never read a user."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_world import world
from training_recipes import small_model, small_recipe

from auditkit.errors import AuditkitError, ConfigurationError
from auditkit.privacy.canary_file import Canary
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.training.loop import train
from auditkit.training.recipe import SyntheticRecipe
from auditkit.training.recipe_checks import recipe_errors
from auditkit.training.rows.history_sampling import training_histories
from auditkit.training.synthetic_histories import open_synthetic, synthetic_plan
from auditkit.training.training_users import draw_holdout

SETTINGS = SyntheticRecipe(unit="user", epsilon=2.0, histories=30, length=12)
IDENTITY = {"recipe_sha256": "r", "data_sha256": "d"}


def recipe(settings=SETTINGS, **changes):
    made = small_recipe(**{"steps": 3, "window": 4, **changes})
    return made.model_copy(update={"data": made.data.model_copy(update={"synthetic": settings})})


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    return open_synthetic(recipe(), world(), folder, IDENTITY), folder


def test_synthetic_users_replace_the_real_ones(opened):
    dataset = opened[0].dataset
    assert dataset.catalog is world().catalog
    assert dataset.interactions.user_ids[0] == "synthetic-0"
    histories = training_histories(dataset, fit="all_but_test")
    assert len(histories) == 30
    assert {len(history) for history in histories} == {11}  # without the last item
    known = {name for own in world().interactions.attributes for name in own}
    assert {name for own in dataset.interactions.attributes for name in own} == known


def test_claim_states_what_the_release_cost(opened):
    claim = opened[0].claim
    n_users = len(world().interactions.user_ids) - len(
        draw_holdout(recipe(), n_users=len(world().interactions.user_ids))
    )
    assert (claim.mechanism, claim.claim, claim.unit) == ("gaussian_transitions", "dp", "user")
    assert (claim.n_units, claim.steps, claim.sample_rate) == (n_users, 1, 1.0)
    assert claim.delta == pytest.approx(1 / (10 * n_users))
    assert 1.8 < claim.epsilon <= 2.0 < claim.epsilon_rdp * 1.05
    assert "hash of the data" in " ".join(claim.not_covered)


@pytest.mark.parametrize(
    ("unit", "words"), [("target", "later rows"), ("window", "several stretches")]
)
def test_smaller_units_say_that_users_are_not_covered(unit, words, tmp_path):
    settings = SETTINGS.model_copy(update={"unit": unit, "window": 3})
    found = open_synthetic(recipe(settings), world(), tmp_path, IDENTITY)
    assert found.claim.unit == "example"
    assert words in found.claim.not_covered[0]
    assert found.claim.n_units > 100


def test_a_release_is_made_once_and_belongs_to_one_run(opened):
    first, folder = opened
    before = (folder / "transitions.npz").read_bytes()
    again = open_synthetic(recipe(), world(), folder, IDENTITY)
    assert (folder / "transitions.npz").read_bytes() == before
    assert again.claim == first.claim
    assert again.dataset.fingerprint == first.dataset.fingerprint
    other = open_synthetic(recipe(), world(), folder, {**IDENTITY, "data_sha256": "e"})
    assert (folder / "transitions.npz").read_bytes() != before
    assert other.dataset.fingerprint != first.dataset.fingerprint


def test_held_out_users_have_no_part_in_the_release(tmp_path, monkeypatch):
    """With the same noise, other histories of the held-out users give the same release."""
    monkeypatch.setattr(
        "auditkit.training.synthetic_histories._os_entropy", lambda: np.random.default_rng(7)
    )
    data, made = world(), recipe()
    held_out = draw_holdout(made, n_users=len(data.interactions.user_ids))
    rows = data.interactions
    items = rows.item_index.copy()
    items[np.isin(rows.user_index, list(held_out))] = 0
    changed = replace(data, interactions=replace(rows, item_index=items))
    trained = rows.item_index.copy()
    trained[~np.isin(rows.user_index, list(held_out))] = 0
    other = replace(data, interactions=replace(rows, item_index=trained))
    files = []
    for number, one in enumerate((data, changed, other)):
        folder = tmp_path / str(number)
        folder.mkdir()
        open_synthetic(made, one, folder, IDENTITY)
        with np.load(folder / "transitions.npz") as arrays:
            files.append(arrays["weights"])
    assert np.array_equal(files[0], files[1])
    assert not np.array_equal(files[0], files[2])


def test_trained_folder_carries_the_claim_and_the_real_users(tmp_path):
    out = train(recipe(), tmp_path / "model", dataset=world())
    manifest = RecommenderManifest.read(out)
    assert manifest.privacy is not None
    assert manifest.privacy.mechanism == "gaussian_transitions"
    assert manifest.training is not None
    assert manifest.training.data_sha256 == world().fingerprint
    assert set(manifest.training.holdout_users) <= set(world().interactions.user_ids)
    assert len(manifest.training.holdout_users) == 10
    stored = json.loads((out / "transitions.json").read_text(encoding="ascii"))
    assert stored["claim"]["epsilon"] == manifest.privacy.epsilon
    losses = (out / "log.jsonl").read_text(encoding="ascii").splitlines()
    assert len(losses) == 3  # losses of synthetic rows are not private


def test_a_stated_delta_must_be_below_one_over_n(tmp_path):
    settings = SETTINGS.model_copy(update={"delta": 0.5})
    with pytest.raises(AuditkitError, match="random unit"):
        open_synthetic(recipe(settings), world(), tmp_path, IDENTITY)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"tasks": {"recommend": 2, "like": 2}}, "tasks.like"),
        ({"tasks": {"recommend": 2, "rating": 2}}, "tasks.rating"),
    ],
)
def test_what_synthetic_histories_lack_is_refused(changes, where):
    made = recipe().model_copy(update=changes)
    assert where in dict(recipe_errors(made))


def test_a_base_that_read_users_is_refused(tmp_path):
    base = train(small_recipe(steps=2, window=4), tmp_path / "base", dataset=world())
    made = recipe().model_copy(update={"model": small_model(base=str(base))})
    with pytest.raises(ConfigurationError, match="privacy claim"):
        train(made, tmp_path / "model", dataset=world())


def test_plan_names_units_and_noise(opened):
    claim = opened[0].claim
    words = synthetic_plan(recipe(), SETTINGS, world())
    assert f"transitions of {claim.n_units} users" in words
    assert f"noise multiplier {claim.noise_multiplier:.4f}" in words


def test_a_base_recipe_that_reads_the_catalog_alone_is_allowed(tmp_path):
    """Its rows are about items, which are public; one row about users makes it private."""
    catalog = """
version: 1
name: catalog
steps: 2
data: {holdout_users: 10, window: 4}
model: {width: 16, layers: 1, heads: 2, mlp: 32, text_vocabulary: 300}
tasks: {recommend: %d, describe: 2}
"""
    for rows, name in ((0, "catalog.yaml"), (2, "users.yaml")):
        (tmp_path / name).write_text(catalog % rows, encoding="utf-8")
    made = recipe().model_copy(
        update={"model": small_model().model_copy(update={"base": str(tmp_path / "catalog.yaml")})}
    )
    out = train(made, tmp_path / "model", dataset=world())
    assert (out / "base" / "recommender.yaml").is_file()
    private = made.model_copy(
        update={"model": made.model.model_copy(update={"base": str(tmp_path / "users.yaml")})}
    )
    with pytest.raises(ConfigurationError, match="items only"):
        train(private, tmp_path / "other", dataset=world())


def test_planted_canaries_are_in_the_release_and_others_are_not(tmp_path, monkeypatch):
    """With little and equal noise, the transitions of a canary that was put in stand out."""
    monkeypatch.setattr(
        "auditkit.training.synthetic_histories._os_entropy", lambda: np.random.default_rng(7)
    )
    items = world().catalog.ids
    canaries = [
        Canary(id=f"c{number}", items=tuple(items[6 * number : 6 * number + 6]), planted=not number)
        for number in range(2)
    ]
    settings = SETTINGS.model_copy(update={"epsilon": 200.0})
    found = []
    for number, all_of_them in enumerate(((), canaries)):
        folder = tmp_path / str(number)
        folder.mkdir()
        open_synthetic(recipe(settings), world(), folder, IDENTITY, canaries=all_of_them)
        with np.load(folder / "transitions.npz") as arrays:
            found.append(arrays["weights"])
    gains = [
        np.mean([(found[1] - found[0])[6 * n + i, 6 * n + i + 1] for i in range(5)])
        for n in range(2)
    ]
    assert gains[0] > 0.04
    assert abs(gains[1]) < 0.02
