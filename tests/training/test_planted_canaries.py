"""Canaries are users like any other, planted by their coin, and the model folder declares them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_world import world
from training_recipes import rows_of, small_recipe

from auditkit.errors import ConfigurationError
from auditkit.privacy.canary_file import Canary, CanaryFile, canary_path
from auditkit.privacy.canary_planting import draw_canaries, with_canaries
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.serialization.atomic_files import sha256_file
from auditkit.serialization.canonical_json import sha256_json
from auditkit.training.loop import train, training_rows
from auditkit.training.model import prepare
from auditkit.training.model_folder import identity_of
from auditkit.training.recipe import CanaryRecipe
from auditkit.training.recipe_checks import recipe_errors
from auditkit.training.rows.history_sampling import training_histories

CANARIES = CanaryRecipe(count=20, length=6)
IDS = tuple(world().interactions.item_ids)
FITS = pytest.mark.parametrize("fit", ["all_but_test", "all_but_validation"])


def drawn(recipe=CANARIES, seed=0):
    rng = np.random.default_rng(seed)
    return draw_canaries(IDS, count=recipe.count, length=recipe.length, rng=rng)


def test_coins_are_fair_and_items_are_distinct():
    canaries = drawn(CanaryRecipe(count=4000, length=3))
    share = np.mean([canary.planted for canary in canaries])
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(4000)
    assert all(len(set(canary.items)) == 3 for canary in canaries)
    assert len({canary.id for canary in canaries}) == 4000


@FITS
@pytest.mark.parametrize("repeats", [1, 3])
def test_the_training_history_of_a_planted_canary_is_the_whole_canary(fit, repeats):
    canaries = drawn()
    data = with_canaries(world(), canaries, repeats=repeats, fit=fit)
    n = len(world().interactions.user_ids)
    histories = training_histories(data, fit=fit)
    planted = [canary for canary in canaries if canary.planted for _ in range(repeats)]
    assert [tuple(IDS[row] for row in items) for items in histories[n:]] == [
        canary.items for canary in planted
    ]
    before = training_histories(world(), fit=fit)
    assert all(np.array_equal(a, b) for a, b in zip(before, histories[:n], strict=True))
    assert data.fingerprint == world().fingerprint


def test_a_temporal_split_holds_whole_canaries_too():
    times = world().interactions.timestamp
    cuts = (int(np.quantile(times, 0.8)), int(np.quantile(times, 0.9)))
    temporal = replace(world(), interactions=replace(world().interactions, cuts=cuts))
    canaries = drawn()
    data = with_canaries(temporal, canaries, repeats=1, fit="all_but_test")
    histories = training_histories(data, fit="all_but_validation")
    wanted = [canary.items for canary in canaries if canary.planted]
    assert [tuple(IDS[row] for row in items) for items in histories[80:]] == wanted


def test_each_planted_canary_is_one_fixed_row_and_no_holdout_user_changes():
    recipe = small_recipe(canaries=CANARIES)
    plain = rows_of(small_recipe(), world())
    trainee = prepare(recipe, world(), base=None)
    canaries = drawn()
    rows = training_rows(recipe, world(), trainee, canaries=canaries)
    assert rows.holdout == plain.holdout
    n_planted = sum(canary.planted for canary in canaries)
    assert len(rows.fixed_rows()) == len(plain.fixed_rows()) + n_planted
    assert set(plain.fixed_rows()) <= set(rows.fixed_rows())


def test_a_recipe_without_canaries_keeps_its_identity():
    recipe = small_recipe()
    later = {
        "checkpoint_every": True,
        "canaries": True,
        "federated": True,
        "data": {"synthetic", "forgetting"},
    }
    fields = recipe.model_dump(mode="json", exclude=later)
    assert identity_of(recipe, world())["recipe_sha256"] == sha256_json(fields)
    planted = small_recipe(canaries=CANARIES)
    assert identity_of(planted, world()) != identity_of(recipe, world())


def test_training_writes_the_coins_beside_the_folder_and_declares_their_hash(tmp_path):
    folder = train(small_recipe(steps=1, canaries=CANARIES), tmp_path / "m", dataset=world())
    path = canary_path(folder)
    written = CanaryFile.read(path)
    assert len(written.canaries) == 20
    assert 0 < sum(canary.planted for canary in written.canaries) < 20
    record = load_folder(folder).manifest.training.canaries
    assert (record.count, record.repeats, record.unit) == (20, 1, "user")
    assert record.file_sha256 == sha256_file(path)
    assert not any("canar" in file.name for file in folder.rglob("*"))


def test_a_resumed_training_keeps_its_canaries_and_refuses_others(tmp_path):
    class Killed(Exception):
        pass

    def kill(report):
        if report.step == 6:
            raise Killed

    recipe = small_recipe(canaries=CANARIES)
    with pytest.raises(Killed):
        train(recipe, tmp_path / "m", dataset=world(), on_step=kill)
    path = canary_path(tmp_path / "m")
    before = path.read_text()
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="Restore the file"):
        train(recipe, tmp_path / "m", dataset=world())
    (tmp_path / "elsewhere").rename(path)
    train(recipe, tmp_path / "m", dataset=world())
    assert path.read_text() == before


def test_the_canaries_of_another_training_are_set_aside(tmp_path):
    other = CanaryFile((Canary("c", IDS[:2], True),), 1, {"recipe_sha256": "0", "data_sha256": "0"})
    other.write(canary_path(tmp_path / "m"))
    train(small_recipe(steps=1, canaries=CANARIES), tmp_path / "m", dataset=world())
    assert CanaryFile.read(tmp_path / "m.canaries.jsonl-1") == other
    assert len(CanaryFile.read(canary_path(tmp_path / "m")).canaries) == 20


def test_a_canary_longer_than_the_window_or_the_catalog_is_an_error():
    recipe = small_recipe(window=8, canaries=CanaryRecipe(count=20, length=9))
    assert [place for place, _ in recipe_errors(recipe)] == ["canaries.length"]
    with pytest.raises(ConfigurationError, match="60 items of the catalog"):
        drawn(CanaryRecipe(count=4, length=61))
