"""Exposure and interactions of users as sparse tables [users, items].

Each item is counted once per list, and an empty list has no exposure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from scipy import sparse

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.probes.base import UTILITY_STATUSES, User, item_ids, split_by_status
from auditkit.types import Response

__all__ = ["CUTOFF", "Seen", "count_exposure"]

CUTOFF = 10


@dataclass(frozen=True)
class Seen:
    """Exposure in the lists of users with a response, and their histories.

    Attributes:
        answers: one response per user.
        shown, history: exposure in lists, and interactions in histories, [users, items].
        popularity: number of interactions per item over all users of the data, [items].
        ids: item ids of the catalog.
        n_missing: number of users without a response.
        discount: whether positions are weighted.
        notes: notes on the sample of users.
    """

    answers: Sequence[Response]
    shown: sparse.csr_array
    history: sparse.csr_array
    popularity: NDArray[np.float64]
    ids: tuple[str, ...]
    n_missing: int
    discount: bool
    notes: tuple[str, ...] = ()

    @property
    def exposure(self) -> NDArray[np.float64]:
        """Total exposure of every item, [items]."""
        return np.asarray(self.shown.sum(axis=0), dtype=np.float64)

    @property
    def design(self) -> dict[str, JsonValue]:
        """Settings of the probe, added to the parameters of the findings."""
        return {"k": CUTOFF, "n_lists": len(self.answers), "discount": self.discount}


def count_exposure(
    users: Sequence[User],
    responses: Sequence[Response],
    popularity: NDArray[np.float64],
    index: Mapping[str, int],
    *,
    discount: bool,
) -> Seen:
    """Count the items in lists and histories.

    Args:
        users: users with a request.
        responses: one response per user.
        popularity: number of interactions of every item, [items].
        index: column of the tables by item id; items outside of the catalog occupy a position but
            are not counted.
        discount: whether to weight a position by 1 / log2(rank + 1), with ranks from 1.
    """
    kept, _ = split_by_status(responses, UTILITY_STATUSES)
    lists = [list(dict.fromkeys(item_ids(responses[i])))[:CUTOFF] for i in kept]
    weights = [1 / math.log2(at + 2) if discount else 1.0 for at in range(CUTOFF)]
    return Seen(
        answers=[responses[i] for i in kept],
        shown=_table(lists, index, weights),
        history=_table(([item.id for item in users[i].history] for i in kept), index),
        popularity=popularity,
        ids=tuple(index),
        n_missing=len(users) - len(kept),
        discount=discount,
    )


def popularity_in(catalog: Catalog, dataset: Dataset) -> NDArray[np.float64]:
    """Count the interactions of every item of a catalog in the histories of all users, [items]."""
    items, _ = dataset.interactions.histories(until="test")
    counts = np.bincount(items, minlength=len(dataset.catalog)).astype(np.float64)
    if catalog is dataset.catalog:
        return counts
    rows = np.array([catalog.index.get(item_id, -1) for item_id in dataset.catalog.ids])
    found = np.zeros(len(catalog))
    found[rows[rows >= 0]] = counts[rows >= 0]
    return found


def _table(
    rows: Iterable[Sequence[str]], index: Mapping[str, int], weights: Sequence[float] = ()
) -> sparse.csr_array:
    """Build a sparse table [rows, items] with the sum of the weights of an item's positions in a
    row.

    Without `weights`, each weight is 1.
    """
    columns, values, indptr = [], [], [0]
    for items in rows:
        for at, item in enumerate(items):
            if item in index:
                columns.append(index[item])
                values.append(weights[at] if weights else 1.0)
        indptr.append(len(columns))
    cells = (np.array(values), np.array(columns, dtype=np.int64), np.array(indptr))
    table = sparse.csr_array(cells, shape=(len(indptr) - 1, len(index)), dtype=np.float64)
    table.sum_duplicates()
    return table
