"""Whether a value in a clause is a fact of the clause's item, and of which predicate.

A cue phrase next to the value makes the claim `stated`. Without one it is `implied`: a number whose
unit only one predicate has, a name or word that counts anywhere in its clause (`free`), or a word
next to a word for the item. A phrase of `apart` near the value makes it a fact of something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from auditkit.claims.typed.apart import is_another_value
from auditkit.claims.typed.candidates import Candidate, Option
from auditkit.claims.typed.clauses import Clause
from auditkit.claims.typed.language import grammar, phrase_set
from auditkit.claims.typed.parts import is_of_part
from auditkit.claims.typed.scope import MARKS, Scope
from auditkit.claims.typed.vocabulary import Known, OwnWords, Vocabulary
from auditkit.domains.pack import Language

__all__ = ["Accepted", "accepted_in"]

Strength = Literal["stated", "implied"]
_OPENING = 3  # words in front of a noun that opens a clause


@dataclass(frozen=True)
class Accepted:
    """A value that a clause states as a fact of the item, with its reading, strength and
    comparison, and whether it is negated.
    """

    candidate: Candidate
    option: Option
    strength: Strength
    operator: str
    negated: bool


def accepted_in(
    clause: Clause,
    candidates: Sequence[Candidate],
    vocabulary: Vocabulary,
    language: Language,
    owned: Callable[[Option], bool],
    own: OwnWords,
) -> list[Accepted]:
    """Select the values that a clause states as facts of its item.

    Args:
        owned: returns whether the catalog has this value for the clause's item; used to choose
            between predicates whose type the value fits equally well.
        own: words of the titles and categories of the clause's item.
    """
    scope = Scope(clause, candidates, vocabulary, language, own)
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
    scope: Scope, candidate: Candidate, owned: Callable[[Option], bool]
) -> Accepted | None:
    options = [o for o in candidate.options if not _is_of_another(scope, o.known, candidate)]
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


def _is_of_another(scope: Scope, known: Known, candidate: Candidate) -> bool:
    """Whether a value is a fact of another thing: a part, a rival, a difference or a use."""
    return (
        scope.is_apart(known, candidate)
        or is_another_value(scope, known, candidate)
        or is_of_part(scope, known, candidate)
    )


def _one_of(options: Sequence[Option], owned: Callable[[Option], bool]) -> Option | None:
    """Return the only option or, of several options, the only one whose value the item has."""
    if len(options) <= 1:
        return options[0] if options else None
    own = [option for option in options if owned(option)]
    return own[0] if own else (options[0] if len({o.known.name for o in options}) == 1 else None)


def _is_implied(scope: Scope, candidate: Candidate, known: Known, *, owned: bool) -> bool:
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


def _names_item(scope: Scope, candidate: Candidate, known: Known) -> bool:
    """Whether a word for the item follows within three words: "the matte black 2022 drill"."""
    nouns = known.cues(scope.language, "nouns")
    for at in range(candidate.end, min(candidate.end + 4, len(scope.words))):
        word = scope.lower(at)
        if word in scope.items or nouns.at(scope.words, at):
            return True
        if word in MARKS - {"-", '"'} or word in scope.joins:
            return False
        if word in ("is", "ist", "in", "of", "with", "mit", "for"):
            return False
    return candidate.end == len(scope.words) and _follows_article(scope, candidate)


def _follows_article(scope: Scope, candidate: Candidate) -> bool:
    """Whether the clause ends with article and value, before a title: "the black | AeroBrew"."""
    return scope.lower(candidate.first - 1) in grammar(scope.language, "determiners")


def _opens_clause(scope: Scope, candidate: Candidate) -> bool:
    """Whether the value describes the noun at the beginning of the clause: "The red pot is",
    "Kessel's red pot is".
    """
    opening = grammar(scope.language, "determiners")
    after = scope.lower(candidate.end)
    first = 0 < candidate.first <= _OPENING and scope.lower(0) in opening
    return (first or scope.lower(candidate.first - 1) == "'s") and after.isalpha()


def _alone(scope: Scope, candidate: Candidate) -> bool:
    """Whether the value is a whole clause, or begins one: "White and made of plastic"."""
    after, before = scope.lower(candidate.end), scope.words[: candidate.first]
    opening = (*grammar(scope.language, "clauses"), *scope.joins)
    begins = all(word.lower in opening for word in before)
    listed = bool(before) and before[-1].lower == ","
    return (begins or listed) and (not after or after in MARKS or after in scope.joins)


def _is_joined(scope: Scope, candidate: Candidate, known: Known) -> bool:
    """Whether "and", "or" or a comma joins the value with an accepted value of the same
    predicate.
    """
    left, right = candidate.first - 1, candidate.end
    while scope.lower(left) in scope.joins:
        left -= 1
    while scope.lower(right) in scope.joins:
        right += 1
    back = left < candidate.first - 1 and scope.taken.get(left) is known
    return back or (right > candidate.end and scope.taken.get(right) is known)


def _is_said(scope: Scope, candidate: Candidate) -> bool:
    """Whether the value is what the item is: "the table is brown"."""
    at = candidate.first - 1
    while at > 0 and (scope.lower(at) in scope.fillers - frozenset(grammar(scope.language, "is"))):
        at -= 1
    while at > 0 and any(begin <= at < end for begin, end in scope.negators):
        at -= 1
    after = scope.lower(candidate.end)
    ends = not after or after in MARKS or after in scope.joins
    return ends and scope.lower(at) in grammar(scope.language, "is")


def _operator(scope: Scope, candidate: Candidate) -> str | None:
    """Comparison `<`, `>` or "" by the words before a number; None if the number is only
    approximate.
    """
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


def _is_negated(scope: Scope, candidate: Candidate) -> bool:
    """Whether a negation is at most six words in front of the value."""
    return any(
        begin < candidate.first and candidate.first - end <= 6 for begin, end in scope.negators
    )
