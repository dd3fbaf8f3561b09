"""Checks of a recipe with section `federated`, reported as (field, error and remedy)."""

from __future__ import annotations

from collections.abc import Iterator

from auditkit.training.objectives import OBJECTIVES
from auditkit.training.recipe import FederatedRecipe, LoraRecipe, TrainingRecipe

__all__ = ["not_federated"]

_UNUSED = {
    "optimizer": (
        *("warmup_steps", "schedule", "clip_norm", "accumulation"),
        "checkpoint_activations",
    ),
    "data": ("bucketing", "reweighting", "synthetic"),
}


def not_federated(recipe: TrainingRecipe) -> Iterator[tuple[str, str]]:
    """Yield fields that federated training cannot use, or ignores."""
    if recipe.federated is None:
        return
    yield from _noise(recipe.federated)
    for name, why in (
        ("privacy", "adds noise in every step, and federated in every round; remove one"),
        ("canaries", "are users, and the privacy unit is the client; remove it"),
        ("validation", "would spend privacy budget outside the accounting; remove it"),
        ("max_seconds", "could end training before the accounted rounds; remove it"),
    ):
        if getattr(recipe, name) is not None:
            yield name, why
    for name in ("tasks", "checkpoint_every"):
        if name in recipe.model_fields_set:
            yield name, "is not used in federated training; remove it"
    for section, names in _UNUSED.items():
        for name in names:
            if name in getattr(recipe, section).model_fields_set:
                yield f"{section}.{name}", "is not used in federated training; remove it"
    for name in recipe.objectives:
        if name in OBJECTIVES and not OBJECTIVES[name].per_example:
            yield f"objectives.{name}", "couples rows; federated training cannot use it"
    if recipe.model.indexing not in ("item", "random", "titles"):
        yield "model.indexing", f"{recipe.model.indexing} uses private histories without noise"
    if recipe.adapter != "full" and not isinstance(recipe.adapter, LoraRecipe):
        yield "adapter", "must be full or {method: lora} in federated training"


def _noise(settings: FederatedRecipe) -> Iterator[tuple[str, str]]:
    """Yield an error unless either the noise or its target is given."""
    if settings.epsilon is None and settings.noise_multiplier is None:
        yield "federated", "needs epsilon, or noise_multiplier"
    if settings.epsilon is not None and settings.noise_multiplier is not None:
        yield "federated.noise_multiplier", "follows from epsilon; remove one of them"
