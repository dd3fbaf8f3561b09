"""Models that have and have not forgotten users of the small world, and the files that say who."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from planted_recommenders import HELD_OUT
from small_folder import save
from small_world import world
from training_recipes import small_model, small_recipe

from auditkit.recommenders.adapters.manifest import TrainingRecord
from auditkit.training.loop import train
from auditkit.training.recipe import ForgettingRecipe, OptimizerRecipe
from auditkit.training.training_users import draw_holdout

_FOLDER = tempfile.TemporaryDirectory(prefix="auditkit-forgetting-")
PLACE = Path(_FOLDER.name)
USERS = world().interactions.user_ids
OVERFITTED = small_recipe(
    steps=350, window=12, holdout_users=25, model=small_model(width=48, dropout=0.0)
).model_copy(update={"optimizer": OptimizerRecipe(warmup_steps=2, learning_rate=1e-2)})


@cache
def some_users_file() -> str:
    """Twenty users who are not among the held-out users of the fake recommenders."""
    chosen = [user for user in USERS if user not in HELD_OUT][:20]
    return _written("some.txt", chosen)


@cache
def untrained_folder() -> str:
    """A folder that declares the held-out users of the fakes, for a comparison that says little."""
    record = TrainingRecord(
        recipe="none", seed=0, data_sha256=world().fingerprint, fit="all_but_test", tie_seed=0,
        holdout_users=list(HELD_OUT), steps=0, parameters=0,
    )  # fmt: skip
    return str(save(PLACE / "untrained", training=record))


@cache
def forgotten_file() -> str:
    """Twenty-five training users of `OVERFITTED`."""
    held_out = draw_holdout(OVERFITTED, n_users=len(USERS))
    chosen = [user for row, user in enumerate(USERS) if row not in held_out][:25]
    return _written("forgotten.txt", chosen)


def _written(name: str, users: list[str]) -> str:
    path = PLACE / name
    path.write_text("\n".join(users) + "\n", encoding="utf-8")
    return str(path)


def without_them(recipe, *, ascent=0.0):
    """The recipe with the users of `forgotten_file` to be forgotten."""
    asked = ForgettingRecipe(users_file=forgotten_file(), ascent=ascent)
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"forgetting": asked})})


@cache
def remembering() -> Path:
    """A model that has learned all training users by heart."""
    return train(OVERFITTED, PLACE / "remembering", dataset=world())


@cache
def retrained(steps: int = 350) -> Path:
    """The same without the forgotten users."""
    recipe = without_them(OVERFITTED.model_copy(update={"steps": steps}))
    return train(recipe, PLACE / f"retrained-{steps}", dataset=world())


@cache
def ascended() -> Path:
    """The remembering model after gradient ascent on the forgotten users."""
    changes = {
        "steps": 40,
        "model": OVERFITTED.model.model_copy(update={"base": str(remembering())}),
        "optimizer": OptimizerRecipe(warmup_steps=2, learning_rate=5e-3, weight_decay=0.0),
    }
    recipe = without_them(OVERFITTED.model_copy(update=changes), ascent=1.0)
    return train(recipe, PLACE / "ascended", dataset=world())
