"""User-item interactions in a fixed order, split leave-last-out or at two points in time.

Ties affect results: for 44 % of MovieLens-100k users the last two items have the same timestamp,
and breaking those ties by item id halves the accuracy of a popularity ranking. Therefore rows are
sorted by (user, timestamp, r), with r drawn from a seeded generator in file order. The seed and the
share of ties are recorded for every table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from auditkit.errors import CatalogError

__all__ = ["Histories", "Interactions", "Split"]

Until = Literal["validation", "test"]
_BLOCK = 1 << 22  # rows that are sorted at once


@dataclass(frozen=True, eq=False, kw_only=True)
class Split:
    """Rows of `Interactions` by role (training, validation, test), and the number of users without
    a held-out row.

    Each user has at most one test and one validation row; in a temporal split, these are the user's
    first rows in the two periods.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    users_without_test: int
    users_without_validation: int


class Histories(NamedTuple):
    """Histories of all users, one after another.

    Attributes:
        items: item indices, oldest first. offsets: user u has items[offsets[u] : offsets[u + 1]].
    """

    items: NDArray[np.int32]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Interactions:
    """Interactions sorted by user, timestamp and a random number r; row arrays have equal length.

    Attributes:
        user_index, item_index: positions in `user_ids` and `item_ids`.
        timestamp: seconds since 1970.
        rating: rating as in the data; 1 where the data have none.
        attributes: one mapping per user, such as `{"gender": "female"}`; "unknown" if missing.
        tie_seed: seed of r.
        n_duplicates: number of exact duplicate rows that were dropped.
        cuts: for a temporal split, the times in seconds from which rows are validation and test;
            None holds out each user's last two rows.
    """

    user_index: NDArray[np.int32]
    item_index: NDArray[np.int32]
    timestamp: NDArray[np.int64]
    rating: NDArray[np.float32]
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    attributes: tuple[Mapping[str, str], ...]
    tie_seed: int
    n_duplicates: int
    cuts: tuple[int, int] | None = None

    @classmethod
    def from_rows(
        cls,
        user_index: ArrayLike,
        item_index: ArrayLike,
        *,
        timestamp: ArrayLike,
        rating: ArrayLike,
        user_ids: Sequence[str],
        item_ids: Sequence[str],
        attributes: Sequence[Mapping[str, str]],
        tie_seed: int = 0,
    ) -> Interactions:
        """Sort rows that are in file order, and drop exact duplicates. Repeats at other times are
        not dropped.

        Raises:
            CatalogError: array lengths differ, an index is out of range, or the number of attribute
                mappings differs from the number of users.
        """
        user = np.asarray(user_index, dtype=np.int32)
        item = np.asarray(item_index, dtype=np.int32)
        time = np.asarray(timestamp, dtype=np.int64)
        stars = np.asarray(rating, dtype=np.float32)
        if not len(user) == len(item) == len(time) == len(stars) or len(attributes) != len(
            user_ids
        ):
            raise CatalogError(
                f"interactions have {len(user)} users, {len(item)} items, {len(time)} times and "
                f"{len(stars)} ratings; there are {len(attributes)} attribute rows for "
                f"{len(user_ids)} users. Give one user, item, time and rating per interaction, "
                "and one attribute row per user."
            )
        for index, ids, what in ((user, user_ids, "user"), (item, item_ids, "item")):
            if len(index) and (index.min() < 0 or index.max() >= len(ids)):
                raise CatalogError(
                    f"a {what} index lies outside 0..{len(ids) - 1}. Number {what}s from 0."
                )
        keep = _sorted_rows(user, item, time, stars, tie_seed=tie_seed)
        return cls(
            user_index=user[keep],
            item_index=item[keep],
            timestamp=time[keep],
            rating=stars[keep],
            user_ids=tuple(user_ids),
            item_ids=tuple(item_ids),
            attributes=tuple(attributes),
            tie_seed=tie_seed,
            n_duplicates=len(user) - len(keep),
        )

    def __len__(self) -> int:
        return len(self.user_index)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Row ranges, [n_users + 1]: the rows of user u are offsets[u] : offsets[u + 1]."""
        counts = np.bincount(self.user_index, minlength=len(self.user_ids))
        return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)

    @cached_property
    def tied_last_share(self) -> float | None:
        """Fraction of the users with a test row whose last two rows have the same timestamp."""
        last = self.split().test
        return (
            float(np.mean(self.timestamp[last] == self.timestamp[last - 1])) if len(last) else None
        )

    def split(self) -> Split:
        """Split the rows into training, validation and test.

        Leave-last-out: the last row of a user is the test row, and the row before it is the
        validation row. Users with one row have only training rows, and users with two have no
        validation row. Temporal: the held-out rows are the first row at or after each cut, for
        users with rows before that cut.
        """
        begin, ends = self.offsets[:-1], self.offsets[1:]
        known = {until: self._known(until) for until in ("validation", "test")}
        limit = {"validation": begin + known["test"], "test": ends}
        held = {
            until: (begin + known[until])[
                (known[until] > 0) & (begin + known[until] < limit[until])
            ]
            for until in known
        }
        train = np.arange(len(self)) < np.repeat(begin + known["validation"], ends - begin)
        n = len(self.user_ids)
        return Split(
            train=np.flatnonzero(train),
            validation=held["validation"],
            test=held["test"],
            users_without_test=n - len(held["test"]),
            users_without_validation=n - len(held["validation"]),
        )

    def history(self, user_index: int, *, until: Until) -> NDArray[np.int32]:
        """Item indices of one user, oldest first, before the validation or the test item.

        For a user without that item, the history ends before the next held-out item, if there is
        one.
        """
        begin = self.offsets[user_index]
        return self.item_index[begin : begin + self._known_rows[until][user_index]]

    @cached_property
    def _known_rows(self) -> Mapping[str, NDArray[np.int64]]:
        return {until: self._known(until) for until in ("validation", "test")}

    def held_out(self, user_index: int, *, role: Until) -> NDArray[np.int32]:
        """Item indices on which one user is evaluated, oldest first.

        The result is the test or validation item, or for a temporal split all items of the period.
        It is empty for users without an earlier history.
        """
        begin, end = self.offsets[user_index], self.offsets[user_index + 1]
        first = self._known_rows[role][user_index]
        if role == "validation":
            end = begin + self._known_rows["test"][user_index]
        return self.item_index[begin + first : end] if first else self.item_index[:0]

    def without_test(self) -> Interactions:
        """Return a copy without the test rows, in which the validation rows are the test rows."""
        kept = np.ones(len(self), dtype=bool)
        if self.cuts is None:
            kept[self.split().test] = False
        else:
            kept = self.timestamp < self.cuts[1]
        rows = {
            name: getattr(self, name)[kept]
            for name in ("user_index", "item_index", "timestamp", "rating")
        }
        return replace(self, **rows, cuts=None if self.cuts is None else (self.cuts[0],) * 2)

    def _known(self, until: str) -> NDArray[np.int64]:
        """Number of rows of each user before the validation or test row (`until`)."""
        counts = np.diff(self.offsets)
        if self.cuts is not None:
            before = self.timestamp < self.cuts[until == "test"]
            sums = np.concatenate(([0], np.cumsum(before)))
            return np.asarray(sums[self.offsets[1:]] - sums[self.offsets[:-1]])
        held_out = np.where(counts < 2, 0, np.where((counts < 3) | (until == "test"), 1, 2))
        return np.asarray(counts - held_out)

    def histories_offsets(self, *, until: Until) -> NDArray[np.int64]:
        """Offsets of `histories`, [users + 1]."""
        return np.concatenate(([0], np.cumsum(self._known_rows[until])))

    def histories(self, *, until: Until) -> Histories:
        """Histories of all users before their validation or test items."""
        known, offsets = self._known_rows[until], self.histories_offsets(until=until)
        inside = np.zeros(len(self) + 1, dtype=np.int8)
        np.add.at(inside, self.offsets[:-1], 1)
        np.add.at(inside, self.offsets[:-1] + known, -1)
        np.cumsum(inside, dtype=np.int8, out=inside)
        return Histories(self.item_index[inside[:-1].view(np.bool_)], offsets)

    def matrix(self, *, until: Until) -> sparse.csr_array:
        """Binary matrix, users x items, of the histories before the validation or test items."""
        items, offsets = self.histories(until=until)
        shape = (len(self.user_ids), len(self.item_ids))
        ones = np.ones(len(items), dtype=np.int32)
        counts = sparse.csr_array((ones, items, offsets), shape=shape)
        counts.sum_duplicates()
        counts.data[:] = 1
        return counts


def _sorted_rows(
    user: NDArray[np.int32], *columns: NDArray[Any], tie_seed: int
) -> NDArray[np.intp]:
    """Rows by user, time and random r, without exact duplicates; users are sorted block by block,
    so the working memory is that of one column.

    Args:
        columns: item, time and rating.
    """
    item, time, rating = columns
    draw = np.random.default_rng(tie_seed).random(len(user))
    order = np.argsort(user, kind="stable")
    ends = np.cumsum(np.bincount(user)) if len(user) else np.zeros(0, dtype=np.int64)
    begin = kept = 0
    while begin < len(order):
        # At least one user, and at most one block of rows.
        last = max(int(np.searchsorted(ends, begin + _BLOCK, side="right")) - 1, 0)
        end = max(int(ends[last]), int(ends[np.searchsorted(ends, begin, side="right")]))
        rows = order[begin:end]
        own = [column[rows] for column in (user, item, time, rating)]
        sorting = np.lexsort((draw[rows], own[2], own[0]))
        found = rows[sorting[_first_of_duplicates(*own)[sorting]]]
        order[kept : kept + len(found)] = found
        begin, kept = end, kept + len(found)
    return order[:kept]


def _first_of_duplicates(*columns: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Mask of the first row, in file order, of each set of rows that are equal in all columns."""
    order = np.lexsort(columns)
    same = np.zeros(len(order), dtype=bool)
    if len(order):
        same[1:] = np.logical_and.reduce(
            [column[order][1:] == column[order][:-1] for column in columns]
        )
    first = np.ones(len(order), dtype=bool)
    first[order[same]] = False
    return first
