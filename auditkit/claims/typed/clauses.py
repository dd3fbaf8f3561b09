"""Clauses of a text with the item that each is about, in any language of `grammar.yaml`.

A clause is about the one item that it names outside a comparison, else about the item of the clause
before it. After a taste frame ("if you like"), a hedge or a comparison ("than X") a clause states
nothing, and neither does a question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auditkit.claims.typed.language import Word, grammar, phrase_set
from auditkit.domains.pack import Language

__all__ = ["Clause", "Mention", "clauses_of"]

MAX_WORDS = 200  # of a clause
_LONGEST_ENTRY = 2  # words of an entry of a list
_ENDS = frozenset((".", "!", "?", "\n", ";"))
_SEPARATORS = frozenset((":", "\u2014", "\u2013", "(", ")", "[", "]", "\u2022"))
_ABBREVIATIONS = frozenset(("ca", "inkl", "bzw", "approx", "incl", "vs", "e", "g", "z", "b", "no"))


class Mention(NamedTuple):
    """A title in a text: character offsets and the catalog entries that it may mean."""

    begin: int
    end: int
    entries: tuple[int, ...]


@dataclass(slots=True)
class Clause:
    """Words of one clause.

    Attributes:
        words: in order, without the words of titles.
        topic: entries of the one item that it is about; empty if there is none or several.
        silent_from: character offset from which it states nothing.
        begin, end: character offsets.
        sentence: number of its sentence.
    """

    words: list[Word]
    topic: tuple[int, ...]
    silent_from: int
    begin: int
    end: int
    sentence: int


def clauses_of(
    words: Sequence[Word],
    mentions: Sequence[Mention],
    own: tuple[int, ...],
    language: Language,
) -> list[Clause]:
    """Split a text into clauses, with their items.

    Args:
        own: entries of the known subject of the text; empty if unknown.
    """
    found: list[Clause] = []
    current, after_line = own, False
    for number, (sentence, is_question) in enumerate(_sentences(words)):
        begins_line = after_line or number == 0
        after_line = bool(sentence) and sentence[-1].lower == "\n"
        for position, part in enumerate(_split(sentence, language)):
            inside = [m for m in mentions if part[0].begin <= m.begin < part[-1].end]
            if begins_line and position == 0 and not own and inside:
                current = ()  # a new line of a list
            free = [word for word in part if not _in_title(word, inside)]
            silent = part[0].begin if is_question else _silent_from(part, inside, language)
            named = list(dict.fromkeys(m.entries for m in inside if m.begin < silent))
            topic = named[0] if len(named) == 1 else () if named else current
            current = topic or current
            found.append(Clause(free, topic, silent, part[0].begin, part[-1].end, number))
    return found


def _in_title(word: Word, mentions: Sequence[Mention]) -> bool:
    return any(m.begin <= word.begin < m.end for m in mentions)


def _sentences(words: Sequence[Word]) -> Iterator[tuple[list[Word], bool]]:
    """Yield the words of each sentence, and whether it is a question."""
    current: list[Word] = []
    for place, word in enumerate(words):
        current.append(word)
        if word.lower not in _ENDS:
            continue
        if word.lower == "." and _goes_through(words, place):
            continue
        yield current, word.lower == "?"
        current = []
    if current:
        yield current, False


def _goes_through(words: Sequence[Word], place: int) -> bool:
    """Whether the point belongs to a number or an abbreviation."""
    before = words[place - 1] if place else None
    after = words[place + 1] if place + 1 < len(words) else None
    if before is None or after is None:
        return False
    glued = before.end == words[place].begin and after.begin == words[place].end
    number = before.lower.isdigit() and after.lower.isdigit()
    return (glued and number) or (before.lower in _ABBREVIATIONS and after.lower != "\n")


def _split(sentence: Sequence[Word], language: Language) -> Iterator[list[Word]]:
    """Split a sentence at marks and at the conjunctions that begin a clause."""
    openers = frozenset(grammar(language, "clauses"))
    current: list[Word] = []
    for place, word in enumerate(sentence):
        separates = word.lower in _SEPARATORS or (
            word.lower == "," and _is_comma(sentence, place, language)
        )
        if current and (
            separates or len(current) >= MAX_WORDS or (word.lower in openers and place)
        ):
            yield current
            current = []
        if not separates:
            current.append(word)
    if current:
        yield current


def _is_comma(sentence: Sequence[Word], place: int, language: Language) -> bool:
    """Whether the comma separates clauses, and not digits of a number or entries of a list."""
    if not 0 < place < len(sentence) - 1:
        return True
    before, after = sentence[place - 1], sentence[place + 1]
    glued = before.end == sentence[place].begin and after.begin == sentence[place].end
    if glued and before.lower.isdigit() and after.lower.isdigit():
        return False
    joins = (*grammar(language, "joins"), ".")
    entry = sentence[place + 1 : place + 2 + _LONGEST_ENTRY]
    return not any(word.lower in joins for word in entry)


def _silent_from(part: Sequence[Word], inside: Sequence[Mention], language: Language) -> int:
    """Character offset of the first taste frame, hedge or comparison with a title."""
    begins = [part[-1].end]
    for name in ("taste", "hedges"):
        begins += [part[begin].begin for begin, _ in phrase_set(language, name).places(part)]
    for begin, end in phrase_set(language, "than").places(part):
        ahead = part[end - 1].end
        if any(0 <= m.begin - ahead <= 5 for m in inside):
            begins.append(part[begin].begin)
    return min(begins)
