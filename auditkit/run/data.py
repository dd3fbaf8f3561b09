"""Data of an audit: users with their histories, and the catalog against which responses are
checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets.user_tables import open_dataset
from auditkit.catalog.linking.normalize import full_key
from auditkit.domains.shipped import domain_pack
from auditkit.errors import CatalogError
from auditkit.run.recipe import AuditRecipe

__all__ = ["load_data"]

_MIN_OVERLAP, _MIN_AGREEMENT = 0.50, 0.95
_EXAMPLES = 2


def load_data(
    recipe: AuditRecipe,
    *,
    catalog: str | None = None,
    domain: str | None = None,
    allow_outside: bool = False,
    progress: Callable[[str, int], None] = lambda what, n: None,
) -> tuple[Dataset, Catalog]:
    """Load the users' histories and the catalog that responses are checked against.

    Args:
        catalog: catalog to use instead of the recipe's; if neither is given, the catalog of the
            data set is used.
        domain: domain pack to use instead of the catalog's.
        allow_outside: whether a description of data may name tables outside its folder.
        progress: called with the current step and the number of new rows while a table is built.

    Raises:
        CatalogError: the data or the catalog are missing or damaged.
        ConfigurationError: there is no such domain pack, or it is not valid.
    """
    dataset = open_dataset(recipe.data, allow_outside=allow_outside)
    source = catalog or recipe.catalog
    if source in (None, recipe.data):
        return _of_domain(dataset, dataset.catalog, domain)
    chosen = load_catalog(str(source), progress=progress)
    counts = _check_same_items(dataset, chosen)
    return _of_domain(replace(dataset, notes=(*dataset.notes, *counts)), chosen, domain)


def _of_domain(dataset: Dataset, catalog: Catalog, domain: str | None) -> tuple[Dataset, Catalog]:
    """Both with the domain that was named, else with that of the catalog, else of the data set."""
    chosen = domain or catalog.domain or dataset.catalog.domain
    domain_pack(chosen)  # an unknown domain is reported before anything is sent
    if catalog.domain != chosen:
        catalog = replace(catalog, domain=chosen)
    if dataset.catalog.domain != chosen:
        dataset = replace(dataset, catalog=replace(dataset.catalog, domain=chosen))
    return dataset, catalog


def _check_same_items(dataset: Dataset, catalog: Catalog) -> list[str]:
    """Require that the ids of the catalog mean the same items as those of the data set.

    Returns:
        The counts as a sentence, if not all ids of the data set are in the catalog.

    Raises:
        CatalogError: the catalog has less than half of the data set's ids, or shared ids have
            different titles.
    """
    own = dataset.catalog
    rows = catalog.index
    shared = [
        (ours, catalog.titles[rows[item_id]])
        for item_id, ours in zip(own.ids, own.titles, strict=True)
        if item_id in rows
    ]
    same = [ours for ours, theirs in shared if ours == theirs or full_key(ours) == full_key(theirs)]
    if len(shared) < _MIN_OVERLAP * len(own) or len(same) < _MIN_AGREEMENT * len(shared):
        ours, theirs = (" and ".join(map(repr, c.ids[:_EXAMPLES])) for c in (own, catalog))
        raise CatalogError(
            f"catalog {catalog.name} has {len(shared)} of the {len(own)} item ids of "
            f"{own.name}, {len(same)} with the same title; {own.name} has {ours}, {catalog.name} "
            f"has {theirs}. Give a catalog with its ids and titles."
        )
    if len(shared) == len(own):
        return []
    missing = next(item_id for item_id in own.ids if item_id not in rows)
    return [f"{len(shared)} of {len(own)} item ids are in {catalog.name}, {missing!r} is not"]
