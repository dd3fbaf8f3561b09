"""Search for the titles of one year, or of a small catalog, that may be within two edits of a text.

Word lookups miss titles of one short word, and titles whose only rare word is misspelled. A scan of
all titles finds them, and two tests on arrays leave few texts to compare: an edit changes the
length by at most one, and the numbers of occurrences of at most two letters by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.linking.title_index import TitleIndex

__all__ = ["MAX_EDITS", "TitleScan"]

MAX_EDITS = 2
_BUCKETS = 32  # of letters: bits 0-31 mean "occurs", bits 32-63 "occurs at least twice"
_MAX_BITS = 2 * MAX_EDITS  # an edit changes at most two counts, and each count at most one bit
_ASCII = 0x80
_ONES = np.asarray([bin(byte).count("1") for byte in range(256)], dtype=np.uint8)


class _Group:
    """Rows of titles and aliases with their lengths in bytes and their signatures."""

    def __init__(self, index: TitleIndex, rows: NDArray[np.int64]) -> None:
        starts, ends = index.keys.offsets[rows], index.keys.offsets[rows + 1]
        self.rows, self.lengths = rows, ends - starts
        owner = np.repeat(np.arange(len(rows)), self.lengths)
        within = np.arange(len(owner)) - np.repeat(
            np.cumsum(self.lengths) - self.lengths, self.lengths
        )
        self.signatures = _signatures(
            index.keys.blob[np.repeat(starts, self.lengths) + within], owner, len(rows)
        )

    def near(self, length: int, signature: np.uint64, longest: int) -> NDArray[np.int64]:
        """Rows whose length differs by at most `longest`, and whose signature differs by no more
        bits than two edits can change.
        """
        kept = np.flatnonzero(np.abs(self.lengths - length) <= longest)
        changed = (self.signatures[kept] ^ signature).view(np.uint8).reshape(-1, 8)
        near: NDArray[np.int64] = self.rows[kept[_ONES[changed].sum(axis=1) <= _MAX_BITS]]
        return near


class TitleScan:
    """Searches the titles and aliases of an index by year; a year is grouped on first use.

    Args:
        index: index of the catalog's titles.
    """

    def __init__(self, index: TitleIndex) -> None:
        self.index = index
        self._n_rows = index.n_entries + index.n_aliases
        self._groups: dict[int | None, _Group] = {}
        self._by_year: NDArray[np.int64] | None = None

    def n_titles(self, year: int | None) -> int:
        """Number of titles and aliases of one year, or of all years if `year` is None."""
        return self._n_rows if year is None else len(self._group(year).rows)

    def rows(self, keys: Sequence[str], years: Sequence[int | None]) -> list[NDArray[np.int64]]:
        """For each full key, the rows of the index that may be within two edits of it.

        Args:
            keys: full keys.
            years: for each key, the year of the entries to search; None for all entries.

        Returns:
            Rows of main titles and aliases, int64 [n]. They include every row within two edits,
            except titles with non-ASCII letters if the key has only ASCII letters.
        """
        texts = [key.encode("utf-8", "surrogatepass") for key in keys]
        lengths = [len(text) for text in texts]
        letters = np.frombuffer(b"".join(texts), dtype=np.uint8)
        signatures = _signatures(letters, np.repeat(np.arange(len(keys)), lengths), len(keys))
        return [
            # A letter outside ASCII has up to four bytes.
            self._group(year).near(length, signature, MAX_EDITS * (1 if key.isascii() else 4))
            for key, year, length, signature in zip(keys, years, lengths, signatures, strict=True)
        ]

    def _group(self, year: int | None) -> _Group:
        if year not in self._groups:
            self._groups[year] = _Group(self.index, self._rows_of(year))
        return self._groups[year]

    def _rows_of(self, year: int | None) -> NDArray[np.int64]:
        if year is None:
            return np.arange(self._n_rows)
        years = self.index.years[self.index.entry_of[: self._n_rows]]
        if self._by_year is None:
            self._by_year = np.argsort(years, kind="stable")
        begin, end = np.searchsorted(years, [year, year + 1], sorter=self._by_year)
        return self._by_year[begin:end]


def _signatures(letters: NDArray[np.uint8], owner: NDArray[np.int64], n: int) -> NDArray[np.uint64]:
    """Signatures with two bits per bucket of letters, uint64 [n]; non-ASCII bytes are ignored."""
    plain = letters < _ASCII
    cells = owner[plain] * _BUCKETS + letters[plain] % _BUCKETS
    counts = np.bincount(cells, minlength=n * _BUCKETS).reshape(n, _BUCKETS)
    bits = np.uint64(1) << np.arange(_BUCKETS, dtype=np.uint64)
    once: NDArray[np.uint64] = ((counts > 0) * bits).sum(axis=1, dtype=np.uint64)
    twice: NDArray[np.uint64] = ((counts > 1) * bits).sum(axis=1, dtype=np.uint64)
    return once | twice << np.uint64(_BUCKETS)
