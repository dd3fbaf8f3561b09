"""Settings of private training that this folder reads from the `privacy` section of a recipe.

This folder does not import the recipes, rows or models of `auditkit.training`, because they import
this folder.
"""

from __future__ import annotations

from typing import Literal, Protocol

__all__ = ["PrivacySettings"]


class PrivacySettings(Protocol):
    """Target and limits of a private training, see `auditkit.training.recipe.PrivacyRecipe`."""

    @property
    def epsilon(self) -> float:
        """Target epsilon, above 0."""

    @property
    def clip_norm(self) -> float:
        """Bound C on the norm of a unit's gradient, above 0."""

    @property
    def expected_batch(self) -> int:
        """Expected number of units in a step."""

    @property
    def physical_batch(self) -> int:
        """Largest number of rows in one backward pass."""

    @property
    def delta(self) -> float | None:
        """Target delta, below 1 / N for N training units; None means 1 / (10 N)."""

    @property
    def records_per_unit(self) -> int:
        """Largest number of records that a sampled unit contributes, at least 1."""

    @property
    def gradient_path(self) -> Literal["auto", "fast", "hooks"]:
        """Source of the per-example gradients; see `auditkit.training.dp.gradient_path`."""

    @property
    def test_seed(self) -> int | None:
        """Seed of sampling and noise, for tests; with a seed, the claim is `none`. None for OS
        entropy.
        """
