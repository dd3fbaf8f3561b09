"""Differentially private part of a training run, from calibration to the privacy claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from auditkit.errors import MissingDependency
from auditkit.recommenders.adapters.manifest import PrivacyClaim
from auditkit.training.batches import Row
from auditkit.training.dp.ledger import LEDGER, Ledger, calibrate
from auditkit.training.recipe import PrivacyRecipe
from auditkit.training.training_rows import TrainingRows

try:
    from auditkit.training.dp.dp_sgd import PrivateGradients
except ModuleNotFoundError as error:
    raise MissingDependency(
        "opacus", extra="train", purpose="Differentially private training"
    ) from error

__all__ = ["PrivateRun"]

_SELF_TEST_ROWS = 6


def _random_rows(vocabulary: int) -> list[Row]:
    """Rows of random tokens and lengths, because the self-test must not use private data."""
    rng = np.random.default_rng(0)
    rows = []
    for position in range(_SELF_TEST_ROWS):
        n = 8 + 3 * position
        rows.append(Row(tuple(int(t) for t in rng.integers(3, vocabulary, n)), n // 2))
    return rows


class PrivateRun:
    """Provides Poisson batches and private gradients to the loop, and the claim at the end.

    Args:
        folder: model folder, which contains the ledger of recorded steps and survives a kill.
        rows: fixed rows; each is one unit of the claim.
    """

    def __init__(
        self,
        recipe: PrivacyRecipe,
        *,
        steps: int,
        folder: Path,
        model: torch.nn.Module,
        losses: Callable[[Sequence[Row]], torch.Tensor],
        rows: TrainingRows,
    ) -> None:
        self._recipe = recipe
        self._units = rows.fixed_rows()
        self._gradients = PrivateGradients(
            model, losses, recipe, calibrate(recipe, n_units=len(self._units), steps=steps)
        )
        self._ledger = Ledger(folder / LEDGER)
        self._self_test = self._gradients.self_test(_random_rows(len(rows.tokenizer)))

    def batches(self) -> Iterator[list[Row]]:
        """Yield Poisson samples endlessly; a batch may be empty."""
        while True:
            yield [self._units[i] for i in self._gradients.sample()]

    def step(self, rows: Sequence[Row]) -> None:
        """Record the step in the ledger, then set the gradients of the parameters."""
        accounting = self._gradients.accounting
        self._ledger.charge(
            noise_multiplier=accounting.noise_multiplier, sample_rate=accounting.sample_rate
        )
        self._gradients.step(rows)

    def finish(self) -> PrivacyClaim:
        """Remove the hooks and compute the privacy claim, including steps lost in a kill."""
        self._gradients.close()
        accounting = self._gradients.accounting
        spent = self._ledger.spent(accounting.delta)
        return PrivacyClaim(
            mechanism=self._recipe.mechanism,
            claim="dp",
            epsilon=spent.epsilon,
            epsilon_rdp=spent.epsilon_rdp,
            delta=accounting.delta,
            unit=self._recipe.unit,
            n_units=accounting.n_units,
            adjacency="add_remove",
            sampling="poisson",
            sample_rate=accounting.sample_rate,
            steps=spent.steps,
            noise_multiplier=accounting.noise_multiplier,
            clip_norm=self._recipe.clip_norm,
            gradient_path="hooks",
            self_test=self._self_test._asdict(),
            noise_source="os entropy",
            accountant=f"prv, opacus {version('opacus')}",
            libraries={name: version(name) for name in ("torch", "opacus", "transformers")},
            not_covered=[
                "the user: a user's interactions are in several rows, and the unit is one row",
                "the tokenizer, learned from catalog texts and the attribute vocabulary",
                "hyperparameters, chosen on validation items outside this accounting",
            ],
        )
