"""The model that a recipe starts from: a model folder, a fetched model, or a recipe trained first.

It is placed in `OUT/base`, so the trained folder is whole: weights there, the adapter beside them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.recommenders.adapters.folder_fingerprint import folder_fingerprint
from auditkit.recommenders.adapters.manifest import MANIFEST, RecommenderManifest
from auditkit.recommenders.loading.load import MODELS, fetch_model
from auditkit.serialization.canonical_json import sha256_json
from auditkit.shipped_recipes import find_recipe
from auditkit.training.history_sampling import draw_holdout
from auditkit.training.recipe import TrainingRecipe
from auditkit.training.recipe_checks import read_training_recipe

__all__ = ["BASE", "base_identity", "is_recipe", "link", "place_base"]

BASE = "base"
_LEFT_OUT = ("checkpoints", "evaluation", "manifest.json", "log.jsonl")


def place_base(
    recipe: TrainingRecipe,
    out: Path,
    *,
    dataset: Dataset,
    train: Callable[[TrainingRecipe, Path], Path],
) -> Path | None:
    """The folder `out/base`, filled if it is not there yet; None for recipes without a base.

    Args:
        train: trains a recipe into a folder, for a base that is the name of one.

    Raises:
        ConfigurationError: the base has seen what this recipe holds out.
    """
    if recipe.model.base is None:
        return None
    placed, source = out / BASE, _folder(recipe.model.base)
    if source is None:
        train(_recipe(recipe.model.base), placed)
    else:
        _copy(source, placed, out / f".{BASE}")
    _refuse_leak(recipe, placed, dataset)
    return placed


def _copy(source: Path, placed: Path, staging: Path) -> None:
    """The very model of `source` in `placed`; another one there is replaced."""
    wanted = folder_fingerprint(source, RecommenderManifest.read(source))
    there = (placed / MANIFEST).is_file()
    if not there or folder_fingerprint(placed, RecommenderManifest.read(placed)) != wanted:
        shutil.rmtree(staging, ignore_errors=True)
        ignored = shutil.ignore_patterns(*_LEFT_OUT)
        shutil.copytree(source, staging, copy_function=link, ignore=ignored)
        shutil.rmtree(placed, ignore_errors=True)
        staging.rename(placed)


def _refuse_leak(recipe: TrainingRecipe, base: Path, dataset: Dataset) -> None:
    """What this recipe holds out, the base may not have been trained on."""
    trained = RecommenderManifest.read(base).training
    if trained is None:  # a general model: nothing is known
        return
    ids = dataset.interactions.user_ids
    held_out = {ids[user] for user in draw_holdout(recipe, n_users=len(ids))}
    fault = ""
    if trained.data_sha256 != dataset.fingerprint:
        fault = "was trained on other data, so held-out items may be among them"
    elif trained.fit == "all_but_test" and recipe.data.fit == "all_but_validation":
        fault = "was trained on the validation items, which this recipe holds out"
    elif seen := held_out - set(trained.holdout_users):
        fault = f"was trained on {len(seen)} of the users that this recipe holds out"
    if fault:
        raise ConfigurationError(
            f"model.base {recipe.model.base} {fault}. Use the same data, seed, fit and "
            "holdout_users for both."
        )


def base_identity(recipe: TrainingRecipe) -> str | None:
    """Hash of the base; None for recipes without one."""
    if recipe.model.base is None:
        return None
    folder = _folder(recipe.model.base)
    if folder is not None:
        return folder_fingerprint(folder, RecommenderManifest.read(folder))
    fields = _recipe(recipe.model.base).model_dump(mode="json", exclude={"checkpoint_every"})
    return sha256_json(fields)


def _folder(base: str) -> Path | None:
    """The folder that a base names; None where it names a recipe."""
    if base in MODELS:
        return fetch_model(base)
    return Path(base) if (Path(base) / MANIFEST).is_file() else None


def is_recipe(base: str | None) -> bool:
    """Whether a base is the name of a recipe."""
    return base is not None and _folder(base) is None


def _recipe(base: str) -> TrainingRecipe:
    """The recipe that a base names."""
    try:
        return read_training_recipe(find_recipe(base, kind="train"))
    except ConfigurationError as error:
        raise ConfigurationError(
            f"model.base {base!r} is no folder with a {MANIFEST}, none of {', '.join(MODELS)}, and "
            f"no training recipe: {error}"
        ) from None


def link(source: str, destination: str) -> None:
    """A second name for a file, or a copy where the file system allows none."""
    try:
        os.link(os.path.realpath(source), destination)
    except OSError:
        shutil.copy2(source, destination)
