"""Detect values that are not values of the item: a difference, a former value, a rival's value or a
use.

"$100 less than its rival", "30 g lighter", "instead of $59.99", "a rival at $899", "enough for a 2
kg roast".
"""

from __future__ import annotations

from auditkit.claims.typed.candidates import Candidate
from auditkit.claims.typed.language import grammar, phrase_set
from auditkit.claims.typed.parts import is_noun, role_of
from auditkit.claims.typed.scope import Scope
from auditkit.claims.typed.vocabulary import Known

__all__ = ["is_another_value"]

_LONGEST_GAP = 4  # words between a phrase and the value that it is about
_ITEM_WITHIN = 3  # words after a value


def is_another_value(scope: Scope, known: Known, candidate: Candidate) -> bool:
    """Whether the words around a value show that it is not a fact of the item: a difference ("2 cm
    longer"), a replaced value or a use.
    """
    if _is_replaced(scope, candidate):
        return True
    if not scope.numeric(candidate) or known.spec.type in ("year", "date"):
        return False
    if _is_difference(scope, candidate):
        return True
    return known.spec.type != "price" and _is_use(scope, known, candidate)


def _is_replaced(scope: Scope, candidate: Candidate) -> bool:
    """Whether the value is the first after "instead of" or "the rival at"."""
    phrases = phrase_set(scope.language, "replaced")
    ends = scope.joins | frozenset(grammar(scope.language, "pronouns"))
    for at in range(candidate.first - 1, max(-1, candidate.first - _LONGEST_GAP - 1), -1):
        if at in scope.valued or scope.lower(at) in ends:
            return False
        length = phrases.at(scope.words, at)
        if length:
            return at + length <= candidate.first
    return False


def _is_difference(scope: Scope, candidate: Candidate) -> bool:
    """Whether a comparative follows the number, or "by" and a comparative precede it."""
    differences = grammar(scope.language, "differences")  # "leicht" is none, so endings matter
    at = candidate.end
    following = scope.lower(at)
    if following in differences or f"{following} {scope.lower(at + 1)}" in differences:
        return True
    by = scope.lower(candidate.first - 1) in grammar(scope.language, "by")
    return by and (scope.language == "de" or scope.lower(candidate.first - 2) in differences)


def _is_use(scope: Scope, known: Known, candidate: Candidate) -> bool:
    """Whether a phrase such as "for up to a" precedes a number that is not followed by a word for
    the item.

    A noun in front of "up to" names what the number is about: "loaves up to 1.5 kg".
    """
    language = scope.language
    between = frozenset(grammar(language, "articles")) | frozenset(grammar(language, "up_to"))
    between |= frozenset(grammar(language, "adverbs"))
    at, uses = candidate.first, phrase_set(language, "uses")
    while at > 0 and candidate.first - at < _LONGEST_GAP and scope.lower(at - 1) in between:
        at -= 1
    limited = scope.lower(at) in grammar(language, "up_to") and is_noun(scope, at - 1)
    of_other = limited and role_of(scope, known, at - 1) != "item"
    if not (of_other or scope.ends_before(uses, at)):
        return False
    follows = range(candidate.end, candidate.end + _ITEM_WITHIN)
    return not any(scope.lower(place) in scope.items for place in follows)
