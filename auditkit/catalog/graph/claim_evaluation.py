"""Evaluation of claims and constraints against a graph.

These functions select the relevant values of an item from any store; `verdict_rules` contains the
rules for verdicts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from auditkit.catalog.graph.schema import KINDS, Condition, Constraint, Predicate, Triples, Verdict
from auditkit.catalog.graph.typed_values import (
    NumberRange,
    claimed_range,
    constrained_range,
    days_of,
)
from auditkit.catalog.graph.verdict_rules import Judgment, decide, negation_of
from auditkit.errors import InvalidArgument

__all__ = ["conditions_of", "judge", "meets", "merged"]

SAME = "same:"
SEQUEL_OF = "sequel_of"
_NUMERIC = ("integer", "real", "date")
# (predicate, whether it leads from the sequel to its predecessor)
_SEQUELS = (("sequel_of", True), ("prequel", True), ("sequel", False), ("prequel_of", False))


class _Wanted(NamedTuple):
    """Values that a claim or constraint accepts: codes of terms, or a range of numbers."""

    codes: frozenset[int] = frozenset()
    numbers: NumberRange | None = None


def judge(graph: Triples, row: int, predicate: str, value: str) -> Judgment:
    """Return verdict and evidence for the claim that an item has a value of a predicate; see
    `KnowledgeGraph.verdict` for the predicates and values.

    Raises:
        CatalogError: `value` must be an item id, but is not in the catalog.
    """
    if predicate.startswith(SAME):
        return _shared(graph, row, graph.row(value), predicate.removeprefix(SAME))
    if predicate == SEQUEL_OF:
        return _sequel(graph, row, graph.row(value))
    p = graph.codes.get(predicate)
    if p is None:
        return Judgment("unverifiable")
    wanted = _claimed(graph, p, value)
    if wanted is None:
        return Judgment("unverifiable")
    objects = _objects(graph, row, p)
    right = _matching(graph, p, objects, wanted)
    verdict = _decide(graph, p, objects, right, wanted)
    shown = {"supported": right, "contradicted": objects, "unverifiable": []}[verdict]
    return Judgment(verdict, _evidence(graph, row, p, shown))


def meets(graph: Triples, row: int, constraint: Constraint) -> Verdict:
    """Return the verdict on the statement that an item meets a constraint.

    Raises:
        InvalidArgument: an order comparison has a value that is not a number or date.
    """
    p = graph.codes.get(constraint.predicate)
    if p is None:
        return "unverifiable"
    wanted, objects = _constrained(graph, constraint, p), _objects(graph, row, p)
    verdict = _decide(graph, p, objects, _matching(graph, p, objects, wanted), wanted)
    return negation_of(verdict) if constraint.operator == "!=" else verdict


def conditions_of(graph: Triples, constraint: Constraint) -> list[Condition] | None:
    """Return conditions that select exactly the items that certainly meet a constraint; None if no
    item can meet it.

    Raises:
        InvalidArgument: an order comparison has a value that is not a number or date.
    """
    p = graph.codes.get(constraint.predicate)
    if p is None:
        return None
    wanted = _constrained(graph, constraint, p)
    ranges = tuple((code, code + 1) for code in sorted(wanted.codes))
    if wanted.numbers is not None:
        ranges = _codes_in(graph, p, wanted.numbers, possibly=constraint.operator == "!=")
    if constraint.operator != "!=":
        return [Condition(p, ranges)]
    if graph.predicates[p].world == "open":
        return None  # a value that it does not contain is unknown
    conditions = [
        Condition(p, ((0, graph.terms.starts[-1]),)),
        Condition(p, ranges, present=False),
    ]
    nameless = _nameless(graph)
    if nameless and not any(code in nameless for code in wanted.codes):
        conditions.append(Condition(p, ((nameless.start, nameless.stop),), present=False))
    return conditions


def merged(conditions: Sequence[Condition], predicates: Sequence[Predicate]) -> list[Condition]:
    """Merge all conditions on one functional predicate, which has a single value, by intersecting
    their ranges.
    """
    ranges: dict[int, tuple[int, int]] = {}
    others = []
    for condition in conditions:
        p, found, present = condition
        if predicates[p].world == "functional" and present and len(found) == 1:
            begin, end = ranges.get(p, found[0])
            ranges[p] = (max(begin, found[0][0]), min(end, found[0][1]))
        else:
            others.append(condition)
    return [*(Condition(p, (found,)) for p, found in ranges.items()), *others]


def _decide(
    graph: Triples, p: int, objects: Sequence[int], right: Sequence[int], wanted: _Wanted
) -> Verdict:
    """Verdict on a claim.

    The values of an item contradict a claimed name only if all of them have names, and a claimed
    day only if none of them is a month or year that contains this day.
    """
    nameless = _nameless(graph)
    comparable = any(code in nameless for code in wanted.codes) or not any(
        code in nameless for code in objects
    )
    others = bool(objects) and comparable and not _overlapping(graph, p, objects, wanted)
    return decide(graph.predicates[p].world, stated=bool(right), others=others)


def _claimed(graph: Triples, p: int, value: str) -> _Wanted | None:
    """The values that agree with a claim; None if the claimed value is a text but the predicate is
    numeric.
    """
    of = graph.predicates[p].type
    if of not in _NUMERIC:
        return _Wanted(frozenset(graph.terms.codes(value)))
    numbers = claimed_range(value, of)
    return None if numbers is None else _Wanted(numbers=numbers)


def _constrained(graph: Triples, constraint: Constraint, p: int) -> _Wanted:
    """Values that meet a constraint; for `!=`, the values that violate it."""
    of = graph.predicates[p].type
    if constraint.operator in ("=", "!=") and of not in _NUMERIC:
        return _Wanted(frozenset(graph.terms.codes(constraint.value)))
    try:
        return _Wanted(numbers=constrained_range(constraint.operator, constraint.value, of))
    except ValueError as error:
        raise InvalidArgument(
            f"the constraint {constraint.predicate} {constraint.operator} {constraint.value!r} "
            f"cannot be checked: {error}. Give a number or date, or use = or !=."
        ) from None


def _matching(graph: Triples, p: int, objects: Sequence[int], wanted: _Wanted) -> list[int]:
    """The values that certainly agree; a date without a day agrees only if all of its days do."""
    if wanted.numbers is None:
        return [code for code in objects if code in wanted.codes]
    low, high = wanted.numbers
    spans = _spans(graph, p, objects)
    return [
        code
        for code, span in zip(objects, spans, strict=True)
        if span is not None and low <= span.low and span.high <= high
    ]


def _overlapping(graph: Triples, p: int, objects: Sequence[int], wanted: _Wanted) -> bool:
    """Whether a value is a date without a day of which only some days agree."""
    if wanted.numbers is None:
        return False
    low, high = wanted.numbers
    return any(
        span is not None and span.low <= high and low <= span.high and span.low < span.high
        for span in _spans(graph, p, objects)
    )


def _spans(graph: Triples, p: int, objects: Sequence[int]) -> list[NumberRange | None]:
    """The range of each number or date; None for other terms."""
    is_date = graph.predicates[p].type == "date"
    return [
        None if number is None else days_of(number) if is_date else NumberRange(number, number)
        for number in graph.terms.numbers(objects)
    ]


def _shared(graph: Triples, row: int, other: int, name: str) -> Judgment:
    """Judge `same:NAME` by the predicate NAME if both items have values of it, and otherwise by
    Freebase ids.
    """
    for named in (name, f"fb:{name}"):
        p = graph.codes.get(named)
        if p is None:
            continue
        ours, theirs = _objects(graph, row, p), _objects(graph, other, p)
        if not ours or not theirs:
            continue
        both = [code for code in ours if code in set(theirs)]
        verdict = decide(graph.predicates[p].world, stated=bool(both), others=True)
        if verdict == "unverifiable":
            return Judgment(verdict)
        evidence = _evidence(graph, row, p, both or ours)
        return Judgment(verdict, evidence + _evidence(graph, other, p, both or theirs))
    return Judgment("unverifiable")


def _sequel(graph: Triples, row: int, other: int) -> Judgment:
    """Judge `sequel_of` by a direct triple in either direction."""
    contradicted: Judgment | None = None
    for name, forward in ((prefix + b, f) for b, f in _SEQUELS for prefix in ("", "fb:")):
        p = graph.codes.get(name)
        if p is None:
            continue
        s, o = (row, other) if forward else (other, row)
        objects = _objects(graph, s, p)
        if o in objects:
            return Judgment("supported", _evidence(graph, s, p, [o]))
        if forward and _decide(graph, p, objects, [], _Wanted()) == "contradicted":
            contradicted = Judgment("contradicted", _evidence(graph, s, p, objects))
    return contradicted or Judgment("unverifiable")


def _objects(graph: Triples, row: int, p: int) -> list[int]:
    found: list[int] = graph.store.objects([row], [p]).values.tolist()
    return found


def _evidence(
    graph: Triples, row: int, p: int, objects: Sequence[int]
) -> tuple[tuple[str, str, str], ...]:
    if not objects:
        return ()
    subject, *values = graph.terms.texts([row, *objects])
    return tuple((subject, graph.predicates[p].name, value) for value in values)


def _nameless(graph: Triples) -> range:
    """Codes of entities without names."""
    place = KINDS.index("id")
    return range(graph.terms.starts[place], graph.terms.starts[place + 1])


def _codes_in(
    graph: Triples, p: int, allowed: NumberRange, *, possibly: bool = False
) -> tuple[tuple[int, int], ...]:
    """Codes [begin, end) of the numbers or dates that are in the range `allowed`.

    Args:
        possibly: whether to include dates without a day of which only some days are in the range.
    """
    predicate = graph.predicates[p]
    place = KINDS.index(predicate.kind)
    codes = range(graph.terms.starts[place], graph.terms.starts[place + 1])

    def number(code: int) -> float:
        return graph.terms.numbers([code])[0] or 0.0

    low = codes.start + bisect_left(codes, allowed.low, key=number)
    high = max(low, codes.start + bisect_right(codes, allowed.high, key=number))
    if predicate.type != "date":
        return ((low, high),)
    # Dates without a day are sorted before the days of their month or year.
    partial = [code for code in codes if (span := days_of(number(code))).low < span.high]
    if possibly:
        before = [c for c in partial if c < low and days_of(number(c)).high >= allowed.low]
        return (*((code, code + 1) for code in before), (low, high))
    cut = [c for c in partial if low <= c < high and days_of(number(c)).high > allowed.high]
    edges = [low, *(edge for code in cut for edge in (code, code + 1)), high]
    return tuple(
        (begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True) if begin < end
    ) or ((low, low),)
