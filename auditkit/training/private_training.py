"""Differentially private part of a training run, from calibration to the privacy claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from auditkit.recommenders.adapters.manifest import PrivacyClaim
from auditkit.training.dp.diagnostics import Diagnostics
from auditkit.training.dp.dp_sgd import PrivateGradients
from auditkit.training.dp.ledger import LEDGER, Ledger, calibrate
from auditkit.training.recipe import PrivacyRecipe, TrainingRecipe
from auditkit.training.rows.batches import Row
from auditkit.training.rows.training_rows import TrainingRows

__all__ = ["PrivateRun", "privacy_units", "published_limits"]

_SELF_TEST_UNITS, _SELF_TEST_RECORDS = 6, 2


def privacy_units(rows: TrainingRows, recipe: PrivacyRecipe) -> list[list[Row]]:
    """Group the fixed rows by privacy unit; no unit is empty, and no row is in two units.

    With users as units, rows about catalog items only are left out, because they belong to no user.
    """
    if recipe.unit == "example":
        return [[row] for row in rows.fixed_rows()]
    return list(rows.fixed_rows_by_user().values())


def _random_units(rows: TrainingRows, recipe: PrivacyRecipe) -> list[list[Row]]:
    """Build units of random tokens and lengths, because the self-test must not use private data.

    The random rows have a counterfactual if the training rows have one.
    """
    rng = np.random.default_rng(0)
    n_records = 1
    if recipe.unit == "user":
        n_records = min(_SELF_TEST_RECORDS, recipe.records_per_unit)
    made = []
    for position in range(_SELF_TEST_UNITS * n_records):
        n = 8 + 3 * position
        ids, other = (tuple(int(t) for t in rng.integers(3, len(rows.tokenizer), n)) for _ in "ab")
        first, row = n // 2, Row(ids, n // 2)
        if rows.counterfactuals:
            row = row._replace(counterfactual=(*other[:first], *ids[first:]))
        made.append(row)
    return [made[i : i + n_records] for i in range(0, len(made), n_records)]


class PrivateRun:
    """Samples the units of every step, sets private gradients, and computes the claim at the end.

    Args:
        folder: model folder, which contains the ledger of recorded steps and persists if the
            process is killed.
        rows: fixed rows, which `privacy_units` groups into the units of the claim.
    """

    def __init__(
        self,
        recipe: TrainingRecipe,
        settings: PrivacyRecipe,
        *,
        folder: Path,
        model: torch.nn.Module,
        losses: Callable[[Sequence[Row]], torch.Tensor],
        rows: TrainingRows,
    ) -> None:
        self._recipe, self._settings = recipe, settings
        self._units = privacy_units(rows, settings)
        with torch.no_grad():  # a row that is too long must not end the run at a random step
            losses([max((row for unit in self._units for row in unit), key=lambda r: len(r.ids))])
        accounting = calibrate(settings, n_units=len(self._units), steps=recipe.steps)
        self._gradients = PrivateGradients(model, losses, settings, accounting)
        self._ledger = Ledger(folder / LEDGER)
        self._diagnostics = Diagnostics(folder) if settings.diagnostics else None
        self._self_test = self._gradients.self_test(_random_units(rows, settings))

    def step(self) -> None:
        """Sample units, record the step in the ledger, then set the gradients of the parameters."""
        accounting = self._gradients.accounting
        units = [self._gradients.records(self._units[i]) for i in self._gradients.sample()]
        self._ledger.charge(
            noise_multiplier=accounting.noise_multiplier, sample_rate=accounting.sample_rate
        )
        statistics = self._gradients.step(units)
        if self._diagnostics:
            self._diagnostics.write(statistics._asdict())

    def finish(self) -> PrivacyClaim:
        """Remove the hooks from the model and compute the privacy claim.

        The claim counts all steps of the ledger, including steps whose result was lost when the
        process was killed.
        """
        self._gradients.close()
        accounting, settings = self._gradients.accounting, self._settings
        spent = self._ledger.spent(accounting.delta)
        seeded = settings.test_seed is not None
        return PrivacyClaim(
            mechanism=settings.mechanism,
            claim="none" if seeded else "dp",
            reason="privacy.test_seed fixes sampling and noise" if seeded else None,
            epsilon=spent.epsilon,
            epsilon_rdp=spent.epsilon_rdp,
            delta=accounting.delta,
            unit=settings.unit,
            n_units=accounting.n_units,
            records_per_unit=1 if settings.unit == "example" else settings.records_per_unit,
            adjacency="add_remove",
            sampling="poisson",
            sample_rate=accounting.sample_rate,
            steps=spent.steps,
            noise_multiplier=accounting.noise_multiplier,
            clip_norm=settings.clip_norm,
            gradient_path=self._gradients.path,
            self_test=self._self_test._asdict(),
            noise_source="test seed" if seeded else "torch generator seeded from OS entropy",
            accountant=f"{spent.accountant}, opacus {version('opacus')}",
            libraries={name: version(name) for name in ("torch", "opacus", "peft", "transformers")},
            not_covered=list(_not_covered(self._recipe, settings)),
        )


def _not_covered(recipe: TrainingRecipe, settings: PrivacyRecipe) -> Iterator[str]:
    """Yield the data and outputs of this run that a reader might wrongly assume the claim
    covers.
    """
    if settings.unit == "example":
        yield "the user: a user's interactions are in several rows, and the unit is one row"
    else:
        yield "catalog items, which no user owns: their titles and attributes are public"
    yield from published_limits(recipe)
    if settings.diagnostics:
        yield "the diagnostics of this run: losses, gradient norms, batch sizes, clipped fraction"


def published_limits(recipe: TrainingRecipe) -> Iterator[str]:
    """What no claim of a trained model covers: its base or tokenizer, and what is published."""
    if recipe.model.base is None:
        yield "the tokenizer, learned from catalog texts and the attribute vocabulary"
    else:
        yield "the base model, trained before this run on other data"
    yield "hyperparameters, chosen on validation items outside this accounting"
    yield "the number of units, the hash of the data and the training time, which are published"
    if recipe.data.holdout_users:
        yield "the list of held-out users, which tells who else was in the data"
