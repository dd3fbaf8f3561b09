"""Read the attributes of the users that have interactions from a table of users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.datasets.column_values import IdColumn
from auditkit.catalog.datasets.data_description import UserColumns
from auditkit.catalog.sources.joins import Join
from auditkit.catalog.sources.table_batches import ABSENT, plain_cell, read_batches
from auditkit.catalog.sources.table_reader import raise_line_errors
from auditkit.catalog.sources.unknown_cells import SENTINELS, UnknownCells

__all__ = ["read_attributes"]

_UNKNOWN = "unknown"


def read_attributes(
    path: Path,
    columns: UserColumns,
    users: Sequence[str],
    *,
    events_file: str,
    strict: bool,
    notes: list[str],
) -> list[Mapping[str, str]]:
    """Read one attribute mapping per user, in which a missing value is "unknown". Users with equal
    values share one mapping object.

    Args:
        users: ids of the users that have interactions.
        events_file: name of the table of interactions, for messages.
        strict: whether an unreadable cell is an error.
        notes: list to which notes on users and cells are added.

    Raises:
        CatalogError: the table is not valid, or contains none of the users.
    """
    number = {user: row for row, user in enumerate(users)}
    unknown, faults = UnknownCells(strict=strict), list[str]()
    ids = IdColumn(columns.id)
    seen = np.zeros(len(users), dtype=bool)
    names = list(columns.attributes)
    values = {name: np.full(len(users), _UNKNOWN, dtype=object) for name in names}
    required = [[columns.id], *([name] for name in names)]
    wanted = [columns.id, *names]
    for batch in read_batches(path, faults, required=required, wanted=wanted):
        blank = [ABSENT] * len(batch.lines)
        numbers = ids.numbers(batch.columns.get(columns.id, blank), batch.lines, faults)
        texts = [ids.texts[i] if i >= 0 else "" for i in numbers.tolist()]
        rows = np.fromiter(map(number.get, texts, repeat(-1)), dtype=np.int64, count=len(texts))
        kept = _first_rows(rows, seen, texts, batch.lines, faults)
        for name in names:
            cells = batch.columns.get(name, blank)
            own = [(batch.lines[at], cells[at]) for at in kept.tolist()]
            values[name][rows[kept]] = _attributes(own, name, unknown, faults)
    raise_line_errors(path, faults)
    join = Join(events_file, columns.file, "users")
    join.count(int(seen.sum()), [users[row] for row in np.flatnonzero(~seen).tolist()])
    notes += [join.report(ids.texts), *unknown.warnings(path.name)]
    keys = list(zip(*values.values(), strict=True)) if names else [()] * len(users)
    shared = {key: dict(zip(names, key, strict=True)) for key in set(keys)}
    return list(map(shared.__getitem__, keys))


def _first_rows(
    rows: NDArray[np.int64],
    seen: NDArray[np.bool_],
    texts: Sequence[str],
    lines: Sequence[int],
    faults: list[str],
) -> NDArray[np.int64]:
    """Positions of the rows of users that have interactions; a user who occurs twice is an
    error.
    """
    places = np.flatnonzero(rows >= 0)
    first = np.zeros(len(places), dtype=bool)
    first[np.unique(rows[places], return_index=True)[1]] = True
    first &= ~seen[rows[places]]
    seen[rows[places]] = True
    for at in places[~first].tolist():
        faults.append(f"line {lines[at]}: user {texts[at]!r} occurs twice")
    return places[first]


def _attributes(
    cells: Sequence[tuple[int, object]], name: str, unknown: UnknownCells, faults: list[str]
) -> list[str]:
    """Values of the cells of one attribute, each given with its line."""
    texts = [cell for _, cell in cells if type(cell) is str]
    read = {cell: " ".join(cell.split()) for cell in set(texts)}
    if len(texts) == len(cells) and SENTINELS.isdisjoint(read.values()):
        return [read[cell] or _UNKNOWN for cell in texts]
    values = []
    for line, cell in cells:
        try:
            values.append(_attribute(cell, name, unknown, line))
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            values.append(_UNKNOWN)
    return values


def _attribute(cell: object, name: str, unknown: UnknownCells, line: int) -> str:
    """The value of an attribute; "unknown" for an empty cell, a sentinel, a list or an object.

    Raises:
        ValueError: the cell is a list or an object, and `unknown` is strict.
    """
    cell = None if cell is ABSENT else plain_cell(cell)
    if isinstance(cell, list | dict):
        unknown.unreadable(name, "a list or an object", line=line)
        return _UNKNOWN
    text = "" if cell is None else " ".join(str(cell).split())
    if text in SENTINELS:
        unknown.sentinel(name)
        return _UNKNOWN
    return text or _UNKNOWN
