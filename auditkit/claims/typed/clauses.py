"""Clauses of a text with the item that each is about, in any language of `grammar.yaml`.

A clause is about the one item that it names outside a comparison or, without one, about the item of
the previous clause. A clause makes no claim after a statement of taste ("if you like"), a hedge or
a comparison ("than X"). A question makes no claim.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auditkit.claims.typed.language import Word, grammar, phrase_set
from auditkit.domains.pack import Language

__all__ = ["Clause", "Mention", "clauses_of"]

_NEAR = 8  # characters between a comparison and its title
MAX_WORDS = 200  # of a clause
_LONGEST_ENTRY = 2  # words of an entry of a list
_LONGEST_HEADING = 5  # words
_LONGEST_LABEL = 2  # words of a label, as in "Price: $20"
_ENDS = frozenset((".", "!", "?", "\n", ";"))
_SEPARATORS = frozenset(("|", "\u2014", "\u2013", "(", ")", "[", "]", "\u2022"))
_BULLETS = frozenset(("-", "*", "\u2022", "#"))
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
        words: words in order, without the words of titles.
        topic: catalog entries of the item that the clause is about; empty for no item or several
            items.
        titles: indices in `words` before which a title was removed.
        silent: character ranges that make no claim, such as questions.
        follows: last word of the previous clause of the same sentence.
        heading: last word of the first clause of the sentence, if that clause is only a few nouns.
        begin, end: character offsets.
        sentence: number of the sentence in the text.
    """

    words: list[Word]
    topic: tuple[int, ...]
    silent: tuple[tuple[int, int], ...]
    begin: int
    end: int
    sentence: int
    titles: frozenset[int] = frozenset()
    follows: str = ""
    heading: str = ""

    def is_silent(self, offset: int) -> bool:
        """Whether the word at a character offset is in a part that makes no claim."""
        return _is_within(self.silent, offset)


def _is_within(ranges: Iterable[tuple[int, int]], offset: int) -> bool:
    return any(begin <= offset < end for begin, end in ranges)


def clauses_of(
    words: Sequence[Word],
    mentions: Sequence[Mention],
    own: tuple[int, ...],
    language: Language,
) -> list[Clause]:
    """Split a text into clauses, each with the item that it is about.

    Args:
        mentions: titles in the text, in order and without overlaps.
        own: catalog entries of the known subject of the text; empty if unknown.
    """
    found: list[Clause] = []
    begins = [mention.begin for mention in mentions]
    current, after_line, heading = own, False, ""
    for number, (sentence, is_question) in enumerate(_sentences(words)):
        begins_line = after_line or number == 0
        after_line = bool(sentence) and sentence[-1].lower == "\n"
        for position, part in enumerate(_split(sentence, language)):
            inside = mentions[
                bisect_left(begins, part[0].begin) : bisect_left(begins, part[-1].end)
            ]
            entry = inside or part[0].lower.isdigit() or part[0].lower in _BULLETS
            if begins_line and position == 0 and not own and entry:
                current = ()  # a new line of a list
            free = [word for word in part if not _in_title(word, inside)]
            whole = ((part[0].begin, part[-1].end),)
            silent = whole if is_question else tuple(_silent(part, inside, language))
            named = list(
                dict.fromkeys(m.entries for m in inside if not _is_within(silent, m.begin))
            )
            topic = named[0] if len(named) == 1 else () if named else current
            current = topic or current
            starts = [word.begin for word in free]
            titles = frozenset(bisect_left(starts, m.begin) for m in inside)
            span = (part[0].begin, part[-1].end)
            follows = found[-1].words[-1].lower if position and found[-1].words else ""
            if position < 2:
                heading = follows if position and _is_heading(found[-1], language) else ""
            found.append(Clause(free, topic, silent, *span, number, titles, follows, heading))
    return found


def _is_heading(clause: Clause, language: Language) -> bool:
    """Whether a clause is only a few nouns, as in "the legs, made of oak, are 20 cm tall"."""
    verbs = grammar(language, "verbs")
    return len(clause.words) <= _LONGEST_HEADING and not any(w.lower in verbs for w in clause.words)


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
    """Whether a period belongs to a number or an abbreviation."""
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
        label = word.lower == ":" and len(current) <= _LONGEST_LABEL
        separates = (word.lower in (*_SEPARATORS, ":") and not label) or (
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


def _is_number(words: Sequence[Word]) -> bool:
    """Whether a number begins here, after at most a currency sign."""
    return any(word.lower.isdigit() for word in words) and not words[0].lower.isalpha()


def _silent(
    part: Sequence[Word], inside: Sequence[Mention], language: Language
) -> Iterator[tuple[int, int]]:
    """Character ranges after a taste frame, a hedge or a comparison."""
    ends = part[-1].end
    for name in ("taste", "hedges"):
        for begin, _ in phrase_set(language, name).places(part):
            yield part[begin].begin, ends
    for begin, end in phrase_set(language, "than").places(part):
        if any(0 <= m.begin - part[end - 1].end <= _NEAR for m in inside):
            yield part[begin].begin, ends
    for begin, end in phrase_set(language, "more_than").places(part):
        bound = end - begin > 1 or part[begin - 1].lower in ("less", "more")
        if not (bound and _is_number(part[end : end + 2])):
            yield part[begin].begin, _next_join(part, end, language)


def _next_join(part: Sequence[Word], place: int, language: Language) -> int:
    """Character offset of the first word for "and" after a word; without one, of the end."""
    joins = grammar(language, "joins")
    return next((word.begin for word in part[place:] if word.lower in joins), part[-1].end)
