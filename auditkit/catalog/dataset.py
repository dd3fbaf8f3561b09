"""A catalog together with the interactions of its users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.interactions import Interactions
from auditkit.serialization.canonical_json import canonical_json, json_list, sha256_text

__all__ = ["Dataset"]

_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class Dataset:
    """A catalog and interactions; `interactions.item_ids` are the catalog's ids in catalog order.

    `notes` count the rows of the tables that were joined, and the cells that could not be used.
    `content_sha256` is the fingerprint, if it is known from an earlier run.
    """

    catalog: Catalog
    interactions: Interactions
    notes: tuple[str, ...] = ()
    content_sha256: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over catalog, user attributes and sorted interactions."""
        return self.content_sha256 or sha256_text(self._as_json())

    def _as_json(self) -> Iterator[str]:
        """The data as canonical JSON, in pieces."""
        rows = self.interactions
        yield f"[{canonical_json(self.catalog.fingerprint)},"
        yield from json_list(_chunks(rows.user_ids))
        yield f",{canonical_json(rows.tie_seed)},"
        yield from json_list([dict(own) for own in chunk] for chunk in _chunks(rows.attributes))
        for column in (rows.user_index, rows.item_index, rows.timestamp, rows.rating):
            yield ","
            yield from json_list(chunk.tolist() for chunk in _chunks(column))
        yield f",{canonical_json(list(rows.cuts))}]" if rows.cuts else "]"


def _chunks(values: Sequence[Any] | NDArray[np.generic]) -> Iterator[Any]:
    return (values[begin : begin + _CHUNK] for begin in range(0, len(values), _CHUNK))
