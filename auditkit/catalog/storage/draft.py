"""A catalog under construction: columns of items, and the graph's triples as codes."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from auditkit.catalog.graph.builder import EncodedGraph, GraphBuilder, is_text
from auditkit.catalog.graph.schema import LinkState, Predicate
from auditkit.catalog.items import ITEM_PREDICATES, LAST_YEAR
from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import Linking, TitleLinker
from auditkit.errors import CatalogError

__all__ = ["CatalogDraft", "Source", "content_sha256"]


@dataclass(frozen=True)
class Source:
    """A source of the catalog; `sha256` is set only for files."""

    name: str
    sha256: str | None = None
    license: str | None = None
    attribution: str | None = None

    def as_json(self) -> dict[str, str]:
        """The fields that have a value."""
        return {key: value for key, value in asdict(self).items() if value is not None}


class CatalogDraft:
    """Items and facts of the sources read so far.

    Attributes:
        ids, titles, years: columns of the items in catalog order; year 0 if unknown.
        aliases: further titles, by row.
        rows: catalog row of each id.
        graph: the triples.
        year, genre, decade: codes of these predicates.
        linked: rows of the items with an entity or facts from an external source; None if there is
            no such source.
        variants: predicates whose values distinguish the variants of a product.
        link, agreement: status and genre agreement of the link to an external graph.
        domain: name of the domain pack; None for the neutral pack.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.years = array("h")
        self.aliases: dict[int, tuple[str, ...]] = {}
        self.rows: dict[str, int] = {}
        self.graph = GraphBuilder()
        self.linked: set[int] | None = None
        self.link: LinkState = "none"
        self.agreement: float | None = None
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.sources: list[Source] = []
        self.variants: list[str] = []
        self.year, self.genre, self.decade = (self.graph.predicate(p) for p in ITEM_PREDICATES)
        self.domain: str | None = None
        self._decades: dict[int, str] = {}
        self._index: tuple[int, TitleIndex] | None = None

    def add_item(
        self,
        item_id: str,
        title: str,
        year: int | None = None,
        genres: Sequence[str] = (),
        aliases: Sequence[str] = (),
    ) -> int:
        """Add one item with its year, decade and genres, and return its row.

        Raises:
            CatalogError: the id occurs twice, the year is out of range, or a text has a lone
                surrogate.
        """
        if year is not None and not 0 <= year <= LAST_YEAR:
            raise CatalogError(
                f"the item {item_id!r} has the year {year}. Give a year from 1 to {LAST_YEAR}, or "
                "no year."
            )
        for text in (item_id, title, *genres, *aliases):
            if not is_text(text):
                raise CatalogError(f"{text[:80]!r} has an unpaired surrogate. Correct the text.")
        row = self.rows.setdefault(item_id, len(self.ids))
        if row != len(self.ids):
            raise CatalogError(f"the item id {item_id!r} occurs twice. Give every item its own id.")
        self.ids.append(item_id)
        self.titles.append(title)
        self.years.append(year or 0)
        if others := dict.fromkeys(alias for alias in aliases if alias and alias != title):
            self.aliases[row] = tuple(others)
        for genre in genres:
            self.graph.add(row, self.genre, genre)
        if year:
            self.graph.add(row, self.year, str(year))
            decade = self._decades.setdefault(year, f"{year // 10 * 10}s")
            self.graph.add(row, self.decade, decade)
        return row

    def describe_genre(self, predicate: Predicate) -> None:
        """Set the type and world of the predicate `genre`; the default is closed strings.

        Raises:
            CatalogError: the draft already has items.
        """
        if len(self):
            raise CatalogError(
                "the predicate `genre` cannot be described after items were added. Describe it in "
                "the mapping of the items."
            )
        self.graph.predicates[self.genre] = predicate

    def warn(self, text: str) -> None:
        """Add a warning for the build report and for every audit."""
        self.warnings.append(text)

    def linker(self, linking: Linking = "auto") -> TitleLinker:
        """Return a title linker for the items added so far; it is rebuilt after further items were
        added.
        """
        if self._index is None or self._index[0] != len(self):
            years = [year or None for year in self.years]
            self._index = len(self), TitleIndex.build(self.titles, years, self.aliases)
        return TitleLinker(self.ids, self._index[1], linking=linking)

    def __len__(self) -> int:
        return len(self.ids)


def content_sha256(draft: CatalogDraft, encoded: EncodedGraph) -> str:
    """SHA-256 over the items, aliases, predicates, terms and sorted triples."""
    digest = hashlib.sha256()
    for row, (item_id, title, year) in enumerate(
        zip(draft.ids, draft.titles, draft.years, strict=True)
    ):
        digest.update(_line(item_id, title, year, *draft.aliases.get(row, ())))
    for p in encoded.predicates:
        digest.update(_line(p.name, p.world, p.type, p.labeled, p.inverse_of))
    if draft.variants:
        digest.update(_line("variants", *draft.variants))
    digest.update(_line(*encoded.starts))
    for text in encoded.texts:
        digest.update(_line(text))
    digest.update(encoded.keys.astype("<i8").tobytes())
    return digest.hexdigest()


def _line(*cells: object) -> bytes:
    """Encode cells as bytes, so that different cells give different bytes."""
    return "".join(f"{len(text)}:{text}" for text in map(str, cells)).encode("utf-8") + b"\n"
