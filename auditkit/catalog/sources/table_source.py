"""Read tables into a catalog draft: items from the first table, facts from every table.

Rows are streamed, and all errors of a file are reported in one message. With a mapping, only the
columns that it names are read; without a mapping, every column is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from auditkit.catalog.graph.builder import is_text
from auditkit.catalog.graph.schema import Predicate
from auditkit.catalog.graph.typed_values import canonical
from auditkit.catalog.items import ITEM_PREDICATES
from auditkit.catalog.linking.variants import is_variant_column
from auditkit.catalog.sources.cell_values import cell_text, cell_texts, known_texts
from auditkit.catalog.sources.column_mapping import (
    AMAZON,
    Column,
    SourceSection,
    TableMapping,
    predicate_by_name,
)
from auditkit.catalog.sources.joins import Join, record_join
from auditkit.catalog.sources.table_reader import (
    COLUMNS,
    parse_item,
    raise_line_errors,
    read_rows,
)
from auditkit.catalog.sources.unknown_cells import SENTINELS, UnknownCells
from auditkit.catalog.storage.draft import CatalogDraft, Source
from auditkit.errors import CatalogError
from auditkit.serialization.atomic_files import sha256_file

__all__ = [
    "TABLE_READER_VERSION", "Facts", "TableColumns", "add_table", "file_source",
]  # fmt: skip

_PROGRESS_ROWS = 10_000
_MOST_COLUMNS = 200
_TAKEN = {name for names in COLUMNS.values() for name in names}
_USUAL = {*_TAKEN, "decade"}
TABLE_READER_VERSION = 3  # catalogs built by another version of the table reader are rebuilt

GENRE = ITEM_PREDICATES[1]

Row = Mapping[str, object]
Progress = Callable[[int], None]


def add_table(
    draft: CatalogDraft,
    path: Path,
    mapping: TableMapping | None = None,
    *,
    strict: bool = False,
    progress: Progress = lambda n: None,
) -> None:
    """Add a table's items, or, if the draft has items, the table's facts about them.

    Args:
        draft: the catalog draft to extend.
        path: CSV, TSV, JSON lines, or Parquet (extra `graph`).
        mapping: assigns columns to item fields and predicates.
        strict: whether an unreadable cell is an error instead of an unknown value.
        progress: called with the number of rows since the last call.

    Raises:
        CatalogError: the file does not exist, is not UTF-8, lacks a column, or has invalid lines.
    """
    new_items = not len(draft)
    columns = TableColumns(mapping)
    if new_items and columns.genre is not None:
        draft.describe_genre(columns.genre)
    faults: list[str] = []
    first_line: dict[str, int] = {}
    unknown = UnknownCells(strict=strict or (mapping is not None and mapping.strict))
    facts = Facts(draft, unknown)
    join, n = Join(path.name, "the catalog", "items"), 0
    required = columns.required(with_title=new_items)
    for line, row in read_rows(path, faults, required=required, spelling=columns.spelling):
        n += 1
        if n % _PROGRESS_ROWS == 0:
            progress(_PROGRESS_ROWS)
        try:
            if new_items:
                item = parse_item(columns.item(row), unknown, line=line)
                if item.id in first_line:
                    raise ValueError(f"id {item.id!r} is already on line {first_line[item.id]}")
                first_line[item.id] = line
                place = draft.add_item(item.id, item.title, item.year, item.genres, item.aliases)
            else:
                known = join.find(draft.rows, _id_of(columns.item(row)))
                if known is None:
                    continue
                place = known
            facts.add(place, columns.facts(row, with_genre=not new_items), line)
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    raise_line_errors(path, faults)
    if not len(draft):
        raise CatalogError(
            f"{path} contains no items. Give at least one line with an id and a title."
        )
    facts.finish(path.name)
    if new_items:
        described = {predicate.name for predicate in draft.graph.predicates}
        draft.variants += [name for name in columns.variants if name in described]
    _warn_about_columns(draft, path, columns)
    if not new_items:
        record_join(draft, join, draft.ids)
    draft.domain = draft.domain or columns.domain
    draft.sources.append(file_source(path, columns.source))


def _warn_about_columns(draft: CatalogDraft, path: Path, columns: TableColumns) -> None:
    if columns.left_out:
        draft.warn(
            f"{path.name}: {len(columns.left_out)} columns beyond the first {_MOST_COLUMNS} are "
            "left out; name the columns to use in a mapping"
        )


def file_source(path: Path, said: SourceSection) -> Source:
    """Source entry of a file; its name is the one in the mapping or, without one, the file name."""
    return Source(said.name or path.name, sha256_file(path), said.license, said.attribution)


class TableColumns:
    """Assignment of a table's columns to item fields and predicates.

    Args:
        mapping: mapping of the user; None assigns columns by their names, including those of
            Amazon's metadata.

    Attributes:
        left_out: names of the columns beyond the first 200, which are not read without a mapping.
    """

    def __init__(self, mapping: TableMapping | None = None) -> None:
        mapping = _with_variants(mapping) if mapping else None
        self._given = mapping
        self._mapping = mapping
        self._by_name: dict[str, tuple[Column, Predicate]] = {}
        self.left_out: set[str] = set()
        self.source = mapping.source if mapping else SourceSection()
        described = mapping.predicates.get("genre") if mapping else None
        self.genre = described.predicate("genre") if described else None
        self._written = _written_names(mapping) if mapping else frozenset[str]()

    @property
    def variants(self) -> list[str]:
        """Predicates of the columns that distinguish variants, in column order."""
        if self._mapping is None:
            return [
                predicate.name
                for name, (_, predicate) in self._by_name.items()
                if is_variant_column(name)
            ]
        columns = self._mapping.items.variant or []
        by_column = {
            _names_of(column)[0]: name for name, column in self._mapping.predicates.items()
        }
        return [by_column[column] for column in columns]

    @property
    def mapped(self) -> bool:
        """Whether a mapping selects the columns."""
        return self._mapping is not None

    def spelling(self, name: str) -> str:
        """Lower-case spelling of a usual column name (`Title` -> `title`); other names are
        unchanged.
        """
        folded = name.strip().casefold()
        return folded if folded in _USUAL and name not in self._written else name

    def required(self, *, with_title: bool) -> list[tuple[str, ...]]:
        """For each column that a table must have, its possible names."""
        if self._mapping is None:
            ids = (*COLUMNS["id"], str(AMAZON.items.id))
            return [ids, COLUMNS["title"]] if with_title else [ids]
        items = self._mapping.items
        wanted = [_names(items.id, "id")]
        if with_title:
            wanted.append(_names(items.title, "title"))
        wanted += [(name,) for name in (items.year, items.aliases) if name]
        for column in self._mapping.predicates.values():
            names = tuple(_names_of(column))
            wanted.append((*names, *(name.partition(".")[0] for name in names)))
        return wanted

    @property
    def domain(self) -> str | None:
        """Domain that the mapping names; None without a mapping or domain."""
        return None if self._mapping is None else self._mapping.domain

    def item(self, row: Row) -> Row:
        """Return the cells of a row that contain fields of the item, by their names in
        `COLUMNS`.
        """
        if self._given is None and str(AMAZON.items.id) in row:
            self._mapping, self.source = AMAZON, AMAZON.source
        if self._mapping is None:
            return row
        items, genre = self._mapping.items, self._mapping.predicates.get("genre")
        renamed: dict[str, object] = {}
        for ours in ("id", "title", "year", "aliases"):
            theirs = getattr(items, ours)
            name = next((name for name in _names(theirs, ours) if name in row), None)
            if name is not None:
                renamed[ours] = row[name]
        if genre is not None:
            renamed["genres"] = _split(_cell(row, genre), genre.separator)
        return renamed

    def facts(self, row: Row, *, with_genre: bool) -> Iterator[tuple[Predicate, Column, object]]:
        """Yield (predicate, column, cell) for every column that is not a field of the item."""
        if self._mapping is not None:
            for name, column in self._mapping.predicates.items():
                if name != "genre" or with_genre:
                    yield self._described(name, column), column, _cell(row, column)
            return
        for name, cell in row.items():
            if with_genre and name in COLUMNS["genres"]:
                yield GENRE, Column(column=name), cell
            elif name not in _TAKEN and name != "decade":
                if name not in self._by_name:
                    if len(self._by_name) == _MOST_COLUMNS:
                        self.left_out.add(name)
                        continue
                    if not is_text(name):
                        raise ValueError(f"the key {name[:80]!r} has an unpaired surrogate")
                    self._by_name[name] = Column(column=name), predicate_by_name(name)
                column, predicate = self._by_name[name]
                yield predicate, column, cell

    def _described(self, name: str, column: Column) -> Predicate:
        if name not in self._by_name:
            self._by_name[name] = column, column.predicate(name)
        return self._by_name[name][1]


@dataclass
class Facts:
    """Adds cells to a draft as typed values or references to items.

    Attributes:
        unknown: counts the sentinels and unreadable values.
    """

    draft: CatalogDraft
    unknown: UnknownCells = field(default_factory=UnknownCells)
    _codes: dict[str, int] = field(default_factory=dict)
    _pending: list[tuple[int, int, str]] = field(default_factory=list)

    def add(self, row: int, cells: Iterator[tuple[Predicate, Column, object]], line: int) -> None:
        """Add the facts of one row.

        Raises:
            ValueError: a cell is not of its column's type, and `unknown` is strict.
        """
        for predicate, column, cell in cells:
            if cell is None or cell == "":
                continue
            name, allowed = predicate.name, column.skip_unreadable
            if isinstance(cell, dict | list) and _is_nested(cell):
                self.unknown.unreadable(name, "an object", line=line, allowed=True)
                continue
            texts = known_texts(
                _spelled(cell),
                name,
                self.unknown,
                line=line,
                separator=column.separator,
                allowed=allowed,
            )
            for text in texts:
                self.add_known(row, predicate, text, line, allowed=allowed)

    def add_known(
        self, row: int, predicate: Predicate, text: str, line: int, *, allowed: bool = False
    ) -> None:
        """Add one value; a sentinel or a value of a wrong type is only counted.

        Raises:
            ValueError: the text is not of the predicate's type, `unknown` is strict, and `allowed`
                is False.
        """
        if text in SENTINELS:
            self.unknown.sentinel(predicate.name)
            return
        try:
            self.add_text(row, predicate, text)
        except ValueError as error:
            self.unknown.unreadable(predicate.name, str(error), line=line, allowed=allowed)

    def add_text(self, row: int, predicate: Predicate, text: str) -> None:
        """Add one value.

        Raises:
            ValueError: the text is not of the predicate's type.
        """
        code = self._codes.get(predicate.name)
        if code is None:
            code = self._codes[predicate.name] = self.draft.graph.predicate(predicate)
        if predicate.type == "item":
            self._pending.append((row, code, text))
        else:
            self.draft.graph.add(row, code, canonical(text, predicate.type))

    def finish(self, name: str) -> None:
        """Resolve references to items, and add warnings about skipped values to the draft."""
        unknown: list[str] = []
        for row, code, text in self._pending:
            other = self.draft.rows.get(text)
            if other is None:
                unknown.append(text)
            else:
                self.draft.graph.add_item(row, code, other)
        if unknown:
            examples = " and ".join(map(repr, list(dict.fromkeys(unknown))[:2]))
            self.draft.warn(
                f"{name}: {len(unknown)} of {len(self._pending)} references to items match no "
                f"item and are left out, such as {examples}"
            )
        for warning in self.unknown.warnings(name):
            self.draft.warn(warning)
        self._pending.clear()


def _id_of(row: Row) -> str:
    cell = next((row[name] for name in COLUMNS["id"] if name in row), None)
    item_id = cell_text(cell, "id")
    if not item_id:
        raise ValueError("empty id")
    return item_id


def _with_variants(mapping: TableMapping) -> TableMapping:
    """The mapping with a predicate for every variant column that has none."""
    covered = {_names_of(column)[0] for column in mapping.predicates.values()}
    added = {
        predicate_by_name(column).name: Column(column=column)
        for column in mapping.items.variant or []
        if column not in covered
    }
    return mapping.model_copy(update={"predicates": {**mapping.predicates, **added}})


def _names_of(column: Column) -> list[str]:
    return column.column if isinstance(column.column, list) else [column.column]


def _names(given: str | None, column: str) -> tuple[str, ...]:
    return (given,) if given is not None else COLUMNS[column]


def _written_names(mapping: TableMapping) -> frozenset[str]:
    """Columns that a mapping names; they match case-sensitively."""
    items = mapping.items
    names = {name for name in (items.id, items.title, items.year, items.aliases) if name}
    for column in mapping.predicates.values():
        names.update(_names_of(column))
        names.update(name.partition(".")[0] for name in _names_of(column))
    return frozenset(names)


def _cell(row: Row, column: Column) -> object:
    """Cell of the first of the column's names that has a value; `a.b` is key b of object a."""
    for name in _names_of(column):
        cell = row.get(name)
        if cell is None and "." in name:
            outer, _, inner = name.partition(".")
            within = row.get(outer)
            cell = within.get(inner) if isinstance(within, dict) else None
        if cell not in (None, "", []):
            return cell
    return None


def _split(cell: object, separator: str) -> object:
    """The values of a cell as a list; the cell itself if it cannot be read."""
    try:
        return list(cell_texts(cell, "genre", separator=separator))
    except ValueError:
        return cell


def _is_nested(cell: dict[str, object] | list[object]) -> bool:
    return isinstance(cell, dict) or any(isinstance(part, dict | list) for part in cell)


def _spelled(cell: object) -> object:
    """Convert the Boolean values of a cell to words."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, list):
        return [
            str(part).lower() if isinstance(part, bool) else part
            for part in cell
            if part is not None
        ]
    return cell
