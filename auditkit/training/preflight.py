"""Preflight checks that reject configurations which would silently change results."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.recommenders.adapters.manifest import MANIFEST
from auditkit.recommenders.prompting.attribute_phrases import known_values
from auditkit.training.base_model import BASE, is_recipe
from auditkit.training.objectives import OBJECTIVES
from auditkit.training.recipe import TrainingRecipe

__all__ = ["require_attributes", "require_ratings", "validate_batch_split"]


def validate_batch_split(recipe: TrainingRecipe, out: Path, n: int) -> None:
    """Reject recipes whose result would change with several processes or too few rows.

    Raises:
        ConfigurationError: the recipe cannot be trained on `n` processes.
    """
    rows, parts = sum(recipe.tasks.values()), recipe.optimizer.accumulation * n
    coupled = [name for name in recipe.objectives if not OBJECTIVES[name].per_example]
    fault, remedy = "", "Change the recipe or the number of processes."
    if rows < parts and not recipe.privacy:
        fault = f"a step has {rows} rows for {parts} parts, so some parts would be empty"
    elif n > 1 and (recipe.privacy or recipe.federated):
        fault = "private training supports only one process"
    elif n > 1 and coupled:
        fault = f"objective {coupled[0]} would compare only rows of the same process"
    elif n > 1 and is_recipe(recipe.model.base) and not (out / BASE / MANIFEST).is_file():
        fault = "the base is not trained yet"
        remedy = f"Run first: auditkit train {recipe.model.base} --out {out / BASE}"
    if fault:
        raise ConfigurationError(f"{recipe.name} on {n} processes: {fault}. {remedy}")


def require_ratings(recipe: TrainingRecipe, dataset: Dataset) -> None:
    """Require ratings with several values for `like`, and whole stars from 1 to 5 for `rating`."""
    asked = [name for name in ("like", "rating") if recipe.tasks.get(name)]
    values = set(np.unique(dataset.interactions.rating).tolist()) if asked else set()
    if asked and len(values) < 2:
        raise ConfigurationError(
            f"tasks.{asked[0]}: the data have no ratings, or all ratings are equal. Remove the "
            "task."
        )
    unusable = sorted(values - {1, 2, 3, 4, 5}) if "rating" in asked else []
    if unusable:
        raise ConfigurationError(
            f"tasks.rating: the data contain the rating {unusable[0]:g}, but the task needs whole "
            "stars from 1 to 5. Rescale the ratings, or remove the task."
        )


def require_attributes(recipe: TrainingRecipe, dataset: Dataset) -> None:
    """Require user attributes if the recipe masks them or uses counterfactual rows."""
    place = "data.attribute_masking" if recipe.data.attribute_masking else ""
    if "counterfactual_consistency" in recipe.objectives:
        place = "objectives.counterfactual_consistency"
    if place and not known_values(dataset.interactions.attributes):
        raise ConfigurationError(
            f"{place}: the data have no user attributes. Remove this setting, or name attribute "
            "columns in users.attributes."
        )
