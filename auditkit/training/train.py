"""Training of any recipe: in steps over all rows, or federated in rounds over clients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from auditkit.catalog.dataset import Dataset
from auditkit.training import loop
from auditkit.training.loop import StepReport
from auditkit.training.recipe import TrainingRecipe

__all__ = ["train_recipe"]


def train_recipe(
    recipe: TrainingRecipe,
    out: Path,
    *,
    dataset: Dataset,
    on_step: Callable[[StepReport], None] = lambda _: None,
) -> Path:
    """Train a recommender into a folder, which `auditkit audit` takes as TARGET.

    Args:
        out: model folder.
        on_step: called after every step or round, for a progress bar.

    Returns:
        `out`.

    Raises:
        AuditkitError: the folder belongs to another recipe, or training failed.
        MissingDependency: the extra `fl` is not installed, for a recipe with section `federated`.
    """
    if recipe.federated is None:
        return loop.train(recipe, out, dataset=dataset, on_step=on_step)
    # Only federated recipes need Flower.
    from auditkit.training.federated_training import train_federated

    return train_federated(recipe, recipe.federated, out, dataset=dataset, on_step=on_step)
