"""Noise, epsilon and memory of a private training run, computed without training."""

from __future__ import annotations

from auditkit.catalog.dataset import Dataset
from auditkit.training.base_model import public_base
from auditkit.training.dp.gradient_path import open_gradients
from auditkit.training.dp.ledger import calibrate
from auditkit.training.loop import training_rows
from auditkit.training.model import prepare
from auditkit.training.private_training import privacy_units
from auditkit.training.recipe import PrivacyRecipe, TrainingRecipe

__all__ = ["private_plan"]

_BYTES = 4  # of a float32


def private_plan(recipe: TrainingRecipe, settings: PrivacyRecipe, dataset: Dataset) -> str:
    """Describe the privacy units, the required noise, and the memory of the gradients.

    The model is built, or its base is loaded, so an unsupported model is rejected before training.

    Raises:
        ConfigurationError: private training does not support the model, the base or the recipe.
        InvalidArgument: no noise multiplier meets the target epsilon.
    """
    base = public_base(recipe)
    trainee = prepare(recipe, dataset, base=base)
    source = open_gradients(trainee.model, settings.gradient_path)
    source.close()
    rows = training_rows(recipe, dataset, trainee, base=base)
    units = privacy_units(rows, settings)
    accounting = calibrate(settings, n_units=len(units), steps=recipe.steps)
    n_parameters = sum(p.numel() for p in trainee.model.parameters() if p.requires_grad)
    megabytes = settings.physical_batch * n_parameters * _BYTES / 1e6
    return (
        f"{recipe.name}: {recipe.steps} steps, {len(units)} {_noun(settings)} as units, sampling "
        f"rate {accounting.sample_rate:.4f}, noise multiplier {accounting.noise_multiplier:.4f}, "
        f"epsilon {settings.epsilon} at delta {accounting.delta:.3g} (PRV), gradient path "
        f"{source.name}, {n_parameters:,} trained parameters, at most {megabytes:,.1f} MB for the "
        f"gradients of {settings.physical_batch} rows"
    )


def _noun(settings: PrivacyRecipe) -> str:
    if settings.unit == "example":
        return "rows"
    return f"users with at most {settings.records_per_unit} rows a step"
