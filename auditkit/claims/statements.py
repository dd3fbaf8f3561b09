"""Statements of a clause, and the view of a clause that the extraction rules use."""

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
    """One statement whose item is not resolved yet: relation, value and character offsets.

    Attributes:
        labels: for a person, the graph's labels that the name may mean, by relation; otherwise
            empty.
        topics: the films that the statement is about; None for the topics of the clause.
    """

    relation: str
    value: str
    negated: bool
    begin: int
    end: int
    labels: dict[str, list[str]]
    topics: tuple[Topic, ...] | None = None


class Subject(NamedTuple):
    """A person that a clause is about, and whether the mention was negated."""

    piece: Span
    negated: bool


class Context(NamedTuple):
    """Context of a clause, from the preceding clauses.

    Attributes:
        sentence_has_verb: False for lists of tags, in which a bare word such as "drama" is a claim.
        sentence_has_fact: whether the sentence contains a title, a genre or a known person; for a
            sentence that is only a year, whether the text does.
        inherited: relation of the persons at the end of the previous clause, which continues in a
            list.
        subjects: persons that the clause may refer to.
        before: the previous clause of the same sentence.
        negated: whether the previous clause ends with "not".
    """

    sentence_has_verb: bool = False
    sentence_has_fact: bool = False
    inherited: str | None = None
    subjects: tuple[Subject, ...] = ()
    before: Clause | None = None
    negated: bool = False


class Scope:
    """A clause with the lookups that the extraction rules share."""

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
        """Whether the rightmost of these places is in the scope of a negation."""
        return self.all_negated or any(begin < max(places) < end for begin, end in self.negators)

    def kind(self, place: int) -> str:
        """Kind of the span at `place`; "" outside the clause."""
        return self.pieces[place].kind if 0 <= place < len(self.pieces) else ""

    def word(self, place: int) -> str:
        """Word at `place`; for a span that is not a word, its kind in capitals; "" outside the
        clause.
        """
        return self.words[place] if 0 <= place < len(self.words) else ""

    def cue(self, name: str, place: int) -> int:
        """Number of tokens of the phrase in lexicon list `name` that begins at `place`, or 0."""
        return phrases(name).at(self.words, place) if 0 <= place < len(self.words) else 0

    def has_cue(self, name: str) -> bool:
        """Whether the clause contains a phrase of the lexicon list `name`."""
        return phrases(name).anywhere(self.words)

    def is_any(self, place: int, name: str) -> bool:
        """Whether the word at `place` is in the list `name` of the lexicon, a list of single
        words.
        """
        return self.word(place) in lexicon()[name]

    def has_verb(self) -> bool:
        """Whether the clause contains a verb."""
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
        """Build a statement from the span at `place`; a negation at `place` or at one of the places
        `cues` negates it.
        """
        piece = self.pieces[place]
        negated = self.negated(place, *cues)
        return Stated(relation, value, negated, piece.begin, piece.end, labels or {}, topics)


def negators_of(words: Sequence[str]) -> list[tuple[int, int]]:
    """Find negations; return (index of the first word, end of the scope (exclusive)) of each."""
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
    """Placeholder value for a film, used until its item id is known."""
    return f"entry:{piece.entries[0]}"
