"""Link misspelled titles that word-by-word correction misses: one catalog title is nearly equal to
the text.

A similarity threshold would also link sequels and remakes. Instead numbers must be equal, at most
two letters may differ in all, a stated year must be the title's, and the evidence for that title
must outweigh chance (`title_evidence`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.linking.edit_distance import damerau_counter
from auditkit.catalog.linking.letter_counts import MAX_EDITS, TitleScan
from auditkit.catalog.linking.readings import Reading
from auditkit.catalog.linking.title_evidence import MARGIN, edit_nats, prior_log_odds, text_nats
from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.vocabulary import english_words

__all__ = ["NearbyQuery", "nearest_entries"]

RAREST = 12  # words, a misspelled token counts with each word that it may mean
_NUMBER = re.compile(r"\d+")
_SMALL_CATALOG = 10_000  # titles; in a larger one, only those of one year are all scanned


class NearbyQuery(NamedTuple):
    """A written title for which similar catalog titles are searched.

    Attributes:
        readings: its full key, and further keys that it may mean; see `readings`.
        year: the stated year; None if there is none.
        hidden: index of an entry that is ignored; None if no entry is ignored.
    """

    readings: Sequence[Reading]
    year: int | None
    hidden: int | None


class _Asked(NamedTuple):
    """One reading of a query, with the log-odds of a title that equals it."""

    query: int
    key: str
    edits: int
    year: int | None
    odds: float


def nearest_entries(scan: TitleScan, queries: Sequence[NearbyQuery]) -> list[list[int]]:
    """Return, for each query, the entries that its title may mean, most likely first.

    Returns:
        For each query, the best entry and the entries at most 10 times less likely; empty if the
        best entry may be as similar by chance.
    """
    words, index = _MeantWords(scan.index, queries), scan.index
    asked = list(_asked(scan, queries, words))
    found = _rows_near(scan, asked, words)
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *found])
    owners = [ask for ask, near in zip(asked, found, strict=True) for _ in range(len(near))]
    titles = index.keys.texts(rows)
    distances = damerau_counter()([ask.key for ask in owners], titles, MAX_EDITS) if titles else []
    odds: list[dict[int, float]] = [{} for _ in queries]
    for ask, row, title, edits in zip(owners, rows.tolist(), titles, distances, strict=True):
        if edits + ask.edits > MAX_EDITS or _NUMBER.findall(ask.key) != _NUMBER.findall(title):
            continue
        entry = int(index.entry_of[row])
        if entry != queries[ask.query].hidden:
            found_odds = ask.odds - edit_nats(ask.key, title, edits)
            odds[ask.query][entry] = max(found_odds, odds[ask.query].get(entry, found_odds))
    return [_likely(of_entries) for of_entries in odds]


def _likely(odds: Mapping[int, float]) -> list[int]:
    """The entry with the best log-odds and the entries near it; empty if all log-odds are
    negative.
    """
    best = max(odds.values(), default=0.0)
    if best <= 0:
        return []
    return sorted((e for e in odds if odds[e] >= best - MARGIN), key=lambda e: (-odds[e], e))


def _asked(scan: TitleScan, queries: Sequence[NearbyQuery], words: _MeantWords) -> Iterator[_Asked]:
    """Select the readings with enough evidence to mean a title. Edits of an article are ignored."""
    for number, query in enumerate(queries):
        dated = query.year is not None
        prior = prior_log_odds(scan.n_titles(query.year), dated=dated)
        for key, edits in query.readings:
            odds = prior + text_nats(key, words.is_word, dated=dated)
            if odds > 0:
                yield _Asked(number, key, edits, query.year, odds)


def _rows_near(
    scan: TitleScan, asked: Sequence[_Asked], words: _MeantWords
) -> list[NDArray[np.int64]]:
    """Rows of the index that may be within two edits of each reading, and of its year."""
    small = scan.index.n_entries < _SMALL_CATALOG
    scanned = [ask for ask in asked if small or ask.year is not None]
    found = iter(scan.rows([ask.key for ask in scanned], [ask.year for ask in scanned]))
    return [next(found) if small or ask.year is not None else words.rows(ask.key) for ask in asked]


class _MeantWords:
    """The words of many texts, and the entries of a large catalog that have one of their rare words
    or a word that a token may mean.
    """

    def __init__(self, index: TitleIndex, queries: Sequence[NearbyQuery]) -> None:
        self._index = index
        tokens = _tokens(queries)
        self._rows = dict(zip(tokens, index.vocabulary.rows(tokens).tolist(), strict=True))
        undated = [q for q in queries if q.year is None and index.n_entries >= _SMALL_CATALOG]
        self._meant = index.vocabulary.neighbors(_tokens(undated), within=2)
        words = list({other.word for near in self._meant.values() for other in near})
        self._rows_of_words = dict(zip(words, index.vocabulary.rows(words).tolist(), strict=True))

    def is_word(self, token: str) -> bool:
        """Whether a token is a word of the catalog or of English."""
        return self._rows[token] >= 0 or token in english_words()

    def rows(self, key: str) -> NDArray[np.int64]:
        """Rows of main titles with at most two letters more or less than the text."""
        tokens = key.split()
        known = {self._rows[token] for token in tokens if self._rows[token] >= 0}
        unsure = tokens if len(known) < 2 else [t for t in tokens if self._rows[t] < 0]
        known |= {
            self._rows_of_words[other.word]
            for token in unsure
            for other in self._meant.get(token, ())
        }
        counts = self._index.vocabulary.counts
        rarest = sorted(known, key=lambda row: (int(counts[row]), row))[:RAREST]
        entries = self._index.entries_with(rarest).astype(np.int64)
        near = np.abs(self._index.letters[entries].astype(np.int64) - len(key)) <= MAX_EDITS
        return entries[near]


def _tokens(queries: Sequence[NearbyQuery]) -> list[str]:
    keys = [reading.key for query in queries for reading in query.readings]
    return list(dict.fromkeys(token for key in keys for token in key.split()))
