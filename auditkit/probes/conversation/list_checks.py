"""Checks on the lists of a conversation: repeated items, rejected items, and constraints.

Every check converts conversations to rows. A turn whose answer has no readable list has no items to
check; `no_list_rate` counts such turns. A turn that was not answered counts as missing in every
check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.conversations.dialogue import Dialogue, HeldTurn, item_key
from auditkit.probes.conversation.rows import Row
from auditkit.types import RankedItem

__all__ = ["WHEN", "broken_constraints", "missing_lists", "rejected_items", "repeated_items"]

When = Literal["stated", "later"]
WHEN: tuple[When, ...] = ("stated", "later")


def missing_lists(dialogues: Sequence[Dialogue]) -> Iterator[Row]:
    """Yield a row for each turn that asks for a list: whether the answer has no readable list."""
    for one in dialogues:
        for number, held in _lists(one):
            if held is None:
                yield Row(one.unit, None)
            else:
                what = (
                    f"turn {number}: the user asked for {held.turn.k} items, but the answer lists "
                    "none"
                )
                yield _row(one, held, not held.items, what)


def repeated_items(dialogues: Sequence[Dialogue]) -> Iterator[Row]:
    """Yield a row for each item after the first list: whether an earlier turn listed the item.

    Rejected items are not counted here but in `rejected_items`.
    """
    for one in dialogues:
        seen: dict[str, int] = {}
        rejected: set[str] = set()
        for number, held in _lists(one):
            if held is None:
                yield Row(one.unit, None)
                continue
            rejected |= _rejected_by(one, number)
            keys = [item_key(item) for item in held.items]
            for key, item in zip(keys, held.items, strict=True):
                if seen and key not in rejected:
                    what = (
                        f"turn {number} lists {item.raw}, which turn {seen.get(key)} already listed"
                    )
                    yield _row(one, held, key in seen, what)
            seen = {**dict.fromkeys(keys, number), **seen}


def rejected_items(dialogues: Sequence[Dialogue]) -> Iterator[Row]:
    """Yield a row for each list with rejected or forbidden items: whether it contains one of
    them.
    """
    for one in dialogues:
        rejected = set(one.scenario.forbidden)
        for number, held in _lists(one):
            rejected |= _rejected_by(one, number)
            if held is None:
                yield Row(one.unit, None)
            elif rejected and held.items:
                wrong = [item.raw for item in held.items if item_key(item) in rejected]
                named = wrong[0] if wrong else ""
                what = f"turn {number} lists {named}, which the user had rejected or forbidden"
                yield _row(one, held, bool(wrong), what)


def broken_constraints(
    dialogues: Sequence[Dialogue], catalog: Catalog, *, when: When
) -> Iterator[Row]:
    """Yield a row for each listed item: whether it breaks a constraint, according to the catalog.

    Args:
        dialogues: the conversations.
        catalog: catalog with the facts. An item that is not in the catalog or whose facts are
            unknown cannot be scored.
        when: `stated` for constraints of the same turn, `later` for constraints of earlier turns.
    """
    for one in dialogues:
        for number, held in _lists(one):
            turns = one.scenario.turns
            here = turns[number - 1].states
            before = [c for turn in turns[: number - 1] for c in turn.states]
            start = one.scenario.constraints
            now = [*here, *(start if number == 1 else ())]
            held_to = now if when == "stated" else [*(start if number > 1 else ()), *before]
            if held is None:
                yield from [Row(one.unit, None)] * bool(held_to)
                continue
            for item in held.items if held_to else ():
                broken = _broken(item, held_to, catalog)
                what = f"turn {number} lists {item.raw}, which breaks {_named(broken or [])}"
                yield _row(one, held, None if broken is None else bool(broken), what)


def _broken(
    item: RankedItem, constraints: Sequence[Constraint], catalog: Catalog
) -> list[Constraint] | None:
    """Return the constraints that an item breaks; None if none is broken but one is undecided."""
    if item.item_id is None:
        return None
    verdicts = [catalog.graph.constraint_verdict(item.item_id, [c]) for c in constraints]
    broken = [c for c, v in zip(constraints, verdicts, strict=True) if v == "contradicted"]
    return None if not broken and "unverifiable" in verdicts else broken


def _named(constraints: Sequence[Constraint]) -> str:
    return " and ".join(f"{c.predicate} {c.operator} {c.value}" for c in constraints)


def _lists(one: Dialogue) -> Iterator[tuple[int, HeldTurn | None]]:
    """Yield number, from 1, and answer of every turn that asks for a list; None if not answered."""
    for place, turn in enumerate(one.scenario.turns):
        if turn.k:
            held = one.held[place] if place < len(one.held) else None
            yield place + 1, held if held is not None and held.response is not None else None


def _rejected_by(one: Dialogue, number: int) -> set[str]:
    """Return the keys of the items that the user has rejected up to a turn."""
    return {key for held in one.held[:number] for key in held.rejected}


def _row(one: Dialogue, held: HeldTurn, wrong: bool | None, what: str) -> Row:
    return Row(one.unit, wrong, held.requests[-1], what) if wrong else Row(one.unit, wrong)
