"""Item groups for exposure re-ranking: popularity deciles or genres, as in the exposure probe.

An item with several genres counts in equal parts for each. Source: group shares of IFairLRS (Jiang
et al. 2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.dataset import Dataset
from auditkit.metrics.item_groups import memberships, popularity_deciles

__all__ = ["Grouping", "ItemGroups", "group_items"]

Grouping = Literal["popularity", "genre"]


@dataclass(frozen=True)
class ItemGroups:
    """Group membership of items, and the groups' shares of all histories.

    Attributes:
        names: names of the groups. history_share: [groups] share of the histories, GH(g), sums to
            1.
        membership: item id -> [groups], fraction of the item in each group; sums to 1, or to 0 for
            an item without a group.
    """

    names: tuple[str, ...]
    history_share: NDArray[np.float64]
    membership: Mapping[str, NDArray[np.float64]]


def group_items(
    dataset: Dataset, by: Grouping, histories: Sequence[NDArray[np.int32]]
) -> ItemGroups:
    """Group the items of a catalog.

    Args:
        by: `popularity`: deciles of the catalog by interactions, ties by id; or `genre`.
        histories: catalog rows of the items in each user's history.
    """
    items = dataset.catalog.items
    counts = np.zeros(len(items))
    for history in histories:
        np.add.at(counts, history, 1)
    if by == "genre":
        named = [item.genres for item in items]
    else:
        deciles = popularity_deciles(counts, [item.id for item in items])
        named = [(f"decile {decile:02}",) for decile in deciles]
    names, sparse = memberships(named)
    parts = sparse.toarray()
    shares = counts @ parts
    membership = {item.id: part for item, part in zip(items, parts, strict=True)}
    return ItemGroups(names, shares / max(1.0, float(shares.sum())), membership)
