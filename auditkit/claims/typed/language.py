"""Words of a text with their stems, and the language-dependent word lists of `grammar.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import as_file, files
from typing import NamedTuple

from pydantic import TypeAdapter

from auditkit.domains.pack import Language
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = ["PhraseSet", "Word", "grammar", "language_of", "phrase_set", "stems", "words_of"]

_WORD = re.compile(r"['\u2019]s\b|[^\W_\d]+(?:n['\u2019]t\b)?|\d+|\n|[^\w\s]|_")
_LANGUAGES: tuple[Language, ...] = ("en", "de")


class Word(NamedTuple):
    """A word, number or mark, in lower case and as written, with its character offsets."""

    lower: str
    begin: int
    end: int
    raw: str


def words_of(text: str) -> list[Word]:
    """Split a text into words, runs of digits, marks and line ends."""
    return [
        Word(match[0].casefold().replace("\u2019", "'"), match.start(), match.end(), match[0])
        for match in _WORD.finditer(text)
    ]


@lru_cache(maxsize=1)
def _grammars() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    with as_file(files("auditkit.claims.typed") / "grammar.yaml") as path:
        adapter = TypeAdapter(dict[str, dict[str, tuple[str, ...]]])
        return validate(load_yaml(path), adapter)


def grammar(language: Language, name: str) -> tuple[str, ...]:
    """Return a word list of a language."""
    return _grammars()[language][name]


def language_of(words: Sequence[Word]) -> Language:
    """The language of which a text has more function words; English for a tie."""
    counts = {
        language: sum(word.lower in _markers(language) for word in words) for language in _LANGUAGES
    }
    return max(_LANGUAGES, key=lambda language: counts[language])


@lru_cache(maxsize=4)
def _markers(language: Language) -> frozenset[str]:
    return frozenset(grammar(language, "markers"))


@lru_cache(maxsize=65_536)
def stems(word: str, language: Language) -> tuple[str, ...]:
    """Return a word and its possible stems: the word without each inflectional ending of the
    language that leaves at least three letters.
    """
    found = [word]
    for ending in grammar(language, "endings"):
        if ending and word.endswith(ending) and len(word) - len(ending) >= 3:
            found.append(word.removesuffix(ending))
    return tuple(dict.fromkeys(found))


class PhraseSet:
    """Phrases that match words with any inflectional ending, longest phrase first."""

    def __init__(self, phrases: Sequence[str], language: Language) -> None:
        self._language = language
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for phrase in phrases:
            run = tuple(word.lower for word in words_of(phrase))
            for first in stems(run[0], language):
                self._by_first.setdefault(first, []).append(run)
        for known in self._by_first.values():
            known.sort(key=len, reverse=True)

    def at(self, words: Sequence[Word], place: int) -> int:
        """Number of words of the longest phrase that begins at `place`; 0 without a phrase
        there.
        """
        best = 0
        for first in stems(words[place].lower, self._language):
            for run in self._by_first.get(first, ()):
                if len(run) > best and self._matches(run, words, place):
                    best = len(run)
        return best

    def _matches(self, run: tuple[str, ...], words: Sequence[Word], place: int) -> bool:
        if place + len(run) > len(words):
            return False
        return all(
            _same(words[place + i].lower, wanted, self._language) for i, wanted in enumerate(run)
        )

    def places(self, words: Sequence[Word]) -> Iterator[tuple[int, int]]:
        """Yield (begin, end) of every phrase, without overlaps."""
        place = 0
        while place < len(words):
            length = self.at(words, place)
            if length:
                yield place, place + length
            place += max(length, 1)


def _same(word: str, wanted: str, language: Language) -> bool:
    """Whether two words differ at most in an ending."""
    if word == wanted:
        return True
    if min(len(word), len(wanted)) < 3:
        return False
    return bool(set(stems(word, language)) & set(stems(wanted, language)))


@lru_cache(maxsize=64)
def phrase_set(language: Language, name: str) -> PhraseSet:
    """Return a word list of a language as phrases."""
    return PhraseSet(grammar(language, name), language)
