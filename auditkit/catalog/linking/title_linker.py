"""Link written titles to catalog items (docs/explain/hallucination.md, Titles).

Normalized keys are matched exactly in a fixed order of stages. The first stage that finds an entry
ends the search, and a year rule decides. There is no similarity threshold, because every threshold
that tolerates a spelling error also links sequels and remakes. Instead, spelling is corrected word
by word, mostly in tokens that are not words, and never in numbers. Every hash match is verified by
comparing the key, so a collision cannot cause a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.linking.letter_counts import TitleScan
from auditkit.catalog.linking.near_misses import near_entries
from auditkit.catalog.linking.normalize import (
    ParsedTitle,
    clean_query,
    full_key,
    joined_key,
    parse_title,
    sorted_key,
)
from auditkit.catalog.linking.readings import articles_mended, readings
from auditkit.catalog.linking.short_titles import rows_of_short_title, rows_with_rare_word
from auditkit.catalog.linking.spelling_repair import MAX_TOKENS, repairs, tokens_to_look_up
from auditkit.catalog.linking.text_hashing import HashTable, text_hashes
from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.variants import VariantIndex
from auditkit.catalog.linking.vocabulary import english_words
from auditkit.catalog.linking.whole_titles import NearbyQuery, nearest_entries

__all__ = ["EXACT", "LINKED", "Link", "LinkReason", "Linking", "TitleLinker"]

LinkReason = Literal[
    "exact", "alias", "paren", "subtitle_drop", "word_order", "spacing", "typo", "year_off",
    "creator", "id", "duplicate_title", "variant", "ambiguous_variant", "ambiguous",
    "year_conflict", "near_miss", "none", "empty",
]  # fmt: skip
LINKED: frozenset[LinkReason] = frozenset(
    (
        "exact", "alias", "paren", "subtitle_drop", "word_order", "spacing", "typo", "year_off",
        "creator", "id", "duplicate_title", "variant",
    )
)  # fmt: skip
# Links without a repaired word or year: what was written names its item, or several variants.
EXACT: frozenset[LinkReason] = frozenset(
    (
        "exact", "alias", "paren", "word_order", "spacing", "creator", "id", "duplicate_title",
        "variant", "ambiguous_variant",
    )
)  # fmt: skip
Linking = Literal["auto", "loose", "strict"]
MAX_YEARS_OFF = 2
MAX_CANDIDATES = 10
STRICT_FROM = 100_000
_ARTICLES = ("the", "a", "an")
_SHORT_TITLE = 4
_LONG_TITLE = 7
_ROBUST_TITLE = 9  # letters; a shorter word that is two years off is likely another title
_GLUED = 6
_LAST_AFTER_COMMA = re.compile(r",\s*\w{2,5}$")


@dataclass(frozen=True)
class Link:
    """Result for one written title.

    Attributes:
        title: the written text.
        item_id: the linked item; None if the title is ambiguous or has no match.
        reason: one of `LINKED` if the title was linked; otherwise `ambiguous_variant` for the short
            name of several variants or products, `ambiguous`, `year_conflict`, `near_miss`, `none`
            or `empty`.
        candidates: item ids, best first, at most 10: all ids of the linked entry, or one id per
            possible entry.
    """

    title: str
    item_id: str | None
    reason: LinkReason
    candidates: tuple[str, ...] = ()


@dataclass(slots=True)
class _Query:
    """One title, parsed for the stages."""

    title: str
    number: int
    parts: ParsedTitle
    text: str
    key: str
    absent: int | None

    @property
    def tokens(self) -> list[str]:
        return [] if self.key.startswith("raw:") else self.key.split(" ")


class _Found(NamedTuple):
    """Entries that a stage found, and whether each was found by its main title."""

    entries: dict[int, bool]
    year: int | None
    reason: LinkReason


class _Stage(NamedTuple):
    """A stage: the keys that a query looks up in `table`, and how to verify a found row."""

    reason: LinkReason
    table: HashTable
    keys: Callable[[_Query], Iterable[str]]
    key_of_row: Callable[[str], str] = str
    ignores_year: bool = False


class TitleLinker:
    """Links titles to the items of one catalog.

    Args:
        ids: item ids in catalog order.
        index: index of the catalog's titles.
        linking: `loose` accepts a corrected title whose year is up to two years off; `strict`
            requires an equal year, and at least seven letters for a corrected one-word title
            without a year; `auto` is strict for 100,000 entries or more.
    """

    def __init__(self, ids: Sequence[str], index: TitleIndex, *, linking: Linking = "auto") -> None:
        self.ids, self.index = ids, index
        self.strict = linking == "strict" or (linking == "auto" and index.n_entries >= STRICT_FROM)
        self._scan = TitleScan(index)
        self._stages = (
            _Stage("exact", index.full, _with_year_left_in, ignores_year=True),
            _Stage("exact", index.full, lambda query: [query.key]),
            _Stage("paren", index.full, _with_parenthesis),
            _Stage("subtitle_drop", index.prefix, lambda query: [query.key]),
            _Stage("word_order", index.ordered, _in_order, sorted_key),
            _Stage("spacing", index.joined, _without_blanks, joined_key),
            _Stage("typo", index.full, self._small_words_mended),
        )

    def item_ids_of(self, entry: int) -> tuple[str, ...]:
        """Item ids of one entry, in catalog order."""
        return tuple(self.ids[row] for row in self.index.members(entry).tolist())

    def link(
        self,
        titles: Sequence[str],
        *,
        without: Sequence[int] | None = None,
        near_misses: bool = True,
    ) -> list[Link]:
        """Link many titles in one pass.

        Args:
            titles: texts as the recommender wrote them.
            without: for every title, the index of one entry that is hidden together with its words;
                used by the self-check.
            near_misses: whether to search for near misses; False is faster and reports them as
                `none`.

        Returns:
            One `Link` per title, in order.
        """
        queries = [
            self._query(title, number, None if without is None else without[number])
            for number, title in enumerate(titles)
        ]
        links: dict[int, Link] = {
            query.number: Link(query.title, None, "empty") for query in queries if not query.text
        }
        for stage in self._stages:
            left = [query for query in queries if query.number not in links]
            for query, found in self._look_up(left, stage):
                links[query.number] = self._decide(query, found)
        conflicts: set[int] = set()  # repaired to a title of another year: the next may do better
        for repaired in (self._products, self._repaired, self._nearest):
            done = links.keys() - conflicts
            left = [query for query in queries if query.number not in done]
            for query, link in repaired(left):
                links[query.number] = self._with_stated_size(query, link)
                if link.reason == "year_conflict":
                    conflicts.add(query.number)
        left = [query for query in queries if query.number not in links]
        near: list[list[int]] = [[] for _ in left]
        if near_misses:
            near = near_entries(self.index, [query.key for query in left])
        for query, entries in zip(left, near, strict=True):
            ids = self._first_ids([entry for entry in entries if entry != query.absent])
            links[query.number] = Link(query.title, None, "near_miss" if ids else "none", ids)
        return [links[number] for number in range(len(queries))]

    def link_texts(self, keys: Sequence[str]) -> list[tuple[int, ...]]:
        """Return, for each full key, the entries with this main title, alias or prefix or, if there
        are none, the variants of the product with this name.
        """
        found = self._collect((self.index.full, self.index.prefix), keys, str)
        linked = [tuple(sorted(found.get(number, ()))) for number in range(len(keys))]
        if self.index.variants is None:
            return linked
        left = [number for number, entries in enumerate(linked) if not entries]
        rows = self.index.variants.of_bases([keys[number] for number in left])
        for number, variants in zip(left, rows, strict=True):
            linked[number] = tuple(np.unique(self.entry_of[variants]).tolist())
        return linked

    def _query(self, title: str, number: int, absent: int | None) -> _Query:
        text = clean_query(title)
        parts = parse_title(text)
        if self.index.variants is not None and parts.alias:  # brackets hold values, not aliases
            parts = parts._replace(core=f"{parts.core} {parts.alias}", alias=None)
        return _Query(title, number, parts, text, full_key(parts.core) if text else "", absent)

    def _look_up(self, queries: Sequence[_Query], stage: _Stage) -> Iterator[tuple[_Query, _Found]]:
        """Yield the queries that match in a stage; of several keys of a query, the first match
        counts.
        """
        queried = [(query, key) for query in queries for key in stage.keys(query) if key]
        found = self._collect((stage.table,), [key for _, key in queried], stage.key_of_row)
        done: set[int] = set()
        for number, entries in sorted(found.items()):
            query, _ = queried[number]
            entries.pop(-1 if query.absent is None else query.absent, None)
            if not stage.ignores_year:
                self._drop_undated(query, entries)
            if entries and query.number not in done:
                done.add(query.number)
                yield (
                    query,
                    _Found(entries, None if stage.ignores_year else query.parts.year, stage.reason),
                )

    def _drop_undated(self, query: _Query, entries: dict[int, bool]) -> None:
        """Drop entries without a year if the query's year was a bare number after the title."""
        if query.parts.year is not None and not query.parts.bracketed:
            for entry in [entry for entry in entries if not self.index.years[entry]]:
                del entries[entry]

    def _collect(
        self,
        tables: Sequence[HashTable],
        keys: Sequence[str],
        key_of_row: Callable[[str], str],
    ) -> dict[int, dict[int, bool]]:
        """The entries with key keys[i] by i, each False if only an alias has the key."""
        found: dict[int, dict[int, bool]] = {}
        hashes = text_hashes(keys)
        for table in tables if keys else ():
            numbers, rows = table.find(hashes)
            for number, row, key in zip(
                numbers.tolist(), rows.tolist(), self.index.keys.texts(rows), strict=True
            ):
                if key_of_row(key) == keys[number]:
                    entry = int(self.index.entry_of[row])
                    entries = found.setdefault(number, {})
                    entries[entry] = entries.get(entry, False) or not self.index.is_alias(row)
        return found

    def _decide(self, query: _Query, found: _Found) -> Link:
        """Apply the year rule to what a stage found."""
        off = {entry: self._years_off(entry, found.year) for entry in sorted(found.entries)}
        nearest = min(off.values())
        if nearest > MAX_YEARS_OFF:
            return Link(query.title, None, "year_conflict", self._first_ids(off))
        kept = [entry for entry in off if found.year is None or off[entry] == nearest]
        if len(kept) > 1:
            return Link(query.title, None, "ambiguous", self._first_ids(kept))
        reason = found.reason
        if nearest:
            reason = "year_off"
        elif reason == "exact" and not found.entries[kept[0]]:
            reason = "alias"
        return self._of_items(query.title, self.index.members(kept[0]).tolist(), reason)

    def _of_items(self, title: str, rows: Sequence[int], reason: LinkReason) -> Link:
        """The link of a title that names all these items (catalog rows)."""
        ids = tuple(self.ids[row] for row in rows[:MAX_CANDIDATES])
        variants = self.index.variants
        if variants is not None and variants.differ(rows):
            return Link(title, None, "ambiguous_variant", ids)
        if len(rows) > 1 and reason in ("exact", "alias", "variant"):
            reason = "duplicate_title"
        return Link(title, ids[0], reason, ids)

    def _products(self, queries: Sequence[_Query]) -> Iterator[tuple[_Query, Link]]:
        """Link titles of products that omit a variant or words of a long title."""
        variants = self.index.variants
        if variants is None:
            return
        for query in queries:
            key = full_key(query.text)
            match = variants.find(key, self._variant_numbers)
            others = match.others if match is not None else variants.of_unknown_value(key)
            if others:  # there is no variant with the stated values
                ids = tuple(self.ids[row] for row in others[:MAX_CANDIDATES])
                yield query, Link(query.title, None, "near_miss", ids)
                continue
            hidden = () if query.absent is None else self.index.members(query.absent)
            found = match.rows if match is not None else self._rows_of_short_title(variants, key)
            rows = [row for row in found if row not in hidden]
            if not rows:
                continue
            if variants.of_one_base(rows):
                yield query, self._of_items(query.title, rows, "variant")
            else:
                ids = tuple(self.ids[row] for row in rows[:MAX_CANDIDATES])
                yield query, Link(query.title, None, "ambiguous_variant", ids)

    def _rows_of_short_title(self, variants: VariantIndex, key: str) -> Sequence[int]:
        """Items of whose title a text is a part, possibly without variant values in the middle."""
        whole = rows_of_short_title(self.index, key)
        near = rows_with_rare_word(self.index, key)
        shortened = variants.shortened(key, self._variant_numbers, near)
        return sorted({*whole, *shortened.tolist()})

    def _with_stated_size(self, query: _Query, link: Link) -> Link:
        """Return the link, or a near miss if the correction would change a size or another short
        value.
        """
        variants = self.index.variants
        if variants is None or link.reason != "typo" or link.item_id is None:
            return link
        if variants.has_short_values(self._row_of[link.item_id], full_key(query.text)):
            return link
        return Link(query.title, None, "near_miss", link.candidates)

    @cached_property
    def entry_of(self) -> NDArray[np.int32]:
        """Entry of every item, int32 [n items]."""
        index = self.index
        entries = np.empty(len(self.ids), dtype=np.int32)
        entries[index.items] = np.repeat(np.arange(index.n_entries), np.diff(index.items_from))
        return entries

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.ids)}

    @cached_property
    def _variant_numbers(self) -> dict[str, int]:
        return self.index.variants.numbers() if self.index.variants is not None else {}

    def _years_off(self, entry: int, year: int | None) -> int:
        known = int(self.index.years[entry])
        return 0 if not known or year is None else abs(known - year)

    def _first_ids(self, entries: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.item_ids_of(entry)[0] for entry in list(entries)[:MAX_CANDIDATES])

    def _repaired(self, queries: Sequence[_Query]) -> Iterator[tuple[_Query, Link]]:
        """Stages 7 and 8: the titles with the fewest edits, if the year rule accepts them."""
        known = self._known_words(queries)
        strange, words = list[str](), list[str]()
        for query in queries:
            for tokens, group in zip(
                tokens_to_look_up(query.tokens, known[query.number]), (strange, words), strict=True
            ):
                group += tokens
        near = self.index.vocabulary.neighbors(words, within=1)
        near |= self.index.vocabulary.neighbors(strange, within=2)
        queried = [
            (query, repair)
            for query in queries
            for repair in dict.fromkeys(repairs(query.tokens, known[query.number], near))
        ]
        keys = [repair.key for _, repair in queried]
        found = self._collect((self.index.full, self.index.prefix), keys, str)
        best: dict[int, tuple[int, dict[int, bool]]] = {}
        shortest: dict[int, str] = {}
        for number, entries in sorted(found.items()):
            query, repair = queried[number]
            entries.pop(-1 if query.absent is None else query.absent, None)
            self._drop_undated(query, entries)
            if not entries:
                continue
            edits, so_far = best.get(query.number, (repair.edits, {}))
            if repair.edits < edits:
                edits, so_far = repair.edits, {}
            if repair.edits == edits:
                best[query.number] = (edits, {**so_far, **entries})
                known_key = shortest.get(query.number, repair.key) if so_far else repair.key
                shortest[query.number] = min(known_key, repair.key, key=len)
        for query in queries:
            if query.number in best:
                edits, entries = best[query.number]
                link = self._decide_repair(query, entries, edits, shortest[query.number])
                if link is not None:
                    yield query, link

    def _nearest(self, queries: Sequence[_Query]) -> Iterator[tuple[_Query, Link]]:
        """Stage 9: link to the single title that is nearly equal to the text; see
        `whole_titles`.
        """
        asked = [query for query in queries if 0 < len(query.tokens) <= MAX_TOKENS]
        nearby = [
            NearbyQuery(
                readings(
                    query.parts.core,
                    query.tokens,
                    dated=query.parts.year is not None,
                    after_comma=_ends_after_comma(query),
                ),
                query.parts.year,
                query.absent,
            )
            for query in asked
        ]
        for query, entries in zip(asked, nearest_entries(self._scan, nearby), strict=True):
            if entries:
                found = _Found(dict.fromkeys(entries, True), query.parts.year, "typo")
                yield query, self._decide(query, found)

    def _decide_repair(
        self, query: _Query, entries: dict[int, bool], edits: int, title: str
    ) -> Link | None:
        """Apply the year rule and the rules for corrected titles; None rejects the correction."""
        year = query.parts.year
        link = self._decide(query, _Found(entries, year, "typo"))
        if link.item_id is None:
            return link
        entry = min(entries, key=lambda e: (self._years_off(e, year), e))
        exact_year = year is not None and int(self.index.years[entry]) == year
        if self.strict and year is not None and not exact_year and self.index.years[entry]:
            return None
        tokens = query.tokens
        if len(tokens) == 1:
            if self._years_off(entry, year) > 1 and len(title) < _ROBUST_TITLE:
                return None
            if len(title) <= _SHORT_TITLE and not (exact_year and title[0] == tokens[0][0]):
                return None
            if self.strict and year is None and (len(title) < _LONG_TITLE or edits > 1):
                return None
        return link

    def _small_words_mended(self, query: _Query) -> Iterator[str]:
        """Keys in which an article or `and` is corrected that was misspelled as a non-word, as in
        `Cure, Teh`.
        """
        for token, key in articles_mended(
            query.tokens,
            dated=query.parts.year is not None,
            after_comma=_ends_after_comma(query),
        ):
            if token not in english_words() and self.index.vocabulary.rows([token])[0] < 0:
                yield key

    def _known_words(self, queries: Sequence[_Query]) -> dict[int, Callable[[str], bool]]:
        """For every query, a function that tells whether a token is a word.

        The words of the query's hidden entry do not count.
        """
        tokens = list(dict.fromkeys(token for query in queries for token in query.tokens))
        rows = dict(zip(tokens, self.index.vocabulary.rows(tokens).tolist(), strict=True))
        counts = self.index.vocabulary.counts

        def of_catalog(token: str) -> bool:
            return rows[token] >= 0 or token in english_words()

        def without(hidden: Sequence[str]) -> Callable[[str], bool]:
            def is_word(token: str) -> bool:
                count = int(counts[rows[token]]) if rows[token] >= 0 else 0
                return count > hidden.count(token) or token in english_words()

            return is_word

        return {
            query.number: of_catalog
            if query.absent is None
            else without(self._tokens(query.absent))
            for query in queries
        }

    def _tokens(self, entry: int) -> list[str]:
        """Tokens of an entry's main title and aliases."""
        n = self.index.n_entries
        aliases = self.index.entry_of[n : n + self.index.n_aliases] == entry
        rows = [entry, *(n + aliases.nonzero()[0]).tolist()]
        return [token for row in rows for token in self.index.keys.text(row).split(" ")]


def _ends_after_comma(query: _Query) -> bool:
    return _LAST_AFTER_COMMA.search(query.parts.core) is not None


def _with_year_left_in(query: _Query) -> Iterator[str]:
    if query.parts.year is not None and not query.parts.bracketed:
        yield full_key(query.text)


def _with_parenthesis(query: _Query) -> Iterator[str]:
    if query.parts.alias is not None:
        yield full_key(f"{query.parts.core} {query.parts.alias}")


def _in_order(query: _Query) -> Iterator[str]:
    tokens = query.tokens
    if len(tokens) > 2 or (len(tokens) == 2 and query.parts.year is not None):
        yield sorted_key(query.key)
        for article in _ARTICLES:
            if article in tokens:
                rest = list(tokens)
                rest.remove(article)
                yield sorted_key(" ".join(rest))


def _without_blanks(query: _Query) -> Iterator[str]:
    tokens = query.tokens
    if tokens:
        joined = joined_key(query.key)
        yield joined
        if tokens[0].startswith("the") and len(tokens[0]) > _GLUED:
            yield joined.removeprefix("the")
