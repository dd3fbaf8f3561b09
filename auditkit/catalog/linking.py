"""Which catalog item does a written title name, if any?

Exact keys after normalisation, then a year rule; no similarity threshold, because every threshold
that forgives a typing error also links sequels and remakes. An entry is a unique (title, year) with
one or more item ids ("twins"). Look-ups go through sorted 8-byte BLAKE2b hashes (stable between
processes, unlike `hash`), and every hit is verified by comparing the key itself, so a collision
cannot link.

Source: hallucination recipe, stages 1 and 2 and the year rule. Refused titles are not repaired: a
typing error in a title reads as `none`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.normalise import ParsedTitle, clean_query, full_key, parse_title

__all__ = ["Link", "LinkReason", "TitleLinker"]

LinkReason = Literal["exact", "alias", "year_off", "ambiguous", "year_conflict", "none", "empty"]
MAX_YEARS_OFF = 2
MAX_CANDIDATES = 10


@dataclass(frozen=True)
class Link:
    """What became of one written title.

    Attributes:
        title: the text as given.
        item_id: the item it names, None if refused or ambiguous.
        reason: `exact`, `alias`, `year_off` (linked); `ambiguous`, `year_conflict`, `none`, `empty`
            (not linked).
        candidates: item ids, best first, at most 10: all ids of the linked entry, or one id per
            entry concerned.
    """

    title: str
    item_id: str | None
    reason: LinkReason
    candidates: tuple[str, ...] = ()


class _Lookup(NamedTuple):
    """One key to look up for one query; `year` is None where the key holds the year itself."""

    query: int
    key: str
    year: int | None


class TitleLinker:
    """Links titles to the items of one catalog.

    Args:
        ids: item ids in catalog order.
        titles: their titles, without the year.
        years: their years, None where unknown.
    """

    def __init__(
        self, ids: Sequence[str], titles: Sequence[str], years: Sequence[int | None]
    ) -> None:
        rows: dict[tuple[str, int | None], list[int]] = {}
        for row, entry in enumerate(zip(titles, years, strict=True)):
            rows.setdefault(entry, []).append(row)
        self._ids = tuple(ids)
        self._entries = tuple(rows)
        self._rows = tuple(tuple(members) for members in rows.values())
        keys, entries, is_alias = self._index_keys()
        hashes = _hashes(keys)
        order = np.argsort(hashes, kind="stable")
        self._hash = hashes[order]
        self._key = tuple(keys[row] for row in order)
        self._entry = np.asarray(entries, dtype=np.int32)[order]
        self._is_alias = np.asarray(is_alias, dtype=bool)[order]

    def _index_keys(self) -> tuple[list[str], list[int], list[bool]]:
        keys: list[str] = []
        entries: list[int] = []
        is_alias: list[bool] = []
        for entry, (title, _) in enumerate(self._entries):
            parsed = parse_title(title, with_year=False)
            main = full_key(parsed.core)
            for key, alias in ((main, False), (full_key(parsed.alias or ""), True)):
                if key and not (alias and key == main):
                    keys.append(key)
                    entries.append(entry)
                    is_alias.append(alias)
        return keys, entries, is_alias

    @property
    def entries(self) -> tuple[tuple[str, int | None], ...]:
        """The unique (title, year) pairs in catalog order."""
        return self._entries

    def twins(self, entry: int) -> tuple[str, ...]:
        """Item ids of one entry, in catalog order."""
        return tuple(self._ids[row] for row in self._rows[entry])

    def link(self, titles: Sequence[str], *, without: Sequence[int] | None = None) -> list[Link]:
        """Link many titles in one pass.

        Args:
            titles: texts as the recommender wrote them.
            without: for every title the number of one entry to treat as absent; used by the
                self-check.

        Returns:
            One `Link` per title, in order.
        """
        parsed = [parse_title(clean_query(title)) for title in titles]
        lookups = list(_lookups(titles, parsed))
        begin, end = self._search([lookup.key for lookup in lookups])
        links: list[Link | None] = [None] * len(titles)
        for lookup, first, last in zip(lookups, begin.tolist(), end.tolist(), strict=True):
            if links[lookup.query] is not None:
                continue
            absent = None if without is None else without[lookup.query]
            hits = [
                row for row in range(first, last)
                if self._key[row] == lookup.key and self._entry[row] != absent
            ]  # fmt: skip
            if hits:
                links[lookup.query] = self._decide(titles[lookup.query], hits, lookup.year)
        return [
            link or Link(title, None, "none" if clean_query(title) else "empty")
            for title, link in zip(titles, links, strict=True)
        ]

    def _search(self, keys: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        wanted = _hashes(keys)
        return np.searchsorted(self._hash, wanted, "left"), np.searchsorted(
            self._hash, wanted, "right"
        )

    def _decide(self, title: str, hits: Sequence[int], year: int | None) -> Link:
        """Apply the year rule to the rows whose key matches."""
        by_main: dict[int, bool] = {}
        for row in hits:
            entry = int(self._entry[row])
            by_main[entry] = by_main.get(entry, False) or not self._is_alias[row]
        found = sorted(by_main)
        off = {entry: _years_off(self._entries[entry][1], year) for entry in found}
        nearest = min(off.values())
        if nearest > MAX_YEARS_OFF:
            return Link(title, None, "year_conflict", self._representatives(found))
        kept = [entry for entry in found if off[entry] == nearest] if year is not None else found
        if len(kept) > 1:
            return Link(title, None, "ambiguous", self._representatives(kept))
        reason: LinkReason = "year_off" if nearest else "exact" if by_main[kept[0]] else "alias"
        twins = self.twins(kept[0])
        return Link(title, twins[0], reason, twins[:MAX_CANDIDATES])

    def _representatives(self, entries: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.twins(entry)[0] for entry in entries[:MAX_CANDIDATES])


def _lookups(titles: Sequence[str], parsed: Sequence[ParsedTitle]) -> Iterator[_Lookup]:
    """The keys to try, first stage first: with an unbracketed year left in, then without it."""
    for query, (title, parts) in enumerate(zip(titles, parsed, strict=True)):
        if parts.year is not None and not parts.bracketed:
            yield _Lookup(query, full_key(clean_query(title)), None)
        key = full_key(parts.core)
        if key:
            yield _Lookup(query, key, parts.year)


def _years_off(entry_year: int | None, year: int | None) -> int:
    return 0 if entry_year is None or year is None else abs(entry_year - year)


def _hashes(keys: Sequence[str]) -> NDArray[np.int64]:
    digests = b"".join(
        hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for key in keys
    )
    return np.frombuffer(digests, dtype=np.int64)
