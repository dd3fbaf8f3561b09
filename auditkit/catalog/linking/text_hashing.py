"""64-bit hashes of many texts, and of words with one or two letters deleted.

The hash is a polynomial over code points modulo 2^64, computed by numpy for a whole batch. Unlike
`hash`, it is the same in every process. Because it is a sum over letters, the hash of a word with
deleted letters is computed without building that string, so the deletion index of a million titles
takes seconds; a cryptographic hash would be called twelve million times. Collisions are possible
and harmless, because every lookup compares the text of the row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Deletions", "HashTable", "deletion_hashes", "text_hashes"]

_BASE = 0x9E3779B97F4A7C15
_BASE_INVERSE = pow(_BASE, -1, 1 << 64)
_CHUNK = 1 << 16
ROW_BITS = 28


class Deletions(NamedTuple):
    """Hashes of shortened words: hash[i] belongs to `words[word[i]]` with letters deleted."""

    hash: NDArray[np.uint64]
    word: NDArray[np.int64]


def text_hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Hash of each text, uint64 [n]."""
    parts = [_hash_chunk(texts[begin : begin + _CHUNK]) for begin in range(0, len(texts), _CHUNK)]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)


def _hash_chunk(texts: Sequence[str]) -> NDArray[np.uint64]:
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    ends = np.cumsum(lengths)
    terms = _codes("".join(texts))
    terms *= _powers(int(lengths.max()))[np.arange(len(terms)) - np.repeat(ends - lengths, lengths)]
    sums = np.concatenate((np.zeros(1, dtype=np.uint64), np.cumsum(terms, dtype=np.uint64)))
    return _mix(sums[ends] - sums[ends - lengths])


def deletion_hashes(words: Sequence[str], letters: Collection[int]) -> Deletions:
    """Hashes of each word after every possible deletion of n letters, for each n of `letters` (0, 1
    or 2).
    """
    by_length: dict[int, list[int]] = {}
    for row, word in enumerate(words):
        by_length.setdefault(len(word), []).append(row)
    hashes, owners = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
    for length, rows in sorted(by_length.items()):
        for begin in range(0, len(rows), _CHUNK):
            chunk = rows[begin : begin + _CHUNK]
            for shortened in _shortened("".join(words[row] for row in chunk), length, letters):
                hashes.append(_mix(shortened))
                owners.append(np.asarray(chunk, dtype=np.int64))
    return Deletions(np.concatenate(hashes), np.concatenate(owners))


def _shortened(text: str, length: int, letters: Collection[int]) -> Iterator[NDArray[np.uint64]]:
    """For each choice of deleted letters, the polynomials of all equally long words in `text`."""
    if length == 0:
        return
    terms = _codes(text).reshape(-1, length) * _powers(length)
    until: NDArray[np.uint64] = np.concatenate(
        (np.zeros((len(terms), 1), dtype=np.uint64), np.cumsum(terms, axis=1, dtype=np.uint64)),
        axis=1,
    )
    whole: NDArray[np.uint64] = until[:, length]
    back = np.full(1, _BASE_INVERSE, dtype=np.uint64)
    if 0 in letters:
        yield whole
    for i in range(length):
        before: NDArray[np.uint64] = until[:, i]
        if 1 in letters:
            yield before + (whole - until[:, i + 1]) * back
        for j in range(i + 1, length if 2 in letters else 0):
            between: NDArray[np.uint64] = until[:, j] - until[:, i + 1]
            between += (whole - until[:, j + 1]) * back
            yield before + between * back


def _codes(text: str) -> NDArray[np.uint64]:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return codes.astype(np.uint64) + np.uint64(1)


def _powers(n: int) -> NDArray[np.uint64]:
    factors = np.full(max(n, 1), _BASE, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread the polynomial over all bits (the finalizer of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class HashTable(NamedTuple):
    """Maps hashes to rows by one sorted array of 36 bits of the hash followed by 28 bits of the
    row.
    """

    keys: NDArray[np.uint64]

    @classmethod
    def build(cls, hashes: NDArray[np.uint64], rows: NDArray[np.int64]) -> HashTable:
        """Build a table of (hash, row) pairs; a row is below 2^28."""
        keys = _above(hashes) | rows.astype(np.uint64)
        keys.sort()
        return cls(keys)

    def find(
        self, hashes: NDArray[np.uint64], *, at_most: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Look up many hashes.

        Args:
            at_most: largest number of rows per hash, of which the first are returned; None for all.

        Returns:
            Two arrays of equal length: position in `hashes`, and a row that may have this hash.
        """
        first = _above(hashes)
        begin = np.searchsorted(self.keys, first)
        end = np.searchsorted(self.keys, first | np.uint64((1 << ROW_BITS) - 1), side="right")
        counts = end - begin if at_most is None else np.minimum(end - begin, at_most)
        queried = np.repeat(np.arange(len(hashes)), counts)
        at = np.arange(len(queried)) + np.repeat(begin - (np.cumsum(counts) - counts), counts)
        return queried, (self.keys[at] & np.uint64((1 << ROW_BITS) - 1)).astype(np.int64)


def _above(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (hashes >> np.uint64(ROW_BITS)) << np.uint64(ROW_BITS)
