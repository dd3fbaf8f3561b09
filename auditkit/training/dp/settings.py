"""The settings of private training that this folder reads; a recipe's `privacy` section has them.

Nothing in this folder imports the recipes, rows or models of `auditkit.training`, which import it.
"""

from __future__ import annotations

from typing import Protocol

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
