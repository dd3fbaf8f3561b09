"""Attach the facts of an external table to catalog items by title and year, with the title linker.

DBpedia-style tables use the common names of directors and actors; a crosswalk maps foreign ids to
items. Only stages 1 to 6 of the linker are used, because a match that needed spelling correction is
not reliable enough to attach facts to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from auditkit.catalog.graph.schema import Predicate
from auditkit.catalog.linking.title_linker import LINKED
from auditkit.catalog.sources.cell_values import cell_texts
from auditkit.catalog.sources.column_mapping import Column, TableMapping
from auditkit.catalog.sources.table_reader import (
    COLUMNS,
    parse_item,
    raise_line_errors,
    read_rows,
)
from auditkit.catalog.sources.table_source import Facts, TableColumns, file_source
from auditkit.catalog.sources.unknown_cells import UnknownCells
from auditkit.catalog.storage.draft import CatalogDraft
from auditkit.errors import CatalogError

__all__ = ["add_facts", "crosswalk_pairs"]

_IDS = (*COLUMNS["id"], "movie_id", "ml1m_id")
_SUFFIX = re.compile(r" *\([^()]*\)$")
_AT_ONCE = 20_000

Row = Mapping[str, object]


def add_facts(
    draft: CatalogDraft, path: Path, mapping: TableMapping | None = None, *, strict: bool = False
) -> None:
    """Add facts from a table whose rows name items by title and year.

    Underscores and suffixes such as `(director)` are removed from labels. Columns with ids, and
    predicates that the items already have (genre, year), are skipped unless a mapping names them.

    Args:
        draft: the catalog draft with its items.
        path: CSV, TSV, JSON lines or Parquet.
        mapping: assigns columns to predicates.
        strict: whether an unreadable cell is an error instead of an unknown value.

    Raises:
        CatalogError: the file cannot be read or has invalid lines.
    """
    columns = TableColumns(mapping)
    rows = list(_rows(path, columns))
    placed = _place(draft, [title for _, title, _ in rows], path.name)
    unknown = UnknownCells(strict=strict or (mapping is not None and mapping.strict))
    facts, faults = Facts(draft, unknown), list[str]()
    for (line, _, row), items in zip(rows, placed, strict=True):
        for item in items:
            try:
                facts.add(item, _cleaned(columns.facts(row, with_genre=mapping is not None)), line)
            except ValueError as error:
                faults.append(f"line {line}: {error}")
                break
    raise_line_errors(path, faults)
    facts.finish(path.name)
    draft.linked = (draft.linked or set()) | {item for items in placed for item in items}
    draft.sources.append(file_source(path, columns.source))


def crosswalk_pairs(draft: CatalogDraft, path: Path) -> list[tuple[str, str]]:
    """Read pairs (foreign id, item id) from a table with two id columns, or with foreign ids,
    titles and years.

    Raises:
        CatalogError: the file cannot be read, or has other columns.
    """
    faults: list[str] = []
    rows = list(read_rows(path, faults, required=[], spelling=TableColumns().spelling))
    raise_line_errors(path, faults)
    names = list(rows[0][1]) if rows else []
    titled = any(name in COLUMNS["title"] for name in names)
    usual = (name for known in _IDS for name in names if name.casefold() == known)
    foreign = next(chain(usual, names), "")
    if not titled and len(names) != 2:
        raise CatalogError(
            f"{path} has the columns {', '.join(names) or '(none)'}. Give two id columns, with "
            "the foreign id first, or the columns id, title and year."
        )
    if not titled:
        return [(str(row[names[0]]).strip(), str(row[names[1]]).strip()) for _, row in rows]
    placed = _place(draft, [_title(_named(row, foreign)) for _, row in rows], path.name)
    return [
        (str(row[foreign]).strip(), draft.ids[item])
        for (_, row), items in zip(rows, placed, strict=True)
        for item in items
    ]


def _rows(path: Path, columns: TableColumns) -> Iterator[tuple[int, str, Row]]:
    """Yield the line number, written title and cells of every row."""
    faults: list[str] = []
    title = columns.required(with_title=True)[1]
    for line, row in read_rows(path, faults, required=[title], spelling=columns.spelling):
        try:
            written = _title({**columns.item(row), "id": "-"})
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        kept = {k: v for k, v in row.items() if columns.mapped or not _is_id(k)}
        yield line, written, kept
    raise_line_errors(path, faults)


def _title(row: Row) -> str:
    return parse_item(row, UnknownCells()).display_title


def _named(row: Row, foreign: str) -> Row:
    return {**{k: v for k, v in row.items() if k not in COLUMNS["id"]}, "id": row[foreign]}


def _is_id(name: str) -> bool:
    return name.casefold() in _IDS or name.casefold().endswith(("_id", "id:"))


def _place(draft: CatalogDraft, titles: list[str], name: str) -> list[tuple[int, ...]]:
    """Rows of the items that each title names; empty for a title that is not linked.

    The counts are added to the draft, as a warning if a title is not linked.

    Raises:
        CatalogError: there are titles, but no title is linked.
    """
    # With `strict`, a corrected title is never `year_off`, so `typo` marks every correction.
    linker = draft.linker("strict")
    placed: list[tuple[int, ...]] = []
    ambiguous = 0
    for begin in range(0, len(titles), _AT_ONCE):
        for link in linker.link(titles[begin : begin + _AT_ONCE], near_misses=False):
            ambiguous += link.reason == "ambiguous"
            good = link.reason in LINKED and link.reason != "typo"
            placed.append(tuple(draft.rows[i] for i in link.candidates) if good else ())
    linked = sum(bool(items) for items in placed)
    unlinked = len(placed) - linked - ambiguous
    counts = f"{name}: {linked} rows linked, {unlinked} unlinked, {ambiguous} ambiguous"
    if titles and not linked:
        ours, theirs = (" and ".join(map(repr, some[:2])) for some in (titles, draft.titles))
        raise CatalogError(
            f"{counts}. {name} has {ours}, the catalog has {theirs}. Give a table about items of "
            "the catalog."
        )
    if linked < len(titles):
        draft.warn(counts)
    else:
        draft.notes.append(counts)
    return placed


def _cleaned(
    cells: Iterator[tuple[Predicate, Column, object]],
) -> Iterator[tuple[Predicate, Column, object]]:
    for predicate, column, cell in cells:
        try:
            texts = cell_texts(cell, predicate.name, separator=column.separator)
        except ValueError:
            yield predicate, column, cell  # the reader of the cell counts it
            continue
        yield predicate, column, [name for name in map(_label, texts) if name]


def _label(text: str) -> str:
    """Convert `Joe_Johnston_(director)` to `Joe Johnston`."""
    return _SUFFIX.sub("", " ".join(text.replace("_", " ").split())).strip()
