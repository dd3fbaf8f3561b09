"""The training recipe: one YAML that reads like a letter; every fault is reported at once, with its
line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from auditkit.errors import ConfigurationError
from auditkit.strict_yaml import Document, load_yaml, validate

if TYPE_CHECKING:
    from auditkit.training.tasks import Task

__all__ = [
    "DataRecipe",
    "LoraRecipe",
    "ModelRecipe",
    "OptimiserRecipe",
    "PrefixRecipe",
    "PrivacyRecipe",
    "SoftPromptRecipe",
    "TrainingRecipe",
    "ValidationRecipe",
    "read_training_recipe",
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataRecipe(_Section):
    """Which interactions, and who stays out of training.

    `dataset` is `ml-100k` or a file that describes your own data. `holdout_users` random users
    (seeded) never enter training; they are still evaluated and are the non-members of the
    membership audit. `fit` decides whether the validation item is trained on. `bucketing` puts rows
    of like length into one batch. `attribute_masking` is the probability that a row states no
    attribute of its user.
    """

    dataset: str = "ml-100k"
    holdout_users: int = Field(default=100, ge=0)
    fit: Literal["all_but_test", "all_but_validation"] = "all_but_test"
    window: int = Field(default=50, ge=2, le=512)
    bucketing: bool = False
    attribute_masking: float = Field(default=0.0, ge=0, le=1)


class ModelRecipe(_Section):
    """A small transformer trained from scratch, or a `base` that is there already.

    `llama` is decoder-only with tied embeddings, `t5` an encoder-decoder, `bert` an encoder of
    texts. `indexing` is how an item is written in tokens; `titles` writes it as text. `base` is a
    model folder, the name of a fetched model, or of a training recipe that is trained first.
    """

    architecture: Literal["llama", "t5", "bert"] = "llama"
    base: str | None = None
    indexing: Literal[
        "item", "random", "sequential", "collaborative", "semantic", "hybrid", "titles"
    ] = "item"
    width: int = Field(default=64, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    mlp: int = Field(default=128, ge=8)
    context: int = Field(default=192, ge=32)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    text_vocabulary: int = Field(default=600, ge=260)


class LoraRecipe(_Section):
    """Low-rank updates of some weights (Hu et al. 2022); peft knows which, for common models."""

    method: Literal["lora"]
    r: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: Annotated[list[str], Field(min_length=1)] | None = None


class SoftPromptRecipe(_Section):
    """Trainable vectors before every prompt of a frozen model (Lester et al. 2021)."""

    method: Literal["soft_prompt"]
    tokens: int = Field(default=20, ge=1)


class PrefixRecipe(_Section):
    """Trainable keys and values before every prompt, in every layer of a frozen model (Li & Liang
    2021).
    """

    method: Literal["prefix"]
    tokens: int = Field(default=20, ge=1)


class OptimiserRecipe(_Section):
    """AdamW with warm-up and decay to zero by step; a step reads `accumulation` parts one after the
    other.
    """

    learning_rate: float = Field(default=4e-3, gt=0)
    betas: Annotated[list[float], Field(min_length=2, max_length=2)] = [0.9, 0.98]
    weight_decay: float = Field(default=0.1, ge=0)
    warmup_steps: int = Field(default=50, ge=0)
    schedule: Literal["linear", "cosine"] = "linear"
    clip_norm: float = Field(default=1.0, gt=0)
    accumulation: int = Field(default=1, ge=1)
    checkpoint_activations: bool = False


class ValidationRecipe(_Section):
    """Early stopping: every `every` steps NDCG@10 of the validation items of `users` users; the
    best weights are kept, and training stops after `patience` measurements without a better one.
    """

    every: int = Field(default=100, ge=1)
    users: int = Field(default=200, ge=1)
    patience: int = Field(default=3, ge=1)


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


Adapter = Annotated[LoraRecipe | SoftPromptRecipe | PrefixRecipe, Field(discriminator="method")]


class TrainingRecipe(_Section):
    """A whole training run.

    `tasks` counts the rows of each task in a step, `prompts` names the shipped templates, and
    `max_seconds` ends training by the clock, of which the schedule knows nothing.
    """

    version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = Field(default=0, ge=0)
    steps: int = Field(ge=1)
    max_seconds: float | None = Field(default=None, gt=0)
    threads: int = Field(default=1, ge=1)
    checkpoint_every: int = Field(default=100, ge=1)
    data: DataRecipe = DataRecipe()
    model: ModelRecipe = ModelRecipe()
    prompts: Literal["item_tokens", "titles", "title_lists"] = "item_tokens"
    tasks: dict[str, Annotated[int, Field(ge=0)]] = {"recommend": 32, "describe": 10}
    objectives: dict[str, Annotated[float, Field(gt=0)]] = {"language_model": 1.0}
    optimiser: OptimiserRecipe = OptimiserRecipe()
    validation: ValidationRecipe | None = None
    adapter: Literal["full"] | Adapter = "full"
    privacy: PrivacyRecipe | None = None


def read_training_recipe(path: Path) -> TrainingRecipe:
    """Read and check a recipe.

    Raises:
        ConfigurationError: every fault at once, each with file and line.
    """
    document = load_yaml(path)
    recipe = validate(document, TypeAdapter(TrainingRecipe))
    faults = [*_unknown_names(recipe), *_contradictions(recipe)]
    if faults:
        raise ConfigurationError(
            "\n".join(f"{_place(document, where)}: {where} {what}" for where, what in faults)
        )
    return recipe


def _place(document: Document, where: str) -> str:
    return f"{document.source}:{document.line(where.split('.'))}"


def _unknown_names(recipe: TrainingRecipe) -> Iterator[tuple[str, str]]:
    from auditkit.registry import did_you_mean
    from auditkit.training.objectives import OBJECTIVES
    from auditkit.training.tasks import TASKS

    for section, names, known in (
        ("objectives", recipe.objectives, OBJECTIVES), ("tasks", recipe.tasks, TASKS),
    ):  # fmt: skip
        for name in names:
            if name not in known:
                yield (
                    f"{section}.{name}",
                    f"is unknown.{did_you_mean(name, known)} Known: {', '.join(known)}.",
                )


def _contradictions(recipe: TrainingRecipe) -> Iterator[tuple[str, str]]:
    from auditkit.training.objectives import OBJECTIVES
    from auditkit.training.tasks import TASKS

    objectives = {name: OBJECTIVES[name] for name in recipe.objectives if name in OBJECTIVES}
    tasks = {name: TASKS[name] for name, n in recipe.tasks.items() if n and name in TASKS}
    coupled = [name for name, objective in objectives.items() if not objective.per_example]
    kinds = {task.kind for task in tasks.values()}
    for name, objective in objectives.items():
        if objective.kind not in kinds:
            yield f"objectives.{name}", f"has no task whose rows are {objective.kind.__name__}s"
    for name, task in tasks.items():
        if task.kind not in {objective.kind for objective in objectives.values()}:
            yield f"tasks.{name}", f"has no objective that reads {task.kind.__name__}s"
    model = recipe.model
    yield from _unfit(recipe, tasks)
    if model.width % model.heads:
        yield "model", f"width {model.width} is not divisible by heads {model.heads}; change one"
    if recipe.adapter != "full" and model.base is None:
        yield "adapter", "needs model.base; a model from scratch has nothing to adapt"
    if model.base is not None and (unread := model.model_fields_set - {"base"}):
        yield f"model.{sorted(unread)[0]}", "is not read beside model.base; remove it"
    if recipe.optimiser.accumulation > 1 and coupled:
        yield f"objectives.{coupled[0]}", "couples examples; accumulation would change it"
    if recipe.validation and recipe.data.fit != "all_but_validation":
        yield "validation", "needs data.fit: all_but_validation; else it would be trained on"
    if recipe.privacy:
        yield from _not_private(recipe, coupled)


def _unfit(recipe: TrainingRecipe, tasks: Mapping[str, Task]) -> Iterator[tuple[str, str]]:
    """Tasks, objectives, prompts and architecture that do not go together."""
    from auditkit.recommenders.prompts import Prompts
    from auditkit.training.rows import Row

    model, prompts = recipe.model, Prompts.shipped(recipe.prompts)
    titles = prompts.history == "titles"
    for name, task in tasks.items():
        if task.worded and name not in prompts.tasks:
            yield f"tasks.{name}", f"has no wording in prompts {recipe.prompts}"
        if (task.kind is Row) == (model.architecture == "bert" and model.base is None):
            other = "a language model" if task.kind is Row else "architecture bert without a base"
            yield f"tasks.{name}", f"is for {other}"
    if "recommend" in tasks and recipe.prompts == "titles":
        yield "prompts", "titles asks for a list in a request; to write lists use title_lists"
    if model.base is None and titles != (model.indexing == "titles"):
        yield "prompts", f"{recipe.prompts} does not go with model.indexing {model.indexing}"
    if "choice" in recipe.objectives and set(tasks) != {"like"}:
        yield "objectives.choice", "is for task like alone, whose rows name their choices"
    if "counterfactual_consistency" in recipe.objectives and ("recommend" not in tasks or titles):
        yield (
            "objectives.counterfactual_consistency",
            "has no twins: it needs task recommend over item tokens",
        )


def _not_private(recipe: TrainingRecipe, coupled: list[str]) -> Iterator[tuple[str, str]]:
    """What differentially private training cannot use, or does not read."""
    for name in coupled:
        yield f"objectives.{name}", "couples examples; DP cannot use it"
    if "tasks" in recipe.model_fields_set:
        yield "tasks", "is not read when privacy is on; remove it"
    for name in ("clip_norm", "accumulation"):
        if name in recipe.optimiser.model_fields_set:
            yield f"optimiser.{name}", "is not read when privacy is on; remove it"
    if recipe.model.indexing not in ("item", "random", "titles"):
        yield "model.indexing", f"{recipe.model.indexing} reads private histories without noise"
    if recipe.data.bucketing:
        yield "data.bucketing", "is not read when privacy is on; remove it"
    if recipe.optimiser.checkpoint_activations:
        yield "optimiser.checkpoint_activations", "does not go with per-example gradients"
    if recipe.validation:
        yield "validation", "would spend privacy outside the accounting; remove it"
    if recipe.max_seconds:
        yield "max_seconds", "would end before the accounted steps; remove it"
    if recipe.adapter != "full" or recipe.model.architecture != "llama":
        yield "privacy", "is there for models from scratch of architecture llama"
    if recipe.model.dropout:
        # Dropout sits in forward hooks, between a layer and the hooks that see its gradient.
        yield "model.dropout", "must be 0 when privacy is on"
