"""Segmentation of a text into sentences and clauses, and detection of words that claim nothing.

The rest of a clause claims nothing after a user-taste frame ("if you like", "fans of") or a hedge.
The last clause of a question and a clause that the text retracts claim nothing either.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from auditkit.claims.lexicon import lexicon, phrases
from auditkit.claims.span import Span

__all__ = ["OPENING", "Clause", "Topic", "clauses_of"]

Topic = tuple[int, ...]
OPENING = ("(", "[")
NOWHERE = sys.maxsize  # after the last span of any clause
MAX_PIECES = 400  # limits a clause, because rules look back and ahead within it
_ENDS = frozenset((".", "!", "?", "\n"))
_INITIALS = re.compile(r"(?:[A-Z]\.)*[A-Z]")
_SEPARATORS = frozenset((";", ":", "\u2014", "\u2013", "(", ")", "[", "]", "|", "\u2022", "\u2026"))
_LISTED = frozenset(("person", "genre", "title", "place", "year"))


@dataclass(slots=True)
class Clause:
    """A clause: consecutive spans of a sentence, and the films that they are about.

    Attributes:
        pieces: the spans in order.
        opener: the mark before the clause; without a mark, its first word; "" at the beginning of a
            sentence.
        sentence: number of the sentence.
        topics: catalog entries of each film that the clause is about; empty if unknown.
        explicit: whether the clause itself names these films.
        silent_from: index of the first span of the part that claims nothing, because a statement of
            taste, a hedge or a question begins there.
        denied: whether the clause is a question that the text answers with no.
        in_brackets: whether the clause is in round or square brackets.
        contrasted: (film, whether the text calls it similar) for each film that is compared.
    """

    pieces: list[Span]
    opener: str
    sentence: int
    topics: tuple[Topic, ...] = ()
    explicit: bool = False
    silent_from: int = NOWHERE
    denied: bool = False
    in_brackets: bool = False
    contrasted: list[tuple[Topic, bool]] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """Words of the clause; a span that is not a word is represented by its kind in capitals."""
        return _words(self.pieces)


def clauses_of(pieces: Sequence[Span]) -> list[Clause]:
    """Group the spans of a text into clauses without topics, which `find_topics` sets."""
    found: list[Clause] = []
    questions: list[Clause] = []
    for number, (sentence, is_question) in enumerate(_sentences(pieces)):
        parts = list(_split(sentence, number))
        for clause in parts:
            clause.silent_from = _frame(clause.words)
        if parts[0].words[:1] and parts[0].words[0] in lexicon()["denials"]:
            for clause in questions:
                clause.denied, clause.silent_from = True, NOWHERE
        if is_question:
            parts[-1].silent_from = 0
            questions += parts if len(parts) == 1 else []
        else:
            questions = []
        found += parts
    for before, clause in pairwise(found):
        if phrases("retractions").anywhere(clause.words):
            before.silent_from = 0
    return found


def _words(pieces: Iterable[Span]) -> list[str]:
    return [p.lower if p.kind in ("word", "mark") else p.kind.upper() for p in pieces]


def _frame(words: Sequence[str]) -> int:
    """Index of the first word of a taste frame or a hedge; `NOWHERE` without one."""
    begins = [begin for name in ("taste", "hedges") for begin, _ in phrases(name).places(words)]
    return min(begins, default=NOWHERE)


def _sentences(pieces: Iterable[Span]) -> Iterator[tuple[list[Span], bool]]:
    """Yield each sentence and whether it is a question."""
    current: list[Span] = []
    for piece in pieces:
        ends = piece.kind == "mark" and piece.lower in _ENDS
        if ends and piece.lower == "." and current and _is_abbreviation(current[-1]):
            continue
        current.append(piece)
        if ends:
            yield current, piece.lower == "?"
            current = []
    if current:
        yield current, False


def _is_abbreviation(piece: Span) -> bool:
    return piece.lower in lexicon()["abbreviated"] or _INITIALS.fullmatch(piece.raw) is not None


def _split(sentence: Sequence[Span], number: int) -> Iterator[Clause]:
    current: list[Span] = []
    opener, inside = "", False
    for place, piece in enumerate(sentence):
        if _separates(sentence, place):
            yield Clause(current, opener, number, in_brackets=inside)
            current, opener = [], piece.lower
            inside = opener in OPENING or (inside and opener not in (")", "]"))
        elif current and _begins_clause(sentence, place):
            yield Clause(current, opener, number, in_brackets=inside)
            current, opener = [piece], piece.lower
        elif len(current) >= MAX_PIECES:
            yield Clause(current, opener, number, in_brackets=inside)
            current, opener = [piece], ""
        else:
            current.append(piece)
    yield Clause(current, opener, number, in_brackets=inside)


def _separates(sentence: Sequence[Span], place: int) -> bool:
    """Whether a mark ends a clause here."""
    piece = sentence[place]
    if piece.kind != "mark":
        return False
    before = sentence[place - 1] if place else None
    after = sentence[place + 1] if place + 1 < len(sentence) else None
    spaced = before is None or before.end < piece.begin
    if piece.lower == ":":
        return before is None or before.lower not in lexicon()["field_names"]
    if piece.lower == "-":
        return spaced and (after is None or piece.end < after.begin)
    if piece.lower == "/":
        return spaced
    if piece.lower in _SEPARATORS:
        return True
    return piece.lower == "," and not _within_list(sentence, place)


def _within_list(sentence: Sequence[Span], place: int) -> bool:
    """Whether the comma separates two spans of the same kind, such as persons or genres."""
    if not 0 < place < len(sentence) - 1:
        return False
    before, after = sentence[place - 1], sentence[place + 1]
    fronted = place > 1 and sentence[place - 2].lower in lexicon()["before_single_title"]
    compared = any(p.lower in ("like", "unlike") for p in sentence[max(0, place - 6) : place])
    if before.kind == "title" and (fronted or compared):
        return False  # "Compared with Heat, Thief is older"
    if after.lower in ("and", "or", "&") and place + 2 < len(sentence):
        after = sentence[place + 2]
    following = sentence[place + 2] if place + 2 < len(sentence) else after
    return following.lower != "'s" and before.kind == after.kind and before.kind in _LISTED


def _begins_clause(sentence: Sequence[Span], place: int) -> bool:
    """Whether a conjunction or relative pronoun begins a clause here."""
    piece, before = sentence[place], sentence[place - 1]
    ahead = _words(sentence[place + 1 : place + 5])
    if piece.kind != "word" or not ahead:
        return False
    if piece.lower == "but" and before.lower in ("anything", "nothing", "all"):
        return False
    if piece.lower in lexicon()["subordinate"]:
        return not (piece.lower == "so" and ahead[0] == "much")
    if piece.lower != "and":
        return False
    if ahead[0] in lexicon()["verbs"] or ahead[0] in lexicon()["participles"]:
        return True
    if phrases("pronouns").at(ahead, 0) and ahead[0] not in ("both", "that", "this"):
        return True
    follows_verb = ahead[1:2] and ahead[1] in lexicon()["verbs"]
    if ahead[0] == "TITLE":
        return before.kind != "title" and bool(
            follows_verb or ahead[1:2] in (["a"], ["an"], ["by"])
        )
    if ahead[0] == "PERSON":
        return before.kind != "person" and bool(follows_verb)
    return ahead[:2] in (["the", "former"], ["the", "latter"])
