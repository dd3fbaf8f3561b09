"""What one clause states, and how its rules look at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from auditkit.claims.clauses import Clause, Topic
from auditkit.claims.lexicon import lexicon, phrases
from auditkit.claims.span import Span

__all__ = ["JOINING", "Context", "Scope", "Stated", "Subject", "entry_value", "negators_of"]

JOINING = frozenset((",", "and", "&", "or", "/", "nor"))
_SCOPE_ENDS = frozenset(("you", "it", "this", "he", "she", "they", "we", "there", "i"))
_FRONTED = ("instead", "rather", "far", "unlike")


class Stated(NamedTuple):
    """One statement before it is attached: relation, value, and where it stands.

    Attributes:
        labels: of a person, the names it may mean by relation; else empty.
        topics: the films it is about, None for those of the clause.
    """

    relation: str
    value: str
    negated: bool
    begin: int
    end: int
    labels: dict[str, list[str]]
    topics: tuple[Topic, ...] | None = None


class Subject(NamedTuple):
    """A person whom a clause is about, and whether that was negated."""

    piece: Span
    negated: bool


class Context(NamedTuple):
    """What the clauses in front of this one leave behind.

    Attributes:
        sentence_has_verb: False for lists of tags, where a bare word classifies.
        sentence_has_fact: does a title, a genre or a known person stand in the sentence, or in the
            text around a sentence that is nothing but a year?
        inherited: relation of the persons at the end of the clause before, for lists.
        subjects: persons whom the clause may go on about.
        before: the clause before, in the same sentence.
        negated: does the clause before end with "not"?
    """

    sentence_has_verb: bool = False
    sentence_has_fact: bool = False
    inherited: str | None = None
    subjects: tuple[Subject, ...] = ()
    before: Clause | None = None
    negated: bool = False


class Scope:
    """A clause with what its rules need to look at again and again."""

    def __init__(self, clause: Clause, context: Context) -> None:
        self.clause, self.pieces, self.words = clause, clause.pieces, clause.words
        self.context = context
        self.negators = negators_of(self.words)
        self.is_tag = clause.in_brackets or not context.sentence_has_verb
        ending = [word for word in self.words if word not in (".", "!", "\n", ",")]
        postposed = ending[-2:] in (["is", "not"], ["was", "not"]) or ending[-1:] in (
            ["isn't"],
            ["wasn't"],
        )
        self.all_negated = (
            clause.denied or context.negated or (postposed and ending[-3:-2] == ["it"])
        )

    def negated(self, *places: int) -> bool:
        """Is what stands at the last of these places denied?"""
        return self.all_negated or any(begin < max(places) < end for begin, end in self.negators)

    def kind(self, place: int) -> str:
        """Kind of a piece, empty outside."""
        return self.pieces[place].kind if 0 <= place < len(self.pieces) else ""

    def word(self, place: int) -> str:
        """A word, the kind of another piece in capitals, empty outside."""
        return self.words[place] if 0 <= place < len(self.words) else ""

    def cue(self, name: str, place: int) -> int:
        """Length of the phrase of this list that begins at `place`."""
        return phrases(name).at(self.words, place) if 0 <= place < len(self.words) else 0

    def has_cue(self, name: str) -> bool:
        """Does any phrase of this list stand in the clause?"""
        return phrases(name).anywhere(self.words)

    def is_any(self, place: int, name: str) -> bool:
        """Is the word at `place` one of this list of single words?"""
        return self.word(place) in lexicon()[name]

    def has_verb(self) -> bool:
        """Does the clause hold a verb?"""
        return any(word in lexicon()["verbs"] for word in self.words)

    def say(
        self,
        relation: str,
        value: str,
        place: int,
        *cues: int,
        topics: tuple[Topic, ...] | None = None,
        labels: dict[str, list[str]] | None = None,
    ) -> Stated:
        """A statement about the piece at `place`; `cues` are further places that may be negated."""
        piece = self.pieces[place]
        negated = self.negated(place, *cues)
        return Stated(relation, value, negated, piece.begin, piece.end, labels or {}, topics)


def negators_of(words: Sequence[str]) -> list[tuple[int, int]]:
    """(place of a negation, behind the last word that it covers)."""
    excused = {
        place for begin, end in phrases("not_negators").places(words) for place in range(begin, end)
    }
    found = []
    for begin, end in phrases("negators").places(words):
        if begin in excused:
            continue
        covers = len(words) + 1
        if words[begin] in _FRONTED:
            ends = [at for at in range(end + 1, len(words)) if words[at] in _SCOPE_ENDS]
            covers = min([covers, *ends])
        found.append((begin, covers))
    return found


def entry_value(piece: Span) -> str:
    """Stands for a film until its id is known."""
    return f"entry:{piece.entries[0]}"
