"""The training recipe: one YAML that reads like a letter; every fault is reported at once, with its
line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from auditkit.errors import ConfigurationError
from auditkit.strict_yaml import load_yaml, validate

__all__ = [
    "DataRecipe",
    "ModelRecipe",
    "OptimiserRecipe",
    "PrivacyRecipe",
    "TaskRecipe",
    "TrainingRecipe",
    "read_training_recipe",
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataRecipe(_Section):
    """Which interactions, and who stays out of training.

    `holdout_users` random users (seeded) never enter training; they are still evaluated and are the
    non-members of the membership audit. `fit` decides whether the validation item is trained on.
    """

    dataset: Literal["ml-100k"] = "ml-100k"
    holdout_users: int = Field(default=100, ge=0)
    fit: Literal["all_but_test", "all_but_validation"] = "all_but_test"
    window: int = Field(default=50, ge=2, le=512)


class ModelRecipe(_Section):
    """A decoder-only transformer with tied embeddings, trained from scratch."""

    architecture: Literal["llama"] = "llama"
    width: int = Field(default=64, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    mlp: int = Field(default=128, ge=8)
    context: int = Field(default=192, ge=32)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    text_vocabulary: int = Field(default=600, ge=260)


class TaskRecipe(_Section):
    """Rows of each task in one step."""

    recommend: int = Field(default=32, ge=1)
    describe: int = Field(default=10, ge=0)


class OptimiserRecipe(_Section):
    """AdamW with warm-up and linear decay by step."""

    learning_rate: float = Field(default=4e-3, gt=0)
    betas: Annotated[list[float], Field(min_length=2, max_length=2)] = [0.9, 0.98]
    weight_decay: float = Field(default=0.1, ge=0)
    warmup_steps: int = Field(default=50, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)


class PrivacyRecipe(_Section):
    """DP-SGD (Abadi et al. 2016). The unit is one fixed training row; noise and sampling come from
    OS entropy.

    `epsilon` is the target at `delta` = 1 / (10 N) for N rows, by the PRV accountant;
    `expected_batch` / N is the Poisson sampling rate. `physical_batch` bounds memory only.
    """

    mechanism: Literal["dp_sgd"]
    unit: Literal["example"] = "example"
    epsilon: float = Field(default=8.0, gt=0)
    clip_norm: float = Field(default=1.0, gt=0)
    expected_batch: int = Field(default=256, ge=1)
    physical_batch: int = Field(default=128, ge=1)


class TrainingRecipe(_Section):
    """A whole training run."""

    version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = Field(default=0, ge=0)
    steps: int = Field(ge=1)
    threads: int = Field(default=1, ge=1)
    checkpoint_every: int = Field(default=100, ge=1)
    data: DataRecipe = DataRecipe()
    model: ModelRecipe = ModelRecipe()
    tasks: TaskRecipe = TaskRecipe()
    objectives: dict[str, float] = {"language_model": 1.0}
    optimiser: OptimiserRecipe = OptimiserRecipe()
    adapter: Literal["full"] = "full"
    privacy: PrivacyRecipe | None = None


def read_training_recipe(path: Path) -> TrainingRecipe:
    """Read and check a recipe.

    Raises:
        ConfigurationError: every fault at once, each with file and line.
    """
    document = load_yaml(path)
    recipe = validate(document, TypeAdapter(TrainingRecipe))
    from auditkit.registry import did_you_mean
    from auditkit.training.objectives import OBJECTIVES

    for name in recipe.objectives:
        if name not in OBJECTIVES:
            place = f"{document.source}:{document.line(['objectives', name])}"
            raise ConfigurationError(
                f"{place}: unknown objective {name!r}.{did_you_mean(name, OBJECTIVES)} Known: "
                f"{', '.join(OBJECTIVES)}."
            )
    if recipe.privacy:
        coupled = [name for name in recipe.objectives if not OBJECTIVES[name].per_example]
        unread = [name for name in ("tasks",) if name in recipe.model_fields_set]
        if "clip_norm" in recipe.optimiser.model_fields_set:
            unread.append("optimiser.clip_norm")
        faults = [(f"objectives.{name}", "couples examples; DP cannot use it") for name in coupled]
        faults += [(name, "is not read when privacy is on; remove it") for name in unread]
        if recipe.model.dropout:
            # Dropout sits in forward hooks, between a layer and the hooks that see its gradient.
            faults.append(("model.dropout", "must be 0 when privacy is on"))
        if faults:
            raise ConfigurationError(
                "\n".join(
                    f"{document.source}:{document.line(name.split('.'))}: {name} {what}"
                    for name, what in faults
                )
            )
    if recipe.model.width % recipe.model.heads:
        place = f"{document.source}:{document.line(['model'])}"
        raise ConfigurationError(
            f"{place}: model.width {recipe.model.width} is not divisible by model.heads "
            f"{recipe.model.heads}. Change one of them."
        )
    return recipe
