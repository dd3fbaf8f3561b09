"""Copies of an instruction that contain only a few of its words, and all of its slots.

If few copies exist, all are made, so that a vote over them is exact. Otherwise copies are drawn
uniformly at random.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

__all__ = ["WordMasks", "words_of"]

_WORD_OR_SLOT = re.compile(r"\{\w+\}|[^\s{}]+")
_BLANKS = re.compile(r"[^\S\n]+")


def words_of(instruction: str) -> list[tuple[int, int]]:
    """Begin and end position of every word of an instruction outside its `{slots}`."""
    return [found.span() for found in _WORD_OR_SLOT.finditer(instruction) if found[0][0] != "{"]


@dataclass(frozen=True)
class WordMasks:
    """Masks of a text: the words that each masked copy keeps.

    Attributes:
        words: number of words of the text.
        kept: number of words that each copy keeps.
        chosen: positions of the kept words, one tuple per copy.
        exact: whether every possible mask is included exactly once.
    """

    words: int
    kept: int
    chosen: tuple[tuple[int, ...], ...]
    exact: bool

    @classmethod
    def draw(cls, words: int, *, share: float, copies: int, rng: np.random.Generator) -> WordMasks:
        """Draw masks that keep the fraction `share` of the words, at least one word.

        Args:
            copies: number of masks; all possible masks are used if there are no more than this.
        """
        kept = min(words, max(1, round(share * words)))
        if comb(words, kept) <= copies:
            return cls(words, kept, tuple(combinations(range(words), kept)), exact=True)
        drawn = (rng.choice(words, size=kept, replace=False) for _ in range(copies))
        return cls(words, kept, tuple(tuple(sorted(map(int, d))) for d in drawn), exact=False)

    def copies(self, instruction: str) -> list[str]:
        """Return one masked copy of an instruction per mask. Runs of spaces become one space, and
        spaces at both ends are removed.

        Args:
            instruction: text with `words` words outside its slots.
        """
        spans = words_of(instruction)
        return [self._copy(instruction, spans, set(chosen)) for chosen in self.chosen]

    @staticmethod
    def _copy(instruction: str, spans: list[tuple[int, int]], chosen: set[int]) -> str:
        pieces, end = [], 0
        for position, (begin, stop) in enumerate(spans):
            pieces.append(instruction[end:begin])
            pieces.append(instruction[begin:stop] if position in chosen else "")
            end = stop
        return _BLANKS.sub(" ", "".join(pieces) + instruction[end:]).strip(" ")
