"""Catalog items and the triples of their year, decade and genres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditkit.catalog.graph.knowledge_graph import Predicate

__all__ = ["ITEM_PREDICATES", "LAST_YEAR", "CatalogItem", "item_triples"]


LAST_YEAR = 9999


ITEM_PREDICATES = (
    Predicate("year", "functional", type="integer"),
    Predicate("genre", "closed"),
    Predicate("decade", "functional"),
)


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """One item; `title` does not contain the year, `aliases` are its other titles."""

    id: str
    title: str
    year: int | None = None
    genres: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def display_title(self) -> str:
        """The title as prompts and reports show it: `Toy Story (1995)`."""
        return self.title if self.year is None else f"{self.title} ({self.year})"


def item_triples(items: Sequence[CatalogItem]) -> list[tuple[str, str, str]]:
    """Triples of the items' year, decade (`1990s`) and genres."""
    triples = [(item.id, "genre", genre) for item in items for genre in item.genres]
    for item in items:
        if item.year is not None:
            triples.append((item.id, "year", str(item.year)))
            triples.append((item.id, "decade", f"{item.year // 10 * 10}s"))
    return triples
