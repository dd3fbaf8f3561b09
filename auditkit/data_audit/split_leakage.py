"""Leakage across the split: held-out items that are also in the training data, and copied
histories.

Source of the third check: Ji et al. 2023, "A Critical Study on Data Leakage in Recommender System
Offline Evaluation" (training rows of other users that are later than a test row).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.interactions import Interactions
from auditkit.data_audit.check import MAX_EXAMPLES, DataCheck, share
from auditkit.data_audit.near_copies import near_copies

__all__ = ["check_split"]

_MIN_ITEMS, _SIMILARITY = 10, 0.9


def check_split(rows: Interactions, *, seed: int) -> list[DataCheck]:
    """Count test items that the user has in training, copied histories, and test rows that are
    earlier than training rows.

    Args:
        rows: the interactions with their split.
        seed: seed of the hashes that find copied histories.
    """
    split = rows.split()
    pairs = rows.user_index.astype(np.int64) * len(rows.item_ids) + rows.item_index
    repeated = split.test[_among(pairs[split.test], pairs[split.train])]
    copies = near_copies(
        rows.item_index, rows.offsets, least=_MIN_ITEMS, similarity=_SIMILARITY, seed=seed
    )
    large = int(np.sum(np.diff(rows.offsets) >= _MIN_ITEMS))
    latest = rows.timestamp[split.train].max(initial=np.iinfo(np.int64).min)
    later = int(np.sum(rows.timestamp[split.test] < latest))
    return [
        share(
            "split.repeated_pair",
            "test items that the same user already has in training",
            len(repeated), len(split.test), "test rows", limit=0.01,
            examples=tuple(_named(rows, row) for row in repeated[:MAX_EXAMPLES]),
        ),
        share(
            "split.copied_history",
            f"users with {_MIN_ITEMS} or more items whose history has a Jaccard similarity of at "
            f"least {_SIMILARITY:.0%} to that of another user, in whose training data the test "
            "item is",
            len({user for pair in copies for user in pair}), large, "users", limit=0.001,
            examples=tuple(
                f"users {rows.user_ids[a]} and {rows.user_ids[b]}" for a, b in copies[:MAX_EXAMPLES]
            ),
        ),
        share(
            "split.later_training",
            "test rows that are earlier than a training row of another user, so that later "
            "trends are in the training data; impossible in a temporal split",
            later, len(split.test), "test rows",
        ),
    ]  # fmt: skip


def _named(rows: Interactions, row: int) -> str:
    user, item = rows.user_index[row], rows.item_index[row]
    return f"user {rows.user_ids[user]}, item {rows.item_ids[item]}"


def _among(values: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which values occur among the others; both may be long."""
    ordered = np.sort(others)
    at = np.searchsorted(ordered, values)
    found = np.zeros(len(values), dtype=bool)
    inside = at < len(ordered)
    found[inside] = ordered[at[inside]] == values[inside]
    return found
