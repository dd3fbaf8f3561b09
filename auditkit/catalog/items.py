"""Catalog items and the triples of their year, decade and genres."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import overload

from auditkit.catalog.graph.builder import EncodedGraph, GraphBuilder
from auditkit.catalog.graph.schema import Predicate

__all__ = [
    "ITEM_PREDICATES",
    "LAST_YEAR",
    "CatalogItem",
    "ItemColumns",
    "encode_items",
    "item_triples",
]


LAST_YEAR = 9999


ITEM_PREDICATES = (
    Predicate("year", "functional", type="integer"),
    Predicate("genre", "closed"),
    Predicate("decade", "functional"),
)


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """One item. `title` does not include the year; `aliases` are further titles of the item."""

    id: str
    title: str
    year: int | None = None
    genres: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def display_title(self) -> str:
        """The title as prompts and reports show it: `Toy Story (1995)`."""
        return self.title if self.year is None else f"{self.title} ({self.year})"


@dataclass(frozen=True, eq=False)
class ItemColumns(Sequence[CatalogItem]):
    """Items stored by column, for large catalogs; an item is created when it is read.

    Attributes:
        ids: item ids.
        titles: titles, without the year.
        years: years; None if unknown.
        genres: function from a row to its genres.
        aliases: further titles, for the rows that have any.
    """

    ids: Sequence[str]
    titles: Sequence[str]
    years: Sequence[int | None]
    genres: Callable[[int], tuple[str, ...]] = lambda row: ()
    aliases: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[CatalogItem]:
        rows = range(len(self.ids))
        aliases = map(self.aliases.get, rows, repeat(()))
        genres = map(self.genres, rows)
        return map(CatalogItem, self.ids, self.titles, self.years, genres, aliases)

    @overload
    def __getitem__(self, row: int) -> CatalogItem: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[CatalogItem, ...]: ...
    def __getitem__(self, row: int | slice) -> CatalogItem | tuple[CatalogItem, ...]:
        rows = range(len(self.ids))[row]  # also checks the bounds of negative rows
        if isinstance(rows, range):
            return tuple(map(self.__getitem__, rows))
        return CatalogItem(
            self.ids[rows],
            self.titles[rows],
            self.years[rows],
            self.genres(rows),
            self.aliases.get(rows, ()),
        )


def item_triples(items: Sequence[CatalogItem]) -> list[tuple[str, str, str]]:
    """Triples of the items' year, decade (`1990s`) and genres."""
    triples = [(item.id, "genre", genre) for item in items for genre in item.genres]
    for item in items:
        if item.year is not None:
            triples.append((item.id, "year", str(item.year)))
            triples.append((item.id, "decade", f"{item.year // 10 * 10}s"))
    return triples


def encode_items(items: Sequence[CatalogItem]) -> EncodedGraph:
    """Return the triples of `item_triples` as codes, without creating an object per triple."""
    builder = GraphBuilder()
    codes = {predicate.name: builder.predicate(predicate) for predicate in ITEM_PREDICATES}
    for row, item in enumerate(items):
        for genre in item.genres:
            builder.add(row, codes["genre"], genre)
        if item.year is not None:
            builder.add(row, codes["year"], str(item.year))
            builder.add(row, codes["decade"], f"{item.year // 10 * 10}s")
    return builder.encode(len(items))
