"""Base model of a recipe: a model folder, a downloaded model, or a recipe that is trained first.

The base is copied to `OUT/base`, so that the trained folder contains both base and adapter.
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
from auditkit.training.recipe import TrainingRecipe
from auditkit.training.recipe_checks import read_training_recipe
from auditkit.training.rows.tasks import TASKS
from auditkit.training.training_users import draw_holdout

__all__ = ["BASE", "base_identity", "is_recipe", "link", "place_base", "public_base"]

BASE = "base"
_LEFT_OUT = ("checkpoints", "evaluation", "manifest.json", "log.jsonl")


def place_base(
    recipe: TrainingRecipe,
    out: Path,
    *,
    dataset: Dataset,
    train: Callable[[TrainingRecipe, Path], Path],
) -> Path | None:
    """Copy the base to `out/base` and return this folder; None for a recipe without a base.

    Args:
        train: function that trains a recipe into a folder and returns the folder; used if the base
            is the name of a recipe.

    Raises:
        ConfigurationError: the base was trained on data that this recipe holds out, or on users
            that the recipe's privacy claim would not cover.
    """
    if recipe.model.base is None:
        return None
    placed, source = out / BASE, public_base(recipe) or _folder(recipe.model.base)
    if source is None:
        train(_recipe(recipe.model.base), placed)
    else:
        _copy(source, placed, out / f".{BASE}")
    _validate_base(recipe, placed, dataset)
    return placed


def public_base(recipe: TrainingRecipe) -> Path | None:
    """Return the base folder of a private recipe; None without a privacy claim or a base folder.

    The base may also be a recipe that trains only on the catalog, because the catalog is public.

    Raises:
        ConfigurationError: the base was trained on users. A private run would publish this base
            too, and its epsilon would not cover it.
    """
    if not recipe.claims_privacy or recipe.model.base is None:
        return None
    source = _folder(recipe.model.base)
    if source is None and _reads_catalog_only(_recipe(recipe.model.base)):
        return None
    if source is None or RecommenderManifest.read(source).training is not None:
        raise ConfigurationError(
            f"model.base {recipe.model.base} is trained on users' interactions, which the privacy "
            "claim of this run would not cover. Use a base with public weights or a recipe that "
            "trains on items only, or train from scratch."
        )
    return source


def _reads_catalog_only(recipe: TrainingRecipe) -> bool:
    """Whether a recipe reads items and no users."""
    on_items = all(TASKS[name].source == "item" for name, rows in recipe.tasks.items() if rows)
    unordered = recipe.model.indexing in ("item", "random", "titles")
    return recipe.model.base is None and on_items and unordered


def _copy(source: Path, placed: Path, staging: Path) -> None:
    """Copy the model of `source` to `placed`, replacing a different model."""
    wanted = folder_fingerprint(source, RecommenderManifest.read(source))
    there = (placed / MANIFEST).is_file()
    if not there or folder_fingerprint(placed, RecommenderManifest.read(placed)) != wanted:
        shutil.rmtree(staging, ignore_errors=True)
        ignored = shutil.ignore_patterns(*_LEFT_OUT)
        shutil.copytree(source, staging, copy_function=link, ignore=ignored)
        shutil.rmtree(placed, ignore_errors=True)
        staging.rename(placed)


def _validate_base(recipe: TrainingRecipe, base: Path, dataset: Dataset) -> None:
    """Reject a base that was trained on data that this recipe holds out."""
    trained = RecommenderManifest.read(base).training
    if trained is None:  # a general model, whose training data are unknown
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
            "holdout_users for the base and this recipe."
        )


def base_identity(recipe: TrainingRecipe) -> str | None:
    """Return the hash of the base; None for a recipe without a base."""
    if recipe.model.base is None:
        return None
    folder = _folder(recipe.model.base)
    if folder is not None:
        return folder_fingerprint(folder, RecommenderManifest.read(folder))
    base = _recipe(recipe.model.base)
    left_out = {"checkpoint_every"} if base.federated else {"checkpoint_every", "federated"}
    return sha256_json(base.model_dump(mode="json", exclude=left_out))


def _folder(base: str) -> Path | None:
    """Return the folder of a base; None if the base is the name of a recipe."""
    if base in MODELS:
        return fetch_model(base)
    return Path(base) if (Path(base) / MANIFEST).is_file() else None


def is_recipe(base: str | None) -> bool:
    """Whether a base is the name of a recipe."""
    return base is not None and _folder(base) is None


def _recipe(base: str) -> TrainingRecipe:
    """Read the recipe that a base names."""
    try:
        # What it names was checked when the recipe that names it was read.
        return read_training_recipe(find_recipe(base, kind="train"), allow_outside=True)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"model.base {base!r} is not a folder with a {MANIFEST}, not one of "
            f"{', '.join(MODELS)}, and not a training recipe. {error}"
        ) from None


def link(source: str, destination: str) -> None:
    """Create a hard link to a file, or a copy if the file system does not support links."""
    try:
        os.link(os.path.realpath(source), destination)
    except OSError:
        shutil.copy2(source, destination)
