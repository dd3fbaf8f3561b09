"""Facts that a target card declares, as used by the run, the dry run and the recomputation."""

from __future__ import annotations

from auditkit.catalog.dataset import Dataset
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.recommenders.loading.target_card import with_card
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe

__all__ = ["with_declared_facts"]


def with_declared_facts(
    loaded: LoadedRecommender, recipe: AuditRecipe, dataset: Dataset, options: AuditOptions
) -> LoadedRecommender:
    """Return the recommender with the facts of the target card in `options`, if there is one.

    Raises:
        ConfigurationError: the card is not valid, or the recommender already declares facts itself.
    """
    return with_card(
        loaded,
        options.target_card,
        data=recipe.data,
        dataset=dataset,
        allow_outside=options.allow_outside,
    )
