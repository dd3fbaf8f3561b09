"""Recipes that leave users out of training, or unlearn them by gradient ascent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from planted_forgetting import OVERFITTED, USERS, forgotten_file, without_them
from small_world import world
from training_recipes import rows_of, small_recipe

from auditkit.errors import ConfigurationError
from auditkit.privacy.user_list import read_user_ids
from auditkit.recommenders.adapters.manifest import RecommenderManifest
from auditkit.training.loop import train
from auditkit.training.model_folder import identity_of
from auditkit.training.recipe import SyntheticRecipe
from auditkit.training.recipe_checks import recipe_errors
from auditkit.training.training_users import draw_holdout, left_out, unlearned

ASKED = frozenset(read_user_ids(Path(forgotten_file()), USERS))


def users_of_epoch(recipe):
    rows = rows_of(recipe, world())
    return Counter(drawn.user for drawn in rows.draws.of_epoch("stretch", "recommend", 0))


def test_retraining_leaves_out_the_users_and_nobody_else():
    before, after = users_of_epoch(OVERFITTED), users_of_epoch(without_them(OVERFITTED))
    assert set(before) - set(after) == ASKED
    assert set(after) < set(before)


def test_ascent_gives_a_quarter_of_the_rows_to_them_with_negative_weights(tmp_path):
    recipe, few = without_them(OVERFITTED, ascent=0.5), sorted(ASKED)[:3]
    path = tmp_path / "few.txt"
    path.write_text("\n".join(USERS[row] for row in few), encoding="utf-8")
    asked = recipe.data.forgetting.model_copy(update={"users_file": str(path)})
    data = recipe.data.model_copy(update={"forgetting": asked})
    counts = users_of_epoch(recipe.model_copy(update={"data": data}))
    share = sum(counts[user] for user in few) / counts.total()
    assert share == pytest.approx(0.25, abs=0.06)
    rows = next(rows_of(recipe, world()).batches({"recommend": 40, "describe": 4}, first_step=0))
    weights = {set(row.weights).pop() if row.weights else 1.0 for row in rows}
    assert weights == {1.0, -0.5}
    weighted = [row for row in rows if row.weights]
    assert all(len(row.weights) == len(row.ids) - row.first_target for row in weighted)


def test_held_out_users_are_neither_trained_on_nor_unlearned():
    held_out = draw_holdout(OVERFITTED, n_users=len(USERS))
    assert left_out(without_them(OVERFITTED), USERS) == held_out | ASKED
    assert left_out(without_them(OVERFITTED, ascent=1.0), USERS) == held_out
    assert unlearned(without_them(OVERFITTED, ascent=1.0), USERS) == ASKED
    assert unlearned(OVERFITTED, USERS) == frozenset()


def test_manifest_does_not_say_who_asked(tmp_path):
    short = without_them(OVERFITTED.model_copy(update={"steps": 1}))
    out = train(short, tmp_path / "m", dataset=world())
    training = RecommenderManifest.read(out).training
    assert training is not None
    assert not {USERS[row] for row in ASKED} & set(training.holdout_users)
    record = (out / "manifest.json").read_text(encoding="utf-8")
    assert not any(f'"{USERS[row]}"' in record for row in ASKED)


def test_identity_follows_the_ids_and_recipes_without_it_keep_theirs(tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(f"{USERS[0]}\n", encoding="utf-8")
    moved = tmp_path / "moved.txt"
    moved.write_bytes(Path(forgotten_file()).read_bytes())

    def identity(path):
        recipe = without_them(OVERFITTED)
        asked = recipe.data.forgetting.model_copy(update={"users_file": str(path)})
        data = recipe.data.model_copy(update={"forgetting": asked})
        return identity_of(recipe.model_copy(update={"data": data}), world())

    assert identity(moved) == identity(forgotten_file()) != identity(other)


@pytest.mark.parametrize(
    ("text", "words"), [("", "is empty"), ("nobody\n", "names 'nobody'"), (None, "cannot be read")]
)
def test_a_file_that_names_no_user_is_refused(text, words, tmp_path):
    path = tmp_path / "users.txt"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=words):
        read_user_ids(path, USERS)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({}, "data.forgetting.ascent"),
        (
            {"objectives": {"language_model": 1.0, "next_k_behaviors": 1.0}},
            "data.forgetting.ascent",
        ),
        ({"tasks": {"recommend": 0, "describe": 2}}, "data.forgetting.ascent"),
    ],
)
def test_ascent_without_what_it_needs_is_refused(changes, where):
    recipe = without_them(small_recipe(), ascent=1.0).model_copy(update=changes)
    assert where in dict(recipe_errors(recipe))


def test_ascent_has_no_privacy_claim():
    recipe = without_them(small_recipe(), ascent=1.0)
    data = recipe.data.model_copy(update={"synthetic": SyntheticRecipe()})
    found = dict(recipe_errors(recipe.model_copy(update={"data": data})))
    assert "data.forgetting.ascent" in found
