"""Cross-field checks of a training recipe; each error is a pair of field and message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import TypeAdapter

from auditkit.domains.shipped import domain_pack
from auditkit.errors import did_you_mean
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.serialization.named_files import resolve_named_files
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import all_errors, validate
from auditkit.training.federated_checks import not_federated
from auditkit.training.objectives import OBJECTIVES
from auditkit.training.recipe import LoraRecipe, PrivacyRecipe, TrainingRecipe
from auditkit.training.rows.batches import Row
from auditkit.training.rows.task import Task
from auditkit.training.rows.tasks import TASKS

__all__ = ["read_training_recipe", "recipe_errors"]

Fault = tuple[str, str]


def recipe_errors(recipe: TrainingRecipe) -> Iterator[Fault]:
    """Yield every error of a recipe whose fields are valid individually."""
    yield from _unknown_names(recipe)
    yield from _conflicts(recipe)
    yield from _repairs(recipe)


def _unknown_names(recipe: TrainingRecipe) -> Iterator[Fault]:
    for section, names, known in (
        ("objectives", recipe.objectives, OBJECTIVES), ("tasks", recipe.tasks, TASKS),
    ):  # fmt: skip
        for name in names:
            if name not in known:
                yield (
                    f"{section}.{name}",
                    f"is unknown.{did_you_mean(name, known)} Known: {', '.join(known)}.",
                )


def _conflicts(recipe: TrainingRecipe) -> Iterator[Fault]:
    objectives = {name: OBJECTIVES[name] for name in recipe.objectives if name in OBJECTIVES}
    tasks = {name: TASKS[name] for name, n in recipe.tasks.items() if n and name in TASKS}
    coupled = [name for name, objective in objectives.items() if not objective.per_example]
    kinds = {task.kind for task in tasks.values()}
    for name, objective in objectives.items():
        if objective.kind not in kinds:
            fitting = [other for other, task in TASKS.items() if task.kind is objective.kind]
            yield (
                f"objectives.{name}",
                f"needs rows of another kind; add a task: {' or '.join(fitting)}",
            )
    for name, task in tasks.items():
        if task.kind not in {objective.kind for objective in objectives.values()}:
            reading = [other for other, one in OBJECTIVES.items() if one.kind is task.kind]
            yield (
                f"tasks.{name}",
                f"is not used by any objective; add an objective: {' or '.join(reading)}",
            )
    model = recipe.model
    yield from _unfit(recipe, tasks)
    if model.width % model.heads:
        yield (
            "model",
            f"width {model.width} is not divisible by heads {model.heads}; change width or heads",
        )
    if recipe.adapter != "full" and model.base is None:
        yield "adapter", "needs model.base; a model from scratch has nothing to adapt"
    if model.base is not None and (unread := model.model_fields_set - {"base"}):
        yield f"model.{sorted(unread)[0]}", "is not used together with model.base; remove it"
    if recipe.optimizer.accumulation > 1 and coupled:
        yield (
            f"objectives.{coupled[0]}",
            "couples examples, so optimizer.accumulation would change the loss; set it to 1",
        )
    if recipe.validation and recipe.data.fit != "all_but_validation":
        yield (
            "validation",
            "needs data.fit: all_but_validation, because otherwise the validation items are "
            "training data",
        )
    if recipe.canaries and recipe.canaries.length > recipe.data.window:
        yield (
            "canaries.length",
            f"exceeds data.window {recipe.data.window}; a canary must fit in one training row",
        )
    yield from _not_private(recipe, coupled)
    yield from _not_synthetic(recipe)
    yield from _not_forgetting(recipe)
    yield from not_federated(recipe)


def _unfit(recipe: TrainingRecipe, tasks: Mapping[str, Task]) -> Iterator[Fault]:
    """Yield incompatible tasks, objectives, prompts and architectures."""
    model, prompts = recipe.model, Prompts.shipped(recipe.prompts, domain_pack(None))
    titles = prompts.history == "titles"
    for name, task in tasks.items():
        if task.worded and name not in prompts.tasks:
            yield (
                f"tasks.{name}",
                f"has no template in prompts {recipe.prompts}; choose other prompts or remove the "
                "task",
            )
        if (task.kind is Row) == (model.architecture == "bert" and model.base is None):
            other = "a language model" if task.kind is Row else "architecture bert without a base"
            yield f"tasks.{name}", f"needs {other}"
    if "recommend" in tasks and recipe.prompts == "titles":
        yield (
            "prompts",
            "titles is not a template for generating lists; use title_lists for task recommend",
        )
    if model.base is None and titles != (model.indexing == "titles"):
        yield (
            "prompts",
            f"{recipe.prompts} does not match model.indexing {model.indexing}; change one of them",
        )
    if "choice" in recipe.objectives and set(tasks) != {"like"}:
        yield (
            "objectives.choice",
            "needs `like` as the only task, because only its rows define choices",
        )
    if "counterfactual_consistency" in recipe.objectives and ("recommend" not in tasks or titles):
        yield (
            "objectives.counterfactual_consistency",
            "has no counterfactual pairs; it needs task recommend with item tokens",
        )


def _repairs(recipe: TrainingRecipe) -> Iterator[Fault]:
    """Yield errors in the sections for reweighting, the adversary and the perturbation."""
    adversarial = "adversarial_prompt" in recipe.objectives
    if adversarial and recipe.adversary is None:
        yield "objectives.adversarial_prompt", "needs a section adversary: {attribute: ..}"
    if recipe.adversary and not adversarial:
        yield (
            "adversary",
            "is used only by objectives.adversarial_prompt; add that objective or remove this "
            "section",
        )
    if adversarial and (recipe.adapter == "full" or isinstance(recipe.adapter, LoraRecipe)):
        yield "adapter", "must be soft_prompt or prefix for objectives.adversarial_prompt"
    if recipe.adversary and recipe.steps <= recipe.adversary.turns:
        yield (
            "steps",
            f"must be above adversary.turns {recipe.adversary.turns}; otherwise no step trains the "
            "prompt",
        )
    perturbed = "embedding_adversarial" in recipe.objectives
    if recipe.perturbation and not perturbed:
        yield (
            "perturbation",
            "is used only by objectives.embedding_adversarial; add that objective or remove this "
            "section",
        )
    if perturbed and recipe.adapter != "full" and not isinstance(recipe.adapter, LoraRecipe):
        yield "objectives.embedding_adversarial", "needs adapter full or lora"
    if perturbed and recipe.model.architecture == "bert":
        yield "objectives.embedding_adversarial", "needs a language model"
    if recipe.perturbation and recipe.perturbation.steps > 1 and recipe.privacy:
        yield (
            "perturbation.steps",
            "above 1 uses a random start, which the privacy self-test cannot check; use 1",
        )
    if recipe.data.reweighting is None:
        return
    if recipe.model.base is None:
        yield (
            "data.reweighting",
            "needs model.base, because the lists of the base model determine the weights",
        )
    if "language_model" not in recipe.objectives:
        yield (
            "data.reweighting",
            "is used only by objectives.language_model; add that objective or remove this section",
        )
    if recipe.prompts != "item_tokens":
        yield "data.reweighting", "weights item tokens, so it needs prompts: item_tokens"
    if recipe.privacy:
        yield "data.reweighting", "uses private histories without noise"


def _unsupported_gradients(recipe: TrainingRecipe, privacy: PrivacyRecipe) -> Iterator[Fault]:
    """Yield settings for which per-example gradients are not known to be exact."""
    lora = isinstance(recipe.adapter, LoraRecipe)
    if not lora and recipe.adapter != "full":
        yield "adapter", "must be full or {method: lora} when privacy is on"
    if recipe.model.base is None and recipe.model.architecture != "llama":
        yield (
            "model.architecture",
            "must be llama when privacy is on; alternatively, train LoRA on a base",
        )
    if privacy.gradient_path == "fast" and not lora:
        yield "privacy.gradient_path", "fast needs adapter {method: lora}; use auto"
    if recipe.optimizer.checkpoint_activations and not (lora and privacy.gradient_path != "hooks"):
        yield (
            "optimizer.checkpoint_activations",
            "hides per-example gradients from hooks; set it to false, or train LoRA with "
            "privacy.gradient_path auto",
        )
    user = privacy.unit == "user"
    if "records_per_unit" in privacy.model_fields_set and not user:
        yield "privacy.records_per_unit", "is used only by unit: user; remove it"
    if user and privacy.records_per_unit > privacy.physical_batch:
        yield (
            "privacy.records_per_unit",
            f"exceeds privacy.physical_batch {privacy.physical_batch}, but a user's rows are "
            "never split; lower it or raise privacy.physical_batch",
        )


def _not_private(recipe: TrainingRecipe, coupled: list[str]) -> Iterator[Fault]:
    """Yield fields that differentially private training cannot use, or ignores."""
    if recipe.privacy is None:
        return
    for name in coupled:
        yield (
            f"objectives.{name}",
            "couples examples, so it cannot be trained with differential privacy; remove it",
        )
    if "tasks" in recipe.model_fields_set:
        yield "tasks", "is not used when privacy is on; remove it"
    for name in ("clip_norm", "accumulation"):
        if name in recipe.optimizer.model_fields_set:
            yield f"optimizer.{name}", "is not used when privacy is on; remove it"
    if recipe.model.indexing not in ("item", "random", "titles"):
        yield (
            "model.indexing",
            f"{recipe.model.indexing} uses private histories without noise; use item, random or "
            "titles",
        )
    if recipe.data.bucketing:
        yield "data.bucketing", "is not used when privacy is on; remove it"
    yield from _unsupported_gradients(recipe, recipe.privacy)
    if recipe.validation:
        yield "validation", "would spend privacy budget outside the accounting; remove it"
    if recipe.max_seconds:
        yield "max_seconds", "could end training before the accounted steps; remove it"
    if recipe.model.base is None and recipe.model.dropout:
        # Dropout is a forward hook between a layer and the hooks that record its gradient.
        yield "model.dropout", "must be 0 when privacy is on"


def _not_synthetic(recipe: TrainingRecipe) -> Iterator[Fault]:
    """Yield fields that training on synthetic histories cannot use."""
    if recipe.data.synthetic is None:
        return
    if recipe.privacy:
        yield (
            "privacy",
            "would add noise to synthetic histories, which already have a privacy claim; remove it",
        )
    if recipe.validation:
        yield "validation", "would spend privacy budget outside the accounting; remove it"
    if recipe.data.reweighting:
        yield "data.reweighting", "uses private histories without noise"
    for name in ("like", "rating"):
        if recipe.tasks.get(name):
            yield f"tasks.{name}", "needs ratings, which synthetic histories do not have; remove it"


def _not_forgetting(recipe: TrainingRecipe) -> Iterator[Fault]:
    """Yield fields that conflict with the section for users who asked to be forgotten."""
    forgetting = recipe.data.forgetting
    if forgetting is None:
        return
    if recipe.claims_privacy and forgetting.ascent:
        yield (
            "data.forgetting.ascent",
            "is not covered by a privacy claim; remove it, so that the users are left out of "
            "training",
        )
    if not forgetting.ascent:
        return
    if recipe.model.base is None:
        yield "data.forgetting.ascent", "needs model.base, a model that was trained on these users"
    if set(recipe.objectives) != {"language_model"}:
        yield "data.forgetting.ascent", "needs language_model as the only objective"
    if not recipe.tasks.get("recommend"):
        yield "data.forgetting.ascent", "needs the task recommend, because its rows belong to users"
    if recipe.data.reweighting:
        yield (
            "data.reweighting",
            "sets weights of targets, as data.forgetting.ascent does; remove one of them",
        )


def read_training_recipe(path: Path, *, allow_outside: bool = False) -> TrainingRecipe:
    """Read and validate a training recipe.

    Args:
        path: the YAML file.
        allow_outside: whether the recipe, and a recipe that is its base, may name files outside of
            the recipe's folder and the current folder.

    Raises:
        ConfigurationError: lists all errors, each with file and line.
    """
    document = load_yaml(path)
    found = resolve_named_files(
        document,
        [["data", "dataset"], ["data", "forgetting", "users_file"], ["model", "base"]],
        folders=[Path(), path.parent],
        allow_outside=allow_outside,
    )
    recipe = validate(document, TypeAdapter(TrainingRecipe), others=found)
    base = Path(recipe.model.base or "")
    if base.is_file() and not allow_outside:
        read_training_recipe(base)
    found = []
    for where, what in recipe_errors(recipe):
        line = document.line(where.split("."))
        found.append((line, f"{document.source}:{line}: {where} {what}"))
    if found:
        raise all_errors(document, found)
    return recipe
