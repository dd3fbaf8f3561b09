"""The model that a recipe starts from: a model folder, a fetched model, or a recipe trained first.

It is placed in `OUT/base`, so the trained folder is whole: weights there, the adapter beside them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from auditkit.canonical import sha256_json
from auditkit.errors import ConfigurationError
from auditkit.recipe import find_recipe
from auditkit.recommenders.folder_identity import folder_fingerprint
from auditkit.recommenders.load import MODELS, fetch_model
from auditkit.recommenders.manifest import MANIFEST, RecommenderManifest
from auditkit.training.recipe import TrainingRecipe, read_training_recipe

__all__ = ["BASE", "base_identity", "link", "place_base"]

BASE = "base"
_LEFT_OUT = ("checkpoints", "evaluation", "manifest.json", "log.jsonl")


def place_base(
    recipe: TrainingRecipe, out: Path, *, train: Callable[[TrainingRecipe, Path], Path]
) -> Path | None:
    """The folder `out/base`, filled if it is not there yet; None for recipes without a base.

    Args:
        train: trains a recipe into a folder, for a base that is the name of one.
    """
    if recipe.model.base is None:
        return None
    placed, source = out / BASE, _folder(recipe.model.base)
    if source is None:
        return train(_recipe(recipe.model.base), placed)
    if not (placed / MANIFEST).is_file():
        staging = out / f".{BASE}"
        shutil.rmtree(staging, ignore_errors=True)
        ignored = shutil.ignore_patterns(*_LEFT_OUT)
        shutil.copytree(source, staging, copy_function=link, ignore=ignored)
        shutil.rmtree(placed, ignore_errors=True)
        staging.rename(placed)
    return placed


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
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
