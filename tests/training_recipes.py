"""Small training recipes for tests: a few thousand parameters, seconds on one core."""

from __future__ import annotations

from typing import Any

from auditkit.training.recipe import (
    DataRecipe,
    ModelRecipe,
    OptimiserRecipe,
    PrivacyRecipe,
    TaskRecipe,
    TrainingRecipe,
)


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
) -> TrainingRecipe:
    """A recipe over whatever data set the test brings."""
    return TrainingRecipe(
        version=1,
        name="small",
        seed=seed,
        steps=steps,
        checkpoint_every=checkpoint_every,
        data=DataRecipe(holdout_users=holdout_users, fit=fit, window=window),
        model=ModelRecipe(
            width=16, layers=2, heads=2, mlp=32, dropout=dropout, text_vocabulary=300
        ),
        tasks=TaskRecipe(recommend=6, describe=2),
        optimiser=OptimiserRecipe(warmup_steps=2),
        privacy=privacy,
    )
