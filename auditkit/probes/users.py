"""Users of a data set with their histories, which are built when a probe reads them.

A shop may have a million users, of whom a probe uses a thousand, so a `User` with history and
titles is built only for users that are read. Ids, attributes and history lengths, which probes need
for all users, are read from the columns of the data.
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
        test_items: held-out test items: one item or, in a temporal split, all later items.
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
    """Users in the order of the data; each user is built when it is read.

    Args:
        dataset: data set of the users.
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
    """Return all users of a data set that have a history, or the users at `rows`.

    Users are in the order of the data.
    """
    return Users(dataset, rows)


def ids_of(users: Sequence[User]) -> Sequence[str]:
    """Return the id of every user; users that are read from columns are not built."""
    return users.ids if isinstance(users, Users) else [user.id for user in users]


def attributes_of(users: Sequence[User]) -> Iterable[Mapping[str, str]]:
    """Return the attributes of every user; users that are read from columns are not built."""
    return users.attributes if isinstance(users, Users) else [user.attributes for user in users]


def history_lengths(users: Sequence[User]) -> NDArray[np.int64]:
    """Number of items in the history of every user, [users]."""
    if isinstance(users, Users):
        return users.history_lengths
    return np.array([len(user.history) for user in users], dtype=np.int64)
