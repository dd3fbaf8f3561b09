"""Vocabulary of the titles, with a search for the words that a misspelled token may mean.

Spelling is corrected in words, not in titles, because the vocabulary of a million titles is small
and a token that is a word usually needs no correction. Words are found by deletion neighborhoods: a
token and a word within two edits share a string that is at most two letters shorter than either.

Source: SymSpell (Garbe 2012); English words from symspellpy 6.10 (MIT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.linking.edit_distance import osa_counter
from auditkit.catalog.linking.string_array import Strings
from auditkit.catalog.linking.text_hashing import (
    ROW_BITS,
    Deletions,
    HashTable,
    deletion_hashes,
    text_hashes,
)

__all__ = ["Neighbor", "Vocabulary", "english_words"]

MAX_NEIGHBORS = 12
_LONG_WORD = 6  # shortest word of the catalog with two deletions
_LONG_TOKEN = 5  # shortest token with two deletions and a search up to distance 2
MAX_REMEMBERED = 1 << 15
MAX_LETTERS = 32  # the neighborhood grows with the square of the length


class Neighbor(NamedTuple):
    """A word near a token, with its edit distance from the token."""

    word: str
    distance: int


@cache
def english_words() -> frozenset[str]:
    """Read the shipped list of 15,491 common English words."""
    text = (files("auditkit.catalog.linking") / "english_words.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


class Vocabulary:
    """Words of a catalog with their counts and deletion neighborhoods.

    Args:
        words: distinct tokens of all titles.
        counts: int32 [n], number of occurrences of each word.
        table: rows of `words` by hash.
        shorter_by: rows of `words` by hash of the word with zero or one letter deleted, and of long
            words with two letters deleted.
    """

    def __init__(
        self,
        words: Strings,
        counts: NDArray[np.int32],
        *,
        table: HashTable,
        shorter_by: tuple[HashTable, HashTable],
    ) -> None:
        self.words, self.counts, self.table, self.shorter_by = words, counts, table, shorter_by
        self._near: dict[tuple[str, int], tuple[Neighbor, ...]] = {}  # cache: words of titles recur

    @classmethod
    def build(cls, counted: Mapping[str, int]) -> Vocabulary:
        """Index distinct tokens, given with their counts; rows have the order of `counted`."""
        words = list(counted)
        meant = np.asarray([row for row, word in enumerate(words) if _may_be_meant(word)], np.int64)
        long = np.asarray([row for row in meant if len(words[row]) >= _LONG_WORD], np.int64)
        by_one = deletion_hashes([words[row] for row in meant], (0, 1))
        by_two = deletion_hashes([words[row] for row in long], (2,))
        return cls(
            Strings.pack(words),
            np.fromiter(counted.values(), dtype=np.int32, count=len(words)),
            table=HashTable.build(text_hashes(words), np.arange(len(words))),
            shorter_by=(
                HashTable.build(by_one.hash, meant[by_one.word]),
                HashTable.build(by_two.hash, long[by_two.word]),
            ),
        )

    def rows(self, tokens: Sequence[str]) -> NDArray[np.int64]:
        """Row of each token, -1 if it is not a word of the catalog."""
        found = np.full(len(tokens), -1, dtype=np.int64)
        queried, rows = self.table.find(text_hashes(tokens))
        for number, row, word in zip(
            queried.tolist(), rows.tolist(), self.words.texts(rows), strict=True
        ):
            if word == tokens[number]:
                found[number] = row
        return found

    def neighbors(self, tokens: Sequence[str], *, within: int) -> dict[str, tuple[Neighbor, ...]]:
        """Return up to 12 catalog words near each token, sorted by (distance, -count, word),
        without the token itself.

        A word can be near a token only if both contain the same digits. Tokens that are too short,
        too long, or only digits are not in the result.

        Args:
            tokens: the tokens to look up.
            within: largest number of edits, 1 or 2. Two edits are allowed only if token and word
                both have at least five letters.
        """
        wanted = {token: (token, within) for token in tokens if _may_be_meant(token)}
        if len(self._near) + len(wanted) > MAX_REMEMBERED:
            self._near.clear()
        self._near |= self._search(
            [token for token, key in wanted.items() if key not in self._near], within=within
        )
        return {token: self._near[key] for token, key in wanted.items()}

    def _search(
        self, tokens: Sequence[str], *, within: int
    ) -> dict[tuple[str, int], tuple[Neighbor, ...]]:
        near: dict[str, list[tuple[int, int, str]]] = {token: [] for token in tokens}
        long = [token for token in near if within > 1 and len(token) >= _LONG_TOKEN]
        short = [token for token in near if within == 1 or len(token) < _LONG_TOKEN]
        for group, letters, tables in (
            (short, (0, 1), self.shorter_by[:1]),
            (long, (0, 1, 2), self.shorter_by),
        ):
            owners, rows = _pairs(deletion_hashes(group, letters), tables)
            words = self.words.texts(rows)
            queried = [group[owner] for owner in owners.tolist()]
            distances = osa_counter()(queried, words, within)
            counts = self.counts[rows].tolist()
            for token, word, distance, count in zip(queried, words, distances, counts, strict=True):
                if 0 < distance <= within and _comparable(token, word, distance):
                    near[token].append((distance, -count, word))
        return {
            (token, within): tuple(
                Neighbor(word, distance) for distance, _, word in sorted(found)[:MAX_NEIGHBORS]
            )
            for token, found in near.items()
        }


def _pairs(
    shortened: Deletions, tables: Sequence[HashTable]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Unique (index of a token, row of a word) pairs that share a shortened form."""
    packed = []
    for table in tables:
        queried, rows = table.find(shortened.hash)
        packed.append(shortened.word[queried] << ROW_BITS | rows)
    unique = np.unique(np.concatenate(packed))
    return unique >> ROW_BITS, unique & (1 << ROW_BITS) - 1


def _may_be_meant(word: str) -> bool:
    return 2 <= len(word) <= MAX_LETTERS and not word.isdigit()


def _comparable(token: str, word: str, distance: int) -> bool:
    """Whether a distance is accepted: two edits only in long words, and no edits of digits
    ("64gb").
    """
    if distance > 1 and min(len(token), len(word)) < _LONG_TOKEN:
        return False
    return (token.isalpha() and word.isalpha()) or _digits(token) == _digits(word)


def _digits(word: str) -> str:
    return "".join(letter for letter in word if letter.isdigit())
