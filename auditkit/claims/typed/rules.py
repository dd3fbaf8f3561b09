"""Whether a value in a clause is a fact of the clause's item, and of which predicate.

A cue phrase next to the value makes the claim `stated`. Without one it is `implied`: a number whose
unit only one predicate has, a name or word that counts anywhere in its clause (`free`), or a word
next to a word for the item. A phrase of `apart` near the value makes it a fact of something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from auditkit.claims.typed.candidates import Candidate, Option
from auditkit.claims.typed.clauses import Clause
from auditkit.claims.typed.language import PhraseSet, grammar, phrase_set
from auditkit.claims.typed.vocabulary import Known, Vocabulary
from auditkit.domains.pack import Language

__all__ = ["Accepted", "accepted_in"]

Strength = Literal["stated", "implied"]
_LONGEST_CUE = 6
_OPENING = 3  # words in front of a noun that opens a clause
_MARKS = frozenset((".", ",", "!", ":", "\n", "-", '"', "'", "\u201c", "\u201d", "\u201e", "*"))


@dataclass(frozen=True)
class Accepted:
    """A value that is a fact of the item: its reading, its strength, its comparison, and whether it
    is negated.
    """

    candidate: Candidate
    option: Option
    strength: Strength
    operator: str
    negated: bool


class _Scope:
    """A clause with the lookups that the rules share."""

    def __init__(self, clause: Clause, vocabulary: Vocabulary, language: Language) -> None:
        self.words, self.language = clause.words, language
        self.items = vocabulary.item_words
        self.joins = frozenset(grammar(language, "joins"))
        self.fillers = frozenset(grammar(language, "fillers"))
        self.negators = self._negators()
        self.taken: dict[int, Known] = {}  # predicate of each word of an accepted value

    def lower(self, place: int) -> str:
        return self.words[place].lower if 0 <= place < len(self.words) else ""

    def _negators(self) -> list[tuple[int, int]]:
        excused = {
            place
            for begin, end in phrase_set(self.language, "excused").places(self.words)
            for place in range(begin, end)
        }
        found = phrase_set(self.language, "negators").places(self.words)
        return [(begin, end) for begin, end in found if begin not in excused]

    def ends_before(self, phrases: PhraseSet, place: int) -> bool:
        """Whether a phrase ends right before a word."""
        return any(
            phrases.at(self.words, begin) == place - begin
            for begin in range(max(0, place - _LONGEST_CUE), place)
        )

    def steps_back(self, known: Known, candidate: Candidate) -> int:
        """Distance to a cue phrase in front of the value; 0 if there is none."""
        cues, at, skipped = known.cues(self.language, "before"), candidate.first, 0
        most = 1 if known.is_label else 2
        while at > 0 and candidate.first - at < 12:
            if self.ends_before(cues, at):
                return candidate.first - at + 1
            word = self.words[at - 1].lower
            easy = word in (*self.fillers, *self.joins, *self.items, *_MARKS)
            if not easy and self.taken.get(at - 1) is not known:
                skipped += 1
                if skipped > most or (at - 1) in self.taken:
                    return 0
            at -= 1
        return 0

    def cue_follows(self, known: Known, candidate: Candidate) -> bool:
        """Whether a cue phrase follows the value, after at most two easy words."""
        cues = known.cues(self.language, "after")
        for at in range(candidate.end, min(candidate.end + 3, len(self.words))):
            if cues.at(self.words, at):
                return True
            if self.lower(at) not in self.fillers and self.lower(at) not in _MARKS:
                return at == candidate.end and bool(
                    at + 1 < len(self.words) and cues.at(self.words, at + 1)
                )
        return False

    def is_apart(self, known: Known, candidate: Candidate) -> bool:
        """Whether a phrase that makes the value another thing's is within three words of it."""
        begin, end = max(0, candidate.first - 4), min(len(self.words), candidate.end + 3)
        phrases = known.cues(self.language, "apart")
        return any(
            phrases.at(self.words, at)
            for at in range(begin, end)
            if not candidate.first <= at < candidate.end
        )


def accepted_in(
    clause: Clause,
    candidates: Sequence[Candidate],
    vocabulary: Vocabulary,
    language: Language,
    owned: Callable[[Option], bool],
) -> list[Accepted]:
    """The facts of the clause.

    Args:
        owned: whether the catalog has this value for the clause's item; it decides between
            predicates whose type the value fits equally well.
    """
    scope = _Scope(clause, vocabulary, language)
    found: dict[int, Accepted] = {}
    for step in (candidates, candidates[::-1]):  # "red or black": the second may need the first
        for candidate in step:
            silent = clause.is_silent(scope.words[candidate.first].begin)
            if candidate.first in found or silent:
                continue
            read = _reading(scope, candidate, owned)
            if read is not None:
                found[candidate.first] = read
                scope.taken |= dict.fromkeys(
                    range(candidate.first, candidate.end), read.option.known
                )
    return [found[first] for first in sorted(found)]


def _reading(
    scope: _Scope, candidate: Candidate, owned: Callable[[Option], bool]
) -> Accepted | None:
    options = [o for o in candidate.options if not scope.is_apart(o.known, candidate)]
    if not options:
        return None
    near = [(scope.steps_back(o.known, candidate), o) for o in options]
    cued = sorted(((n, i) for i, (n, _) in enumerate(near) if n))
    following = [o for o in options if scope.cue_follows(o.known, candidate)]
    strength: Strength = "stated"
    if following and (not cued or cued[0][0] > 1):
        chosen = _one_of(following, owned)
    elif cued:
        best = [near[i][1] for n, i in cued if n == cued[0][0]]
        chosen = _one_of(best, owned)
    else:
        strength = "implied"
        implied = [o for o in options if _is_implied(scope, candidate, o.known, owned=owned(o))]
        chosen = _one_of(implied, owned)
    operator = _operator(scope, candidate)
    if chosen is None or operator is None:
        return None
    return Accepted(candidate, chosen, strength, operator, _is_negated(scope, candidate))


def _one_of(options: Sequence[Option], owned: Callable[[Option], bool]) -> Option | None:
    """The only option, else the only one whose value the item has."""
    if len(options) <= 1:
        return options[0] if options else None
    own = [option for option in options if owned(option)]
    return own[0] if own else (options[0] if len({o.known.name for o in options}) == 1 else None)


def _is_implied(scope: _Scope, candidate: Candidate, known: Known, *, owned: bool) -> bool:
    """Whether a value without a cue phrase is a fact of the item."""
    kind = known.spec.type
    if kind in ("quantity", "price"):
        return True
    if kind == "size":
        return owned or _names_item(scope, candidate, known)
    if known.spec.free:
        return True
    if kind == "text" and _opens_clause(scope, candidate):
        return True
    if kind in ("year", "text") and (
        _names_item(scope, candidate, known) or _alone(scope, candidate)
    ):
        return True
    return kind == "text" and (_is_joined(scope, candidate, known) or _is_said(scope, candidate))


def _names_item(scope: _Scope, candidate: Candidate, known: Known) -> bool:
    """Whether a word for the item follows within three words: "the matte black 2022 drill"."""
    nouns = known.cues(scope.language, "nouns")
    for at in range(candidate.end, min(candidate.end + 4, len(scope.words))):
        word = scope.lower(at)
        if word in scope.items or nouns.at(scope.words, at):
            return True
        if word in _MARKS - {"-", '"'} or word in scope.joins:
            return False
        if word in ("is", "ist", "in", "of", "with", "mit", "for"):
            return False
    return candidate.end == len(scope.words) and _follows_article(scope, candidate)


def _follows_article(scope: _Scope, candidate: Candidate) -> bool:
    """Whether the clause ends with article and value, before a title: "the black | AeroBrew"."""
    return scope.lower(candidate.first - 1) in grammar(scope.language, "determiners")


def _opens_clause(scope: _Scope, candidate: Candidate) -> bool:
    """Whether the value describes the noun that opens the clause: "The turquoise bottle is"."""
    opening = grammar(scope.language, "determiners")
    after = scope.lower(candidate.end)
    return 0 < candidate.first <= _OPENING and scope.lower(0) in opening and after.isalpha()


def _alone(scope: _Scope, candidate: Candidate) -> bool:
    """Whether the value is a clause of its own, or opens one: "White and made of plastic"."""
    after, before = scope.lower(candidate.end), scope.words[: candidate.first]
    opening = (*grammar(scope.language, "clauses"), *scope.joins)
    begins = all(word.lower in opening for word in before)
    listed = bool(before) and before[-1].lower == ","
    return (begins or listed) and (not after or after in _MARKS or after in scope.joins)


def _is_joined(scope: _Scope, candidate: Candidate, known: Known) -> bool:
    """Whether "and", "or" or a comma joins it with an accepted value of the same predicate."""
    left, right = candidate.first - 1, candidate.end
    while scope.lower(left) in scope.joins:
        left -= 1
    while scope.lower(right) in scope.joins:
        right += 1
    back = left < candidate.first - 1 and scope.taken.get(left) is known
    return back or (right > candidate.end and scope.taken.get(right) is known)


def _is_said(scope: _Scope, candidate: Candidate) -> bool:
    """Whether the value is what the item is: "the table is brown"."""
    at = candidate.first - 1
    while at > 0 and (scope.lower(at) in scope.fillers - frozenset(grammar(scope.language, "is"))):
        at -= 1
    while at > 0 and any(begin <= at < end for begin, end in scope.negators):
        at -= 1
    after = scope.lower(candidate.end)
    ends = not after or after in _MARKS or after in scope.joins
    return ends and scope.lower(at) in grammar(scope.language, "is")


def _operator(scope: _Scope, candidate: Candidate) -> str | None:
    """`<`, `>` or "" by the words in front of a number; None if it is not meant exactly."""
    if not scope.words[candidate.first].lower[0].isdigit() and not (
        candidate.end > candidate.first + 1 and scope.lower(candidate.end - 1).isdigit()
    ):
        return ""
    at = candidate.first
    while at > 1 and scope.lower(at - 1) in ("the", "only", "just", "nur", "\u20ac", "$"):
        at -= 1
    for name, operator in (("inexact", None), ("below", "<"), ("above", ">"), ("since", ">=")):
        if scope.ends_before(phrase_set(scope.language, name), at):
            return operator
    return ""


def _is_negated(scope: _Scope, candidate: Candidate) -> bool:
    """Whether a negation is at most six words in front of the value."""
    return any(
        begin < candidate.first and candidate.first - end <= 6 for begin, end in scope.negators
    )
