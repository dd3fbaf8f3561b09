"""The items that a recommender may name, with title linking and the knowledge graph.

Item ids are strings. The first of several items with the same title and year is preferred, so the
order of the items matters. `load_catalog` opens catalogs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from auditkit.catalog.graph.knowledge_graph import KnowledgeGraph
from auditkit.catalog.items import ITEM_PREDICATES, CatalogItem, ItemColumns, item_triples
from auditkit.catalog.linking.bylines import CREATOR_PREDICATES, Byline, bylines, is_by
from auditkit.catalog.linking.item_codes import LEAST_DIGITS, Coded, code_shape, coded
from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import EXACT, Link, Linking, TitleLinker
from auditkit.errors import CatalogError
from auditkit.serialization.canonical_json import json_list, sha256_text

__all__ = ["Catalog"]

_N_SHAPES = 1_000
_CHUNK = 1 << 14
_MOST_LINKS = 1 << 17  # links that are kept


@dataclass(frozen=True, eq=False)
class Catalog:
    """The items of a catalog, their title linker and their knowledge graph.

    Attributes:
        items: the items in catalog order; `ItemColumns` for a built file.
        name: name of the catalog in messages and reports.
        build_graph: builds the knowledge graph on first use; by default the graph contains only the
            year, decade and genres of the items.
        linking: strictness of title linking, see `TitleLinker`.
        content_sha256: SHA-256 over the items and the graph of a built file.
        index_folder: folder that stores the title index of a built file between runs.
        variants: predicates whose values distinguish the variants of a product, such as color.
        domain: name or file of the domain pack (`auditkit.domains`); None for the neutral one.

    Raises:
        CatalogError: there are no items, or an id occurs twice.
    """

    items: Sequence[CatalogItem]
    name: str = "catalog"
    build_graph: Callable[[Sequence[CatalogItem]], KnowledgeGraph] | None = None
    linking: Linking = "auto"
    content_sha256: str | None = None
    index_folder: Path | None = None
    variants: tuple[str, ...] = ()
    domain: str | None = None

    def __post_init__(self) -> None:
        if not self.items:
            raise CatalogError(f"the catalog {self.name} has no items. Give at least one item.")
        if len(self.index) != len(self.items):
            twice = next(key for row, key in enumerate(self.ids) if self.index[key] != row)
            raise CatalogError(
                f"the item id {twice!r} occurs twice in {self.name}. Give every item its own id."
            )

    @cached_property
    def ids(self) -> Sequence[str]:
        """Item ids, in catalog order."""
        items = self.items
        return items.ids if isinstance(items, ItemColumns) else [item.id for item in items]

    @cached_property
    def titles(self) -> Sequence[str]:
        """Titles of the items, in catalog order, without the year."""
        items = self.items
        return items.titles if isinstance(items, ItemColumns) else [item.title for item in items]

    @cached_property
    def years(self) -> Sequence[int | None]:
        """Years of the items, in catalog order; None if unknown."""
        items = self.items
        return items.years if isinstance(items, ItemColumns) else [item.year for item in items]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position in `items` of each item id."""
        return {item_id: row for row, item_id in enumerate(self.ids)}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all items in catalog order; for a built file, also over its graph."""
        if self.content_sha256 is not None:
            return self.content_sha256
        chunks = (self.items[at : at + _CHUNK] for at in range(0, len(self.items), _CHUNK))
        return sha256_text(json_list(list(map(_hashed, chunk)) for chunk in chunks))

    @cached_property
    def linker(self) -> TitleLinker:
        """The title linker, which is built on first use; the title index of a built file is stored
        next to that file.
        """
        index = None
        if self.index_folder is not None:
            index = TitleIndex.open(self.index_folder, source=self.fingerprint)
        if index is None:
            index = TitleIndex.build(
                self.titles,
                self.years,
                {row: item.aliases for row, item in enumerate(self.items) if item.aliases},
                [self._values_by_row(predicate) for predicate in self.variants],
            )
            if self.index_folder is not None:
                # If the folder is not writable, the index is only built again next time.
                with contextlib.suppress(OSError):
                    index.save(self.index_folder, source=self.fingerprint)
        return TitleLinker(self.ids, index, linking=self.linking)

    @cached_property
    def graph(self) -> KnowledgeGraph:
        """Facts about the items: year, decade, genre, and the further facts of the source."""
        if self.build_graph is not None:
            return self.build_graph(self.items)
        return KnowledgeGraph.from_triples(self.ids, ITEM_PREDICATES, item_triples(self.items))

    def _values_by_row(self, predicate: str) -> dict[int, str]:
        values = {
            row: self.graph.values(item_id, predicate) for row, item_id in enumerate(self.ids)
        }
        return {row: texts[0] for row, texts in values.items() if texts}

    def link(self, titles: Sequence[str]) -> list[Link]:
        """Link each written title to an item; return one `Link` per title, in order.

        A title that was written with its creator ("Dune by Frank Herbert") is linked if the
        knowledge graph lists this creator for the item. A text that is not a title is linked by an
        item id that it contains. Links are cached by title, because popular items occur in many
        lists.
        """
        new = list(dict.fromkeys(title for title in titles if title not in self._links))
        found = dict(zip(new, self._linked(new), strict=True))
        links = [found.get(title) or self._links[title] for title in titles]
        if len(self._links) + len(found) > _MOST_LINKS:
            self._links.clear()
        self._links.update(found)
        return links

    @cached_property
    def _links(self) -> dict[str, Link]:
        return {}

    def _linked(self, titles: Sequence[str]) -> list[Link]:
        links = self._by_creators(self.linker.link(titles))
        coded_texts = [
            (number, one)
            for number, link in enumerate(links)
            if link.item_id is None and link.reason in ("none", "near_miss", "year_conflict")
            if (one := next(iter(coded(link.title, self.index)), None)) is not None
        ]
        rests = self.linker.link([one.rest for _, one in coded_texts], near_misses=False)
        for (number, one), rest in zip(coded_texts, rests, strict=True):
            links[number] = self._by_code(links[number], one, rest)
        return links

    def _by_code(self, link: Link, one: Coded, rest: Link) -> Link:
        """Link a text by the code in it, unless the words next to the code name another item."""
        named = rest.item_id is not None and rest.reason in EXACT
        if one.code.isdigit() and len(one.code) < LEAST_DIGITS and named:
            return replace(rest, title=link.title)  # the number may be a rank
        if one.item_id is None:
            invented = code_shape(one.code) in self.id_shapes
            known = named and one.foreign and not invented
            return replace(rest, title=link.title) if known else link
        if named and one.item_id not in rest.candidates:
            return Link(link.title, None, "ambiguous", (one.item_id, *rest.candidates[:1]))
        return Link(link.title, one.item_id, "id", (one.item_id,))

    @cached_property
    def id_shapes(self) -> frozenset[str]:
        """Shapes of about 1,000 of the item ids, such as `AAA-99999` (see `code_shape`)."""
        step = max(1, len(self.ids) // _N_SHAPES)
        return frozenset(code_shape(self.ids[row]) for row in range(0, len(self.ids), step))

    def _by_creators(self, links: list[Link]) -> list[Link]:
        splits = {
            number: found
            for number, link in enumerate(links)
            if link.item_id is None and (found := bylines(link.title))
        }
        # The graph is built only if a title that was not found may contain its creator.
        if splits and self._creator_predicates:
            for number, link in self._by_creator(splits).items():
                links[number] = replace(link, title=links[number].title)
        return links

    @cached_property
    def _creator_predicates(self) -> tuple[str, ...]:
        return tuple(name for name in CREATOR_PREDICATES if name in self.graph.codes)

    def _by_creator(self, splits: Mapping[int, Sequence[Byline]]) -> dict[int, Link]:
        """Link titles that are written together with the creator of the item."""
        parts = [(number, byline) for number, found in splits.items() for byline in found]
        named = self.linker.link([byline.title for _, byline in parts], near_misses=False)
        links: dict[int, Link] = {}
        for (number, byline), link in zip(parts, named, strict=True):
            if number in links or (link.item_id is None and link.reason != "ambiguous"):
                continue
            ids = [id_ for id_ in link.candidates if is_by(byline.creator, self._creators(id_))]
            if len(ids) == 1 or (ids and link.item_id is not None):
                links[number] = Link(link.title, ids[0], "creator", tuple(ids))
        return links

    def _creators(self, item_id: str) -> list[str]:
        return [
            name
            for predicate in self._creator_predicates
            for name in self.graph.values(item_id, predicate)
        ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, item_id: str) -> CatalogItem:
        return self.items[self.index[item_id]]


def _hashed(item: CatalogItem) -> list[object]:
    """The fields of an item that are part of the catalog's fingerprint."""
    return [item.id, item.title, item.year, list(item.genres), *filter(None, [item.aliases])]
