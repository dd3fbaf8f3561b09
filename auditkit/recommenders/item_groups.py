"""Groups of items that may get unequal room in lists: popularity tiers, or genres.

Source: group shares after IFairLRS (Jiang et al. 2024); an item of several genres is split evenly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.dataset import Dataset

__all__ = ["Grouping", "ItemGroups", "group_items"]

Grouping = Literal["popularity", "genre"]
_HEAD_SHARE = 0.2  # of the items, by interactions


@dataclass(frozen=True)
class ItemGroups:
    """Which items belong together, and how much of all histories is theirs.

    Attributes:
        names: of the groups. history_share: [groups] share of the histories, GH(g), sums to 1.
        membership: item id -> [groups], how much of it belongs to each; sums to 1.
    """

    names: tuple[str, ...]
    history_share: NDArray[np.float64]
    membership: Mapping[str, NDArray[np.float64]]


def group_items(
    dataset: Dataset, by: Grouping, histories: Sequence[NDArray[np.int32]]
) -> ItemGroups:
    """Groups of a catalog's items.

    Args:
        by: `popularity`: head (the fifth of the items with most interactions, ties by catalog
            order) and tail; `genre`: every genre of the catalog, "none" where an item has none.
        histories: item rows of the users whose histories count.
    """
    items, named = dataset.catalog.items, list[tuple[str, ...]]()
    counts = np.zeros(len(items))
    for history in histories:
        np.add.at(counts, history, 1)
    if by == "popularity":
        head = set(np.argsort(-counts, kind="stable")[: round(_HEAD_SHARE * len(items))].tolist())
        named = [("head" if row in head else "tail",) for row in range(len(items))]
    else:
        named = [tuple(sorted(set(item.genres))) or ("none",) for item in items]
    names = sorted({name for own in named for name in own})
    parts = np.zeros((len(items), len(names)))
    for row, own in enumerate(named):
        parts[row, [names.index(name) for name in own]] = 1 / len(own)
    total = max(1.0, float(counts.sum()))
    membership = {item.id: part for item, part in zip(items, parts, strict=True)}
    return ItemGroups(tuple(names), counts @ parts / total, membership)
