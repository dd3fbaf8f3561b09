"""Values in a clause that may be facts of its item: names, words, quantities, years and sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditkit.claims.typed.clauses import Clause
from auditkit.claims.typed.dates import dates_in
from auditkit.claims.typed.language import Word, grammar
from auditkit.claims.typed.quantities import CURRENCIES, Quantity
from auditkit.claims.typed.vocabulary import Known, Vocabulary, group_key
from auditkit.domains.pack import Language

__all__ = ["Candidate", "Option", "candidates_in"]

_LETTER_SIZE = re.compile(r"(?:X{0,3}S|M|X{0,3}L|[2-5]XL)")
_FIRST_YEAR, _LAST_YEAR = 1850, 2100
_LARGEST_SIZE = 70  # of shoes and clothes


@dataclass(frozen=True)
class Option:
    """One reading of a value: the predicate, and the value as a claim states it."""

    known: Known
    value: str
    key: str = ""


@dataclass(frozen=True)
class Candidate:
    """A value in a clause: words `first` up to `end` (exclusive) and its possible readings."""

    first: int
    end: int
    options: tuple[Option, ...]


def candidates_in(
    clause: Clause,
    text: str,
    quantities: Sequence[Quantity],
    vocabulary: Vocabulary,
    language: Language,
) -> list[Candidate]:
    """Find the values in a clause, in order; of overlapping values, the longest.

    Args:
        quantities: the quantities that begin in the clause.
    """
    found = [
        *_of_dates(clause, text, vocabulary, language),
        *_of_numbers(clause, quantities, vocabulary),
        *_of_sizes(clause, vocabulary, language),
        *_of_labels(clause, vocabulary, language),
    ]
    found += _of_unknown_names(clause, found, vocabulary, language)
    found.sort(key=lambda one: (one.first - one.end, one.first))
    taken = [False] * len(clause.words)
    kept = []
    for one in found:
        if not any(taken[one.first : one.end]):
            taken[one.first : one.end] = [True] * (one.end - one.first)
            kept.append(one)
    return sorted(kept, key=lambda one: one.first)


def _of_labels(clause: Clause, vocabulary: Vocabulary, language: Language) -> Iterator[Candidate]:
    """Values that are words or names; readings of the same length belong to one candidate."""
    for place, word in enumerate(clause.words):
        if not word.lower[0].isalnum():
            continue
        by_end: dict[int, dict[tuple[str, str], Option]] = {}
        for end, known, key in vocabulary.values_at(clause.words, place, language):
            label = known.labels.get(key)
            raw = " ".join(w.raw for w in clause.words[place:end])
            option = Option(known, label if label is not None else raw, key)
            by_end.setdefault(end, {}).setdefault((known.name, key), option)
        if by_end:
            longest = max(by_end)
            yield Candidate(place, longest, tuple(by_end[longest].values()))


def _of_unknown_names(
    clause: Clause, found: Sequence[Candidate], vocabulary: Vocabulary, language: Language
) -> Iterator[Candidate]:
    """Names that the catalog does not have, after a cue phrase of several words: "made by Zorba".

    A name in front of another noun ("made by Swiss engineers") is not read.
    """
    taken = {place for one in found for place in range(one.first, one.end)}
    ends = frozenset(("", *grammar(language, "joins"), *grammar(language, "fillers")))
    for known in vocabulary.known:
        capitals = language == "en" or known.spec.free  # every noun of German has a capital
        if known.spec.type != "entity" or not known.in_graph or not capitals:
            continue
        for begin, first in known.cues(language, "before").places(clause.words):
            end = first
            while end < len(clause.words) and clause.words[end].raw[0].isupper():
                end += 1
            after = clause.words[end].lower if end < len(clause.words) else ""
            closed = not after.isalnum() or after in ends
            if first - begin > 1 and first < end and closed and not taken & set(range(first, end)):
                raw = " ".join(word.raw for word in clause.words[first:end])
                yield Candidate(first, end, (Option(known, raw, group_key(raw)),))


def _of_numbers(
    clause: Clause, quantities: Sequence[Quantity], vocabulary: Vocabulary
) -> Iterator[Candidate]:
    """Numbers with a unit, and years."""
    for quantity in quantities:
        place = _words_of(clause.words, quantity)
        if place is None:
            continue
        options = tuple(
            Option(known, quantity.text)
            for known in vocabulary.known
            if quantity.unit is not None and _fits(known, quantity.unit.dimension)
        )
        if quantity.unit is None and _is_year(clause.words[place[0] : place[1]]):
            options = tuple(
                Option(known, clause.words[place[0]].raw)
                for known in vocabulary.known
                if known.spec.type == "year"
            )
        if options:
            yield Candidate(*place, options)


def _fits(known: Known, dimension: str) -> bool:
    """Whether a predicate may have a number of this dimension."""
    if known.spec.type == "price":
        return dimension in CURRENCIES
    if known.spec.type == "size":
        return dimension == "length"
    return known.spec.type == "quantity" and dimension in known.dimensions


def _words_of(words: Sequence[Word], quantity: Quantity) -> tuple[int, int] | None:
    """The words that a quantity covers; None if a title covers it."""
    inside = [i for i, w in enumerate(words) if quantity.begin <= w.begin < quantity.end]
    return (inside[0], inside[-1] + 1) if inside else None


def _is_year(words: Sequence[Word]) -> bool:
    raw = words[0].raw
    four = len(words) == 1 and len(raw) == 4 and raw.isdecimal()
    return four and _FIRST_YEAR <= int(raw) <= _LAST_YEAR


def _of_sizes(clause: Clause, vocabulary: Vocabulary, language: Language) -> Iterator[Candidate]:
    """Letters such as XL, and bare numbers, in a clause with a word for size."""
    for known in vocabulary.known:
        if known.spec.type != "size":
            continue
        cue = next(known.cues(language, "before").places(clause.words), None)
        if cue is None:
            continue
        for place in range(cue[0], len(clause.words)):
            raw = clause.words[place].raw
            number = raw.isdecimal() and int(raw) <= _LARGEST_SIZE and _is_bare(clause, place)
            if _LETTER_SIZE.fullmatch(raw) or number:
                yield Candidate(place, place + 1, (Option(known, raw),))


def _is_bare(clause: Clause, place: int) -> bool:
    """Whether a number is not part of a decimal number and has a word of size in front of it."""
    before = clause.words[place - 1].lower if place else ""
    after = [word.lower for word in clause.words[place + 1 : place + 3]]
    decimal = len(after) > 1 and after[0] in (".", ",") and after[1].isdigit()
    return (
        not decimal and before not in (".", ",", "x", "$") and after[:1] not in (["x"], ["\u20ac"])
    )


def _of_dates(
    clause: Clause, text: str, vocabulary: Vocabulary, language: Language
) -> Iterator[Candidate]:
    """Full dates, for predicates whose values are dates."""
    dated = [known for known in vocabulary.known if known.spec.type == "date"]
    if not dated:
        return
    months = grammar(language, "months")
    for begin, end, date in dates_in(text[clause.begin : clause.end], months):
        inside = [i for i, w in enumerate(clause.words) if begin <= w.begin - clause.begin < end]
        if inside:
            options = tuple(Option(known, date) for known in dated)
            yield Candidate(inside[0], inside[-1] + 1, options)
