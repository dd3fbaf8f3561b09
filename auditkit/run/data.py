"""Which users an audit asks about, and which catalog judges the answers."""

from __future__ import annotations

from collections.abc import Callable

from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets.user_tables import open_dataset
from auditkit.catalog.linking.normalize import full_key
from auditkit.errors import CatalogError
from auditkit.run.recipe import AuditRecipe

__all__ = ["load_data"]

_MIN_OVERLAP, _MIN_AGREEMENT = 0.50, 0.95


def load_data(
    recipe: AuditRecipe,
    *,
    catalog: str | None = None,
    progress: Callable[[str, int], None] = lambda what, n: None,
) -> tuple[Dataset, Catalog]:
    """The users' histories and the catalog that judges the answers.

    Args:
        progress: called with what is done and how many rows more, while a table is built.
        catalog: overrides the recipe's; both default to the data set's own catalog.

    Raises:
        CatalogError: data or catalog are absent or damaged.
    """
    dataset = open_dataset(recipe.data)
    source = catalog or recipe.catalog
    if source in (None, recipe.data):
        return dataset, dataset.catalog
    chosen = load_catalog(str(source), progress=progress)
    _check_same_items(dataset, chosen)
    return dataset, chosen


def _check_same_items(dataset: Dataset, catalog: Catalog) -> None:
    """A catalog judges these users only if its ids mean the same items.

    Raises:
        CatalogError: under half of the data set's ids are in it, or shared ids name other titles.
    """
    own = dataset.catalog
    shared = [item for item in own.items if item.id in catalog.index]
    same = [item for item in shared if full_key(item.title) == full_key(catalog[item.id].title)]
    if len(shared) < _MIN_OVERLAP * len(own) or len(same) < _MIN_AGREEMENT * len(shared):
        raise CatalogError(
            f"catalog {catalog.name} holds {len(shared)} of the {len(own)} item ids of "
            f"{own.name}, {len(same)} with the same title. Give a catalog that uses its ids."
        )
