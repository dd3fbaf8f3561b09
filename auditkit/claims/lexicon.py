"""Tokenizer and phrase matching of the claim reader; the phrases come from `films.lexicon.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

__all__ = ["Phrases", "Token", "has_no_capital", "lexicon", "phrases", "tokenize"]

_TOKEN = re.compile(
    r"['\u2019]s\b|[^\W_]+n['\u2019]t\b|[^\W_]+(?:['\u2019](?:re|ve|ll|d|m)\b)?|\n|[^\w\s]|_"
)


class Token(NamedTuple):
    """A word or a punctuation mark in lower case, with its character offsets in the text."""

    lower: str
    begin: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Split a text into words, clitics ('s), single punctuation marks and line ends."""
    return [
        Token(match[0].lower().replace("\u2019", "'"), match.start(), match.end())
        for match in _TOKEN.finditer(text)
    ]


@lru_cache(maxsize=1)
def has_no_capital(text: str) -> bool:
    """Whether a text has no capital letter. The last result is cached, because this is called for
    every word of a text.
    """
    return text.lower() == text


class Phrases:
    """A set of phrases that is matched against tokens, longest phrase first."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for text in texts:
            words = tuple(token.lower for token in tokenize(text))
            self._by_first.setdefault(words[0], []).append(words)
        for known in self._by_first.values():
            known.sort(key=len, reverse=True)

    def at(self, words: Sequence[str], place: int) -> int:
        """Number of tokens of the longest phrase that begins at `place`; 0 without a phrase
        there.
        """
        for phrase in self._by_first.get(words[place], ()):
            if tuple(words[place : place + len(phrase)]) == phrase:
                return len(phrase)
        return 0

    def ending_at(self, words: Sequence[str], place: int) -> int:
        """Number of tokens of the longest phrase that ends right before `place`; 0 without one."""
        for length in range(min(6, place), 0, -1):
            if self.at(words[:place], place - length) == length:
                return length
        return 0

    def places(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Yield (begin, end) of the longest phrase at each place, without overlaps."""
        place = 0
        while place < len(words):
            length = self.at(words, place)
            if length:
                yield place, place + length
            place += max(length, 1)

    def anywhere(self, words: Sequence[str]) -> bool:
        """Whether any phrase occurs in these words."""
        return next(self.places(words), None) is not None


@cache
def lexicon() -> Mapping[str, Any]:
    """Content of `films.lexicon.yaml`."""
    text = (files("auditkit.domains") / "films.lexicon.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


@cache
def phrases(name: str) -> Phrases:
    """Return one list of `films.lexicon.yaml`, or the keys of one of its tables, as phrases."""
    return Phrases([str(text) for text in lexicon()[name]])
