"""What would train garbage or change a number without a word, refused before the first step."""

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

__all__ = ["refuse_missing_attributes", "refuse_processes", "refuse_ratings"]


def refuse_processes(recipe: TrainingRecipe, out: Path, n: int) -> None:
    """What several processes, or few rows, would change without a word.

    Raises:
        ConfigurationError: naming it.
    """
    rows, parts = sum(recipe.tasks.values()), recipe.optimiser.accumulation * n
    coupled = [name for name in recipe.objectives if not OBJECTIVES[name].per_example]
    fault = ""
    if rows < parts and not recipe.privacy:
        fault = f"a step of {rows} rows leaves some of its {parts} parts empty"
    elif n > 1 and recipe.privacy:
        fault = "private training accounts for one process"
    elif n > 1 and coupled:
        fault = f"objective {coupled[0]} compares the rows of one process only"
    elif n > 1 and is_recipe(recipe.model.base) and not (out / BASE / MANIFEST).is_file():
        fault = f"the base comes first: auditkit train {recipe.model.base} --out {out / BASE}"
    if fault:
        raise ConfigurationError(f"{recipe.name} on {n} processes: {fault}. Change one of them.")


def refuse_ratings(recipe: TrainingRecipe, dataset: Dataset) -> None:
    """Likes and ratings need ratings: of several values, and whole stars from 1 to 5."""
    asked = [name for name in ("like", "rating") if recipe.tasks.get(name)]
    values = set(np.unique(dataset.interactions.rating).tolist()) if asked else set()
    if asked and len(values) < 2:
        raise ConfigurationError(f"tasks.{asked[0]}: the interactions hold no ratings to learn.")
    if "rating" in asked and not values <= {1, 2, 3, 4, 5}:
        raise ConfigurationError(
            f"tasks.rating: ratings must be whole stars from 1 to 5; found {min(values):g} to "
            f"{max(values):g}. Scale them, or leave the task out."
        )


def refuse_missing_attributes(recipe: TrainingRecipe, dataset: Dataset) -> None:
    """Masking and twins need something that could be stated, or they would train nothing else."""
    place = "data.attribute_masking" if recipe.data.attribute_masking else ""
    if "counterfactual_consistency" in recipe.objectives:
        place = "objectives.counterfactual_consistency"
    if place and not known_values(dataset.interactions.attributes):
        raise ConfigurationError(
            f"{place}: the data know no attribute of any user. Name some under users.attributes, "
            "or remove it."
        )
