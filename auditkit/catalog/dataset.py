"""A catalog together with the interactions of its users."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.interactions import Interactions
from auditkit.serialization.canonical_json import sha256_json

__all__ = ["Dataset"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Items and interactions; `interactions.item_ids` are the catalog's ids in catalog order.

    `notes` count the rows of the tables that were joined, and the cells that could not be used.
    """

    catalog: Catalog
    interactions: Interactions
    notes: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over catalog, user attributes and interactions in final order."""
        rows = self.interactions
        columns = (rows.user_index, rows.item_index, rows.timestamp, rows.rating)
        return sha256_json(
            [
                self.catalog.fingerprint,
                rows.user_ids,
                rows.tie_seed,
                [dict(attributes) for attributes in rows.attributes],
                *(column.tolist() for column in columns),
                *([list(rows.cuts)] if rows.cuts else []),
            ]
        )
