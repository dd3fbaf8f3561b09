"""Read the typed claims of one text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from auditkit.claims.typed.candidates import Option, candidates_in
from auditkit.claims.typed.clauses import Clause, Mention, clauses_of
from auditkit.claims.typed.language import language_of, words_of
from auditkit.claims.typed.quantities import quantities_in
from auditkit.claims.typed.rules import Accepted, accepted_in
from auditkit.claims.typed.vocabulary import Known, OwnWords, Vocabulary
from auditkit.domains.pack import Language

__all__ = ["TypedClaim", "TypedReading", "read_typed"]


@dataclass(frozen=True)
class TypedClaim:
    """A fact that a text states, not yet verified.

    Attributes:
        entries: catalog entries of the item.
        operator: comparison of a number, `<`, `>` or `>=`; "" for equality.
        language: language of the text.
        span: character offsets of the words, end exclusive.
    """

    known: Known
    value: str
    key: str
    operator: str
    negated: bool
    strength: Literal["stated", "implied"]
    entries: tuple[int, ...]
    language: Language
    span: tuple[int, int]


@dataclass(frozen=True)
class TypedReading:
    """Claims of one text, and the character offsets of its factual clauses with a claim and without
    a claim.
    """

    claims: tuple[TypedClaim, ...]
    parsed: tuple[tuple[int, int], ...]
    unparsed: tuple[tuple[int, int], ...]


def read_typed(
    text: str,
    mentions: Sequence[Mention],
    own: tuple[int, ...],
    vocabulary: Vocabulary,
    owned: Callable[[tuple[int, ...], Language, Option], bool],
    own_words: Callable[[tuple[int, ...]], OwnWords],
) -> TypedReading:
    """Extract the typed claims of one text.

    Args:
        mentions: titles in the text, in order.
        own: catalog entries of the known subject; empty if unknown.
        owned: returns whether an item has a value in the catalog.
        own_words: returns the words of an item's titles and categories.
    """
    words = words_of(text)
    language = language_of(words)
    quantities = list(quantities_in(text, language))
    begins = [quantity.begin for quantity in quantities]
    claims: list[TypedClaim] = []
    parsed: list[tuple[int, int]] = []
    unparsed: list[tuple[int, int]] = []
    for clause in clauses_of(words, mentions, own, language):
        if not clause.topic:
            continue
        near = quantities[bisect_left(begins, clause.begin) : bisect_left(begins, clause.end)]
        found = candidates_in(clause, text, near, vocabulary, language)
        spoken = [c for c in found if not clause.is_silent(clause.words[c.first].begin)]
        if not spoken:
            continue
        held = partial(owned, clause.topic, language)
        names = own_words(clause.topic)
        facts = accepted_in(clause, found, vocabulary, language, held, names)
        claims += [_claim(fact, clause, language) for fact in facts]
        (parsed if facts else unparsed).append((clause.begin, clause.end))
    return TypedReading(tuple(claims), tuple(parsed), tuple(unparsed))


def _claim(fact: Accepted, clause: Clause, language: Language) -> TypedClaim:
    words = clause.words[fact.candidate.first : fact.candidate.end]
    option = fact.option
    return TypedClaim(
        option.known, option.value, option.key, fact.operator, fact.negated, fact.strength,
        clause.topic, language, (words[0].begin, words[-1].end),
    )  # fmt: skip
