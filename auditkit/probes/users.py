"""Users of a data set with their histories, built when a probe reads them.

A shop has a million users and a probe asks a thousand of them, so a `User` with its history and
titles is only made for those. What probes need of all users (ids, attributes, lengths of histories)
is read from the columns of the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.catalog.dataset import Dataset
from auditkit.types import Item

__all__ = ["User", "Users", "attributes_of", "history_lengths", "ids_of", "load_users"]


@dataclass(frozen=True)
class User:
    """A user of the data set.

    Attributes:
        history: items before the test items, oldest first.
        test_items: one item, or in a temporal split all later items.
    """

    index: int
    id: str
    attributes: Mapping[str, str]
    history: tuple[Item, ...]
    test_items: tuple[Item, ...]

    @property
    def test_item(self) -> Item | None:
        """The first test item; None if there is none."""
        return self.test_items[0] if self.test_items else None


class Users(Sequence[User]):
    """Users in the order of the data; a user is built when it is read.

    Args:
        dataset: where the users come from.
        rows: positions of the users in the data, ascending; None for all.
    """

    def __init__(self, dataset: Dataset, rows: ArrayLike | None = None) -> None:
        self._dataset = dataset
        n = len(dataset.interactions.user_ids)
        self.rows: NDArray[np.int64] = (
            np.arange(n) if rows is None else np.asarray(rows, dtype=np.int64)
        )

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, row: int) -> User: ...
    @overload
    def __getitem__(self, row: slice) -> Users: ...
    def __getitem__(self, row: int | slice) -> User | Users:
        if isinstance(row, slice):
            return Users(self._dataset, self.rows[row])
        index = int(self.rows[row])
        interactions = self._dataset.interactions
        return User(
            index=index,
            id=interactions.user_ids[index],
            attributes=interactions.attributes[index],
            history=self._items(interactions.history(index, until="test")),
            test_items=self._items(interactions.held_out(index, role="test")),
        )

    def _items(self, rows: NDArray[np.int32]) -> tuple[Item, ...]:
        items = self._dataset.catalog.items
        entries = [items[row] for row in rows.tolist()]
        return tuple(Item(entry.id, entry.display_title) for entry in entries)

    @property
    def ids(self) -> list[str]:
        """Id of every user."""
        known = self._dataset.interactions.user_ids
        return [known[row] for row in self.rows.tolist()]

    @property
    def attributes(self) -> list[Mapping[str, str]]:
        """Attributes of every user."""
        known = self._dataset.interactions.attributes
        return [known[row] for row in self.rows.tolist()]

    @cached_property
    def history_lengths(self) -> NDArray[np.int64]:
        """Number of items in the history of every user, [users]."""
        return np.diff(self._dataset.interactions.histories_offsets(until="test"))[self.rows]


def load_users(dataset: Dataset, rows: ArrayLike | None = None) -> Users:
    """All users of a data set with history and test items, in the order of the data; or those at
    `rows`.
    """
    return Users(dataset, rows)


def ids_of(users: Sequence[User]) -> Sequence[str]:
    """Id of every user, without building the users where they have columns."""
    return users.ids if isinstance(users, Users) else [user.id for user in users]


def attributes_of(users: Sequence[User]) -> Iterable[Mapping[str, str]]:
    """Attributes of every user, without building the users where they have columns."""
    return users.attributes if isinstance(users, Users) else [user.attributes for user in users]


def history_lengths(users: Sequence[User]) -> NDArray[np.int64]:
    """Number of items in the history of every user, [users]."""
    if isinstance(users, Users):
        return users.history_lengths
    return np.array([len(user.history) for user in users], dtype=np.int64)
