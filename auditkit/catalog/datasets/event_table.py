"""Read a table of interactions into arrays, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.datasets.column_values import IdColumn, Ratings, Times, known_numbers
from auditkit.catalog.datasets.data_description import InteractionColumns
from auditkit.catalog.sources.joins import Join
from auditkit.catalog.sources.table_batches import ABSENT, Batch, read_batches
from auditkit.catalog.sources.table_reader import raise_line_errors
from auditkit.catalog.sources.unknown_cells import UnknownCells
from auditkit.errors import CatalogError

__all__ = ["Events", "read_events"]

Value = TypeVar("Value")


class Events(NamedTuple):
    """Interactions in the order of the file, with one entry per usable row.

    Attributes:
        user_index: position in `user_ids`. item_index: position in the catalog.
        timestamp: seconds since 1970. rating: 1 where the data has none.
        user_ids: ids of the users, in order of their first usable row.
    """

    user_index: NDArray[np.int32]
    item_index: NDArray[np.int32]
    timestamp: NDArray[np.int64]
    rating: NDArray[np.float32]
    user_ids: list[str]


def read_events(
    path: Path,
    columns: InteractionColumns,
    catalog: Catalog,
    *,
    items_file: str,
    strict: bool,
    notes: list[str],
) -> Events:
    """Read the interactions. Rows without a known item, time or rating are skipped and counted.

    Args:
        items_file: name of the table of items, for messages.
        strict: whether a row without a known item, time or rating is an error.
        notes: list to which notes on skipped rows are added.

    Raises:
        CatalogError: the table is not valid, or no row can be used.
    """
    wanted = [columns.user, columns.item, columns.timestamp]
    wanted += [columns.rating] if columns.rating else []
    faults: list[str] = []
    table = _EventTable(columns, catalog, Join(path.name, items_file, "items", strict=strict))
    for batch in read_batches(path, faults, required=[[name] for name in wanted], wanted=wanted):
        table.add(batch, faults)
    raise_line_errors(path, faults)
    left_out = [table.items.report(catalog.index), *table.unknown.warnings(path.name)]
    notes += [*left_out, *table.times.notes(path.name)]
    if not table.parts:
        why = "; ".join(filter(None, left_out)) or "it has no line below the header"
        raise CatalogError(
            f"{path} has no usable interaction: {why}. Give at least one usable line."
        )
    return table.events()


class _EventTable:
    """The usable rows so far, and the counts of skipped rows."""

    def __init__(self, columns: InteractionColumns, catalog: Catalog, items: Join) -> None:
        self.items, self.unknown = items, UnknownCells(strict=items.strict)
        self.times, self._ratings = Times(), Ratings()
        self.parts: list[tuple[NDArray[Any], ...]] = []
        self._columns, self._catalog = columns, catalog
        self._user, self._item = IdColumn(columns.user), IdColumn(columns.item)
        self._rows = np.empty(0, dtype=np.int64)  # catalog row of each item id of the table
        self._ranks = np.empty(
            0, dtype=np.int64
        )  # place of each user among those with a usable row
        self._n_users = 0

    def add(self, batch: Batch, faults: list[str]) -> None:
        """Add the usable rows of a batch."""
        cells = {name: _Cells(batch, name) for name in self._wanted}
        users = self._user.numbers(cells[self._columns.user].all, batch.lines, faults)
        kept = np.flatnonzero(users >= 0)
        named = cells[self._columns.item]
        items = np.full(len(users), -1, dtype=np.int64)
        lines = _at(batch.lines, kept)
        items[kept] = self._item.numbers(named.at(kept), lines, faults)
        kept = kept[items[kept] >= 0]
        rows = self._joined(items[kept], _at(batch.lines, kept), faults)
        if self.items.strict:
            kept, rows = kept[rows >= 0], rows[rows >= 0]
        values: list[NDArray[np.float64]] = []
        for name, reader in self._numbers:
            lines = _at(batch.lines, kept)
            found = known_numbers(reader, name, cells[name].at(kept), lines, self.unknown, faults)
            known = ~np.isnan(found)
            kept, rows, found = kept[known], rows[known], found[known]
            values = [earlier[known] for earlier in values] + [found]
        used = rows >= 0
        if used.any():
            time, rating = values[0][used], values[1][used] if len(values) > 1 else None
            self.parts.append(
                (
                    self._ranked(users[kept[used]]).astype(np.int32),
                    rows[used].astype(np.int32),
                    np.trunc(time).astype(np.int64),
                    np.ones(len(time), np.float32) if rating is None else rating.astype(np.float32),
                )
            )

    @property
    def _numbers(self) -> list[tuple[str, Times | Ratings]]:
        columns: list[tuple[str, Times | Ratings]] = [(self._columns.timestamp, self.times)]
        return columns + ([(self._columns.rating, self._ratings)] if self._columns.rating else [])

    @property
    def _wanted(self) -> list[str]:
        return [self._columns.user, self._columns.item, *(name for name, _ in self._numbers)]

    def _joined(
        self, items: NDArray[np.int64], lines: Sequence[int], faults: list[str]
    ) -> NDArray[np.int64]:
        """Catalog row of each item; -1 for an item that is not in the catalog."""
        texts, index = self._item.texts, self._catalog.index
        new = [index.get(text, -1) for text in texts[len(self._rows) :]]
        self._rows = np.concatenate((self._rows, np.array(new, dtype=np.int64)))
        rows = self._rows[items]
        lost = np.flatnonzero(rows < 0)
        if not self.items.strict:
            self.items.count(len(rows) - len(lost), [texts[items[row]] for row in lost])
            return rows
        self.items.count(len(rows) - len(lost), ())
        for row in lost.tolist():
            try:
                self.items.find(index, texts[items[row]])
            except ValueError as error:
                faults.append(f"line {lines[row]}: {error}")
        return rows

    def _ranked(self, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of each user, in the order of the first usable rows."""
        grown = len(self._user.texts) - len(self._ranks)
        self._ranks = np.concatenate((self._ranks, np.full(grown, -1, dtype=np.int64)))
        found, first = np.unique(users, return_index=True)
        unseen = self._ranks[found] < 0
        new = found[unseen][np.argsort(first[unseen])]
        self._ranks[new] = np.arange(self._n_users, self._n_users + len(new))
        self._n_users += len(new)
        return self._ranks[users]

    def events(self) -> Events:
        """Return all rows, and free the batches."""
        order = np.argsort(self._ranks[self._ranks >= 0])
        named = np.flatnonzero(self._ranks >= 0)[order]
        users, items, times, ratings = map(list, zip(*self.parts, strict=True))
        self.parts.clear()  # each list is freed when its column is joined
        return Events(
            _joined(users),
            _joined(items),
            _joined(times),
            _joined(ratings),
            [self._user.texts[row] for row in named.tolist()],
        )


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Concatenate the arrays and empty the list, to free memory."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


class _Cells:
    """Cells of one column of a batch, without the cells of a missing JSON key."""

    def __init__(self, batch: Batch, name: str) -> None:
        self.all = batch.columns.get(name) or [ABSENT] * len(batch.lines)

    def at(self, rows: NDArray[np.int64]) -> Sequence[object]:
        """Cells at ascending positions."""
        return _at(self.all, rows)


def _at(values: Sequence[Value], rows: NDArray[np.int64]) -> Sequence[Value]:
    """Values at ascending positions."""
    return values if len(rows) == len(values) else [values[row] for row in rows.tolist()]
