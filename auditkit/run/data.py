"""Data of an audit: users with their histories, and the catalog against which responses are
checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from auditkit.catalog.building.open import load_catalog
from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.catalog.datasets.user_tables import open_dataset
from auditkit.catalog.linking.normalize import full_key
from auditkit.domains.shipped import domain_pack
from auditkit.errors import CatalogError
from auditkit.run.recipe import CATALOG_CHECKS, AuditRecipe

__all__ = ["Overlap", "load_data", "of_domain", "overlap_of"]

_MIN_OVERLAP, _MIN_AGREEMENT = 0.50, 0.95
_EXAMPLES = 2


class Overlap(NamedTuple):
    """Overlap of a data set with a catalog.

    Attributes:
        items: number of items of the data set.
        shared: number of these items whose id is in the catalog.
        same_title: number of these shared ids that have the same title in both.
    """

    items: int
    shared: int
    same_title: int

    @property
    def fault(self) -> bool:
        """Whether the overlap is so small that the catalog describes other items."""
        return (
            self.shared < _MIN_OVERLAP * self.items
            or self.same_title < _MIN_AGREEMENT * self.shared
        )


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
        catalog: catalog to use instead of the catalog of the recipe; if the recipe names none
            either, the catalog of the data set is used.
        domain: domain pack to use instead of the domain pack of the catalog.
        allow_outside: whether a description of data may name tables outside its folder.
        progress: called with the current step and the number of new rows while a table is built.

    Raises:
        CatalogError: the data, the catalog or the reference catalog are missing or damaged.
        ConfigurationError: the domain pack does not exist or is not valid.
    """
    dataset = open_dataset(recipe.data, allow_outside=allow_outside)
    reference = recipe.probes.get(CATALOG_CHECKS, {}).get("reference_file")
    if reference:  # a missing or damaged file is reported, and a table built, before any request
        load_catalog(str(reference), progress=progress)
    source = catalog or recipe.catalog
    if source in (None, recipe.data):
        return of_domain(dataset, dataset.catalog, domain)
    chosen = load_catalog(str(source), progress=progress)
    counts = _check_same_items(dataset, chosen)
    return of_domain(replace(dataset, notes=(*dataset.notes, *counts)), chosen, domain)


def of_domain(dataset: Dataset, catalog: Catalog, domain: str | None) -> tuple[Dataset, Catalog]:
    """Set one domain for data set and catalog.

    The domain is `domain` if given, else that of the catalog, else that of the data set.
    """
    chosen = domain or catalog.domain or dataset.catalog.domain
    domain_pack(chosen)  # an unknown domain is reported before anything is sent
    if catalog.domain != chosen:
        catalog = replace(catalog, domain=chosen)
    if dataset.catalog.domain != chosen:
        dataset = replace(dataset, catalog=replace(dataset.catalog, domain=chosen))
    return dataset, catalog


def _check_same_items(dataset: Dataset, catalog: Catalog) -> list[str]:
    """Require that the catalog uses the same ids as the data set for the same items.

    Returns:
        A note with the counts if some ids of the data set are not in the catalog; otherwise empty.

    Raises:
        CatalogError: the catalog has less than half of the data set's ids, or shared ids have
            different titles.
    """
    own, rows = dataset.catalog, catalog.index
    found = overlap_of(own, catalog)
    if found.fault:
        ours, theirs = (" and ".join(map(repr, c.ids[:_EXAMPLES])) for c in (own, catalog))
        raise CatalogError(
            f"catalog {catalog.name} has only {found.shared} of the {found.items} item ids of "
            f"{own.name}, and {found.same_title} of them with the same title. For example, "
            f"{own.name} has the ids {ours} and {catalog.name} has {theirs}. Give a catalog with "
            f"the ids and titles of {own.name}."
        )
    if found.shared == found.items:
        return []
    missing = next(item_id for item_id in own.ids if item_id not in rows)
    return [
        f"{found.shared} of {found.items} item ids of the data are in the catalog {catalog.name}; "
        f"{missing!r} is not"
    ]


def overlap_of(own: Catalog, catalog: Catalog) -> Overlap:
    """Count the items of a data set that are in a catalog."""
    rows = catalog.index
    shared = [
        (ours, catalog.titles[rows[item_id]])
        for item_id, ours in zip(own.ids, own.titles, strict=True)
        if item_id in rows
    ]
    same = [ours for ours, theirs in shared if ours == theirs or full_key(ours) == full_key(theirs)]
    return Overlap(len(own), len(shared), len(same))
