"""Small training recipes for tests: a few thousand parameters, seconds on one core."""

from __future__ import annotations

from typing import Any

from auditkit.catalog.dataset import Dataset
from auditkit.training.loop import training_rows
from auditkit.training.model import prepare
from auditkit.training.recipe import (
    DataRecipe,
    ModelRecipe,
    OptimizerRecipe,
    PrivacyRecipe,
    TrainingRecipe,
)
from auditkit.training.rows.training_rows import TrainingRows


def small_recipe(
    *,
    seed: int = 0,
    steps: int = 12,
    fit: Any = "all_but_test",
    holdout_users: int = 10,
    window: int = 8,
    dropout: float = 0.1,
    privacy: PrivacyRecipe | None = None,
    checkpoint_every: int = 4,
    tasks: dict[str, int] | None = None,
    **sections: Any,
) -> TrainingRecipe:
    """A recipe over whatever data set the test brings."""
    return TrainingRecipe(
        version=1,
        name="small",
        seed=seed,
        steps=steps,
        checkpoint_every=checkpoint_every,
        data=DataRecipe(holdout_users=holdout_users, fit=fit, window=window),
        model=sections.pop("model", None) or small_model(dropout=dropout),
        tasks=tasks or {"recommend": 6, "describe": 2},
        optimizer=OptimizerRecipe(warmup_steps=2),
        privacy=privacy,
        **sections,
    )


def small_model(**changes: Any) -> ModelRecipe:
    """A model of a few thousand parameters."""
    return ModelRecipe(
        **{"width": 16, "layers": 2, "heads": 2, "mlp": 32, "text_vocabulary": 300, **changes}
    )


def rows_of(recipe: TrainingRecipe, dataset: Dataset) -> TrainingRows:
    """The training rows of a recipe without a base."""
    return training_rows(recipe, dataset, prepare(recipe, dataset, base=None))
