"""Whether a value belongs to a part of the item, such as its lid or its box, and not to the item.

The noun that a value belongs to is, in this order: the head of the nouns after it ("a red gift
box"), the noun in front of it or of its cue phrase ("a lid of glass", "the lamp black"), and the
subject of its verb ("the handle, like the knob, is red"). If this noun is a part in the pack, or if
it is not a word for the item and not in its title or category, the value is not a value of the
item.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from auditkit.claims.typed.candidates import Candidate
from auditkit.claims.typed.language import grammar, stems
from auditkit.claims.typed.scope import MARKS, Scope
from auditkit.claims.typed.vocabulary import Known
from auditkit.domains.pack import Language

__all__ = ["is_noun", "is_of_part", "role_of"]

Role = Literal["item", "listed", "unknown"]
_FARTHEST = 30  # words between a verb and the value of its subject
_LONGEST_RUN = 5  # words of a group of nouns
_SHORTEST_HEAD = 4  # letters of a noun that ends a compound
_SHORTEST_END = 3  # of the end of a noun for the item, such as "Uhr"


@lru_cache(maxsize=32)
def _words(language: Language, name: str) -> frozenset[str]:
    return frozenset(grammar(language, name))


def is_of_part(scope: Scope, known: Known, candidate: Candidate) -> bool:
    """Whether a value belongs to a part of the item. A price, year or name does so only if the
    domain pack lists the part.
    """
    if not scope.parts.heads or known.spec.free:
        return False
    role = _role_after(scope, known, candidate)
    if role is None and known.spec.type != "price":
        role = _role_before(scope, known, candidate)
    if role is None:
        role = _role_of_subject(scope, known, candidate.first)
    if role is None:
        role = _role_after_verb(scope, known, candidate.end)
    described = known.spec.type in ("text", "quantity", "size")
    return role == "listed" or (role == "unknown" and described)


def _is_adverb(scope: Scope, word: str) -> bool:
    return word in _words(scope.language, "adverbs") or (
        scope.language == "en" and word.endswith("ly")
    )


def is_noun(scope: Scope, place: int) -> bool:
    """Whether a word may be a noun. In German, it must be capitalized, and the first word of a
    clause must be a word for a part.
    """
    if not 0 <= place < len(scope.words):
        return False
    word = scope.words[place]
    if not word.lower.isalpha() or word.lower in _words(scope.language, "stops"):
        return False
    if place in scope.valued or _is_adverb(scope, word.lower):
        return False
    if scope.language == "en":
        return len(word.lower) > 1
    return word.raw[0].isupper() and (place > 0 or scope.parts.has(word.lower, "de"))


def role_of(scope: Scope, known: Known, place: int) -> Role:
    """Whether a noun denotes the item, a part that the pack lists, or something unknown."""
    word, language = scope.lower(place), scope.language
    if word in _words(language, "stand_ins") or known.cues(language, "nouns").at(
        scope.words, place
    ):
        return "item"
    if any(
        known.cues(one, side).at(scope.words, place)
        for one in ("en", "de")  # a short text may not show its language
        for side in ("before", "after")
    ):
        return "item"
    ways = stems(word, language)
    if scope.own.main & set(ways) or _ends_main_noun(scope, ways):
        return "item"
    if scope.parts.has(word, language, compounds=False):
        return "listed"
    if scope.names & set(ways) or scope.own.words & set(ways) or _is_compound(scope, ways):
        return "item"
    return "listed" if scope.parts.has(word, language) else "unknown"


def _ends_main_noun(scope: Scope, ways: Sequence[str]) -> bool:
    """Whether a noun is the end of a German noun for the item: "Schirm" for "Regenschirm"."""
    return scope.language == "de" and any(
        one.endswith(way) for one in scope.own.main for way in ways if len(way) >= _SHORTEST_END
    )


def _is_compound(scope: Scope, ways: Sequence[str]) -> bool:
    """Whether a German noun ends with a noun for the item: "Edelstahlflasche" for "Flasche"."""
    return scope.language == "de" and any(
        way.endswith(one) for one in scope.own.main for way in ways if len(one) >= _SHORTEST_HEAD
    )


def _role_after(scope: Scope, known: Known, candidate: Candidate) -> Role | None:
    """Role of the head of the nouns after a value: "a red leather strap", "eine rote Schachtel"."""
    german = scope.language == "de"
    at, run = candidate.end, 0
    glued = scope.lower(at) == "-"
    if german and not glued and scope.is_noun_value(candidate):
        return None
    found: list[Role] = []
    while at < len(scope.words) and run < _LONGEST_RUN and at not in scope.titles:
        word = scope.lower(at)
        joined = word in scope.joins and at + 1 in scope.valued and not scope.numeric(candidate)
        if word == "-" or joined or at in scope.valued:
            at += 1
            continue
        if not word.isalpha() or word in _words(scope.language, "stops"):
            break
        if not german and (_is_adverb(scope, word) or not is_noun(scope, at)):
            break
        run += 1
        if not german or is_noun(scope, at):
            found.append(role_of(scope, known, at))
        if german and found:
            break
        at += 1
    if not found:
        return "item" if at in scope.titles and at > candidate.end else None
    if found[-1] == "unknown" and ("item" in found or _is_shown(scope, candidate.first)):
        return "item"
    return found[-1]


def _is_shown(scope: Scope, first: int) -> bool:
    """Whether "this" or a maker is in front of the value: "this red pot", "Kessel's red pot"."""
    before = scope.lower(first - 1)
    made = before == "'s" and first - 2 in scope.valued
    return made or before in _words(scope.language, "shown")


def _role_before(scope: Scope, known: Known, candidate: Candidate) -> Role | None:
    """Role of the noun in front of a value or of its cue phrase: "a lid made of glass"."""
    cue = scope.cue_begin(known, candidate)
    at = cue - 1
    while at >= 0 and _is_adverb(scope, scope.lower(at)):
        if scope.lower(at) in _words(scope.language, "selves"):
            return "item" if not scope.parts.has(scope.lower(at - 1), scope.language) else "listed"
        at -= 1
    if at + 1 in scope.titles:
        return "item"
    if not is_noun(scope, at) or scope.lower(cue) in _words(scope.language, "verbs"):
        return None
    role = role_of(scope, known, at)
    if role != "unknown" or scope.language == "de":
        return role
    return role if _determiner_before(scope, at) is not None else None


def _determiner_before(scope: Scope, place: int) -> int | None:
    """Place of the determiner that opens the group of nouns ending at `place`."""
    for at in range(place - 1, max(-1, place - _LONGEST_RUN), -1):
        if scope.lower(at) in _words(scope.language, "articles"):
            return at
        if at + 1 in scope.titles or not (at in scope.valued or is_noun(scope, at)):
            return None
    return None


def _role_of_subject(scope: Scope, known: Known, first: int) -> Role | None:
    """Role of the subject of the nearest verb before a value that has a subject."""
    verbs = _words(scope.language, "verbs")
    end = first
    for at in range(first - 1, max(-1, first - _FARTHEST), -1):
        if scope.lower(at) in _words(scope.language, "subjects"):
            if scope.lower(at - 1) not in _words(scope.language, "prepositions"):
                return "item"
            continue
        if scope.lower(at) not in verbs:
            role = _role_of_new_subject(scope, known, at)
            if role is not None:
                return role
            continue
        if scope.language == "de":
            nearest = end == first
            begin = max(at + 1, _group_begin(scope, first))
            role = _first_german(scope, known, begin, first) if nearest else None
            role = role or _first_german(scope, known, _group_begin(scope, at), at)
        else:
            role = _english_subject(scope, known, at)
        if role is not None:
            return role
        end = at
    return _role_of_antecedent(scope, first)


def _role_of_new_subject(scope: Scope, known: Known, at: int) -> Role | None:
    """Role of nouns after "and the", in front of a verb that is not in the grammar."""
    articles = _words(scope.language, "articles")
    if scope.lower(at) not in articles or scope.lower(at - 1) not in scope.joins:
        return None
    found: list[Role] = []
    for place in range(at + 1, min(at + 1 + _LONGEST_RUN, len(scope.words))):
        if not is_noun(scope, place):
            break
        found.append(role_of(scope, known, place))
    return next((role for role in found if role != "unknown"), None)


def _role_of_antecedent(scope: Scope, first: int) -> Role | None:
    """Role of the part in the previous clauses to which a clause without a subject refers."""
    begins = scope.lower(0)
    if begins in _words(scope.language, "clause_relatives"):
        before = scope.follows
    elif begins in _words(scope.language, "verbs"):
        before = scope.heading
    else:
        return None
    bare = not any(is_noun(scope, at) for at in range(1, first) if scope.language == "de")
    return "listed" if before and bare and scope.parts.has(before, scope.language) else None


def _role_after_verb(scope: Scope, known: Known, end: int) -> Role | None:
    """Role of a German subject after value and verb: "Aus Glas ist nur der Deckel"."""
    if scope.language == "en" or scope.lower(end) not in _words("de", "verbs"):
        return None
    return _first_german(scope, known, end + 1, min(len(scope.words), end + _LONGEST_RUN + 1))


def _group_begin(scope: Scope, end: int) -> int:
    """First word after the last mark, verb or conjunction before a word."""
    stop = scope.joins | MARKS | _words(scope.language, "verbs")
    at = end
    while at > 0 and end - at < _FARTHEST and scope.lower(at - 1) not in stop:
        at -= 1
    return at


def _first_german(scope: Scope, known: Known, begin: int, end: int) -> Role | None:
    """Role of the first pronoun, title or noun."""
    for at in range(begin, end):
        if at in scope.titles or scope.lower(at) in _words("de", "pronouns"):
            return "item"
        if is_noun(scope, at):
            role = role_of(scope, known, at)
            shown = any(scope.lower(one) in _words("de", "shown") for one in range(at - 2, at))
            return "item" if shown and role == "unknown" else role
    return "item" if end in scope.titles and end > begin else None


def _english_subject(scope: Scope, known: Known, verb: int) -> Role | None:
    """Role of the noun that a group of nouns in front of a verb is about: "the lid of the pot"."""
    at = verb - 1
    skipped = _words("en", "relatives")
    while at >= 0 and (_is_adverb(scope, scope.lower(at)) or scope.lower(at) in skipped):
        at -= 1
    prepositions = _words("en", "prepositions")
    role: Role | None = None
    for _ in range(_LONGEST_RUN):  # groups that prepositions join
        if at + 1 in scope.titles or scope.lower(at) in _words("en", "pronouns"):
            role = "item"
            at -= at + 1 not in scope.titles
        elif is_noun(scope, at):
            role = role_of(scope, known, at)
            opens = _determiner_before(scope, at)
            if role == "unknown":
                role = _unknown_subject(scope, known, opens)
        elif at not in scope.valued:
            return role
        while at >= 0 and (is_noun(scope, at) or at in scope.valued):
            at -= 1
        while at >= 0 and scope.lower(at) in _words("en", "articles"):
            at -= 1
        if scope.lower(at) not in prepositions:
            return role
        at -= 1
    return role


def _unknown_subject(scope: Scope, known: Known, opens: int | None) -> Role | None:
    """Role of another noun by its determiner: "this bag" is the item, "a footstool" is not."""
    if opens is None:
        return None
    if scope.lower(opens) in _words("en", "shown"):
        return "item"
    other = known.spec.type == "price" and scope.lower(opens) in ("a", "an", "its", "another")
    return "listed" if other else "unknown"
