"""Checks on tool calls: missing, needless, unknown, malformed and endless calls, ignored
results.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from auditkit.conversations.dialogue import Dialogue, HeldTurn
from auditkit.conversations.scenario import NeededCall, Turn
from auditkit.conversations.tool_log import ToolRecord
from auditkit.conversations.toolbox import Toolbox
from auditkit.probes.conversation.rows import Row
from auditkit.probes.conversation.tool_scenarios import (
    FAILING_TURN,
    LOOK_UP_TURN,
    SEARCH_TURN,
    ToolCase,
)

__all__ = [
    "bad_arguments", "ignored_results", "invented_results", "loops", "missing_calls",
    "needless_calls", "unknown_tools",
]  # fmt: skip

_SAME_CALL = 3  # equal calls in one turn that count as a loop
_NUMBER = re.compile(r"(?<![\w.(])\d+(?![\w)])")


def missing_calls(dialogues: Sequence[Dialogue]) -> Iterator[Row]:
    """Yield a row for each turn that needs a tool call: whether the right call is missing.

    A look-up is right if it names the item. A search is right if it returned items and all of them
    meet the constraint.
    """
    for one, number, held in _turns(dialogues, lambda turn: isinstance(turn.calls, NeededCall)):
        if held is None:
            yield Row(one.unit, None)
            continue
        needed, box = held.turn.calls, one.toolbox
        right = [
            call
            for call in held.calls
            if isinstance(needed, NeededCall) and box is not None and _is_right(call, needed, box)
        ]
        made = ", ".join(f"{call.name}({call.arguments})" for call in held.calls) or "none"
        what = f"turn {number} needs a call of {_needs(needed)}, but the calls are: {made[:300]}"
        yield Row(one.unit, not right, held.requests[-1], what)


def needless_calls(dialogues: Sequence[Dialogue]) -> Iterator[Row]:
    """Yield a row for each turn that needs no tool: whether a tool is called."""
    for one, number, held in _turns(dialogues, lambda turn: turn.calls == "none"):
        if held is None:
            yield Row(one.unit, None)
        else:
            named = ", ".join(call.name for call in held.calls)
            what = f"turn {number} needs no tool, but the assistant calls {named}"
            yield Row(one.unit, bool(held.calls), held.requests[-1], what)


def unknown_tools(dialogues: Sequence[Dialogue]) -> Iterator[Row]:
    """Yield a row for each turn: whether a tool is called that was not offered."""
    yield from _failures(dialogues, "unknown_tool", "calls a tool that does not exist")


def bad_arguments(dialogues: Sequence[Dialogue]) -> Iterator[Row]:
    """Yield a row for each turn: whether a tool is called with invalid arguments."""
    yield from _failures(dialogues, "bad_arguments", "calls a tool with invalid arguments")


def loops(dialogues: Sequence[Dialogue]) -> Iterator[Row]:
    """Yield a row for each turn: whether it reached the limit of rounds or repeated a call three
    times.
    """
    for one, number, held in _turns(dialogues, lambda turn: True):
        if held is None:
            yield Row(one.unit, None)
            continue
        equal = Counter((call.name, call.arguments) for call in held.calls)
        most = max(equal.values(), default=0)
        what = f"turn {number} makes {len(held.calls)} calls, {most} of them equal"
        looped = held.exhausted or most >= _SAME_CALL
        yield Row(one.unit, looped, held.requests[-1], what)


def ignored_results(cases: Sequence[ToolCase]) -> Iterator[Row]:
    """Yield a row for each answer after a tool result: whether the answer ignores the result.

    An answer follows a look-up if it states the number that the look-up returned, and a search if
    the search returned all listed items. Only turns with the right call count, because an answer
    need not follow the result of a wrong call; `missing_call_rate` counts the other turns.
    """
    for case in cases:
        one = case.main
        for place in (LOOK_UP_TURN, SEARCH_TURN):
            held = _final(one, place)
            if held is None:
                yield Row(one.unit, None)
                continue
            results = _right_results(one, held)
            if not results:
                continue
            if place == SEARCH_TURN and not held.items:
                yield Row(one.unit, None)
                continue
            if place == LOOK_UP_TURN:
                wrong = str(case.stock) not in _NUMBER.findall(held.text)
                what = (
                    f"the tool returned {case.stock} copies, but turn {place + 1} states another "
                    "number"
                )
            else:
                box = one.toolbox
                known = {i for r in results for i in (box.finds(r) if box else ())}
                other = [item.raw for item in held.items if item.item_id not in known]
                wrong = bool(other)
                what = f"turn {place + 1} lists {', '.join(other)[:200]}, which no search returned"
            yield Row(one.unit, wrong, held.requests[-1], what)


def invented_results(cases: Sequence[ToolCase]) -> Iterator[Row]:
    """Yield a row for each failed look-up: whether the answer states a number anyway."""
    for case in cases:
        held = _final(case.main, FAILING_TURN)
        if held is None:
            yield Row(case.main.unit, None)
        elif any(call.failure == "failed" for call in held.calls):
            asked = held.user
            numbers = [n for n in _NUMBER.findall(held.text) if n not in _NUMBER.findall(asked)]
            what = (
                f"turn {FAILING_TURN + 1}: the tool failed, but the answer states "
                f"{', '.join(numbers)}"
            )
            yield Row(case.main.unit, bool(numbers), held.requests[-1], what)


def _failures(dialogues: Sequence[Dialogue], failure: str, words: str) -> Iterator[Row]:
    for one, number, held in _turns(dialogues, lambda turn: True):
        if held is None:
            yield Row(one.unit, None)
        else:
            failed = [call for call in held.calls if call.failure == failure]
            named = ", ".join(f"{call.name}({call.arguments})" for call in failed)
            what = f"turn {number} {words}: {named[:300]}"
            yield Row(one.unit, bool(failed), held.requests[-1], what)


def _right_results(one: Dialogue, held: HeldTurn) -> list[ToolRecord]:
    needed, box = held.turn.calls, one.toolbox
    if box is None or not isinstance(needed, NeededCall):
        return []
    return [c for c in held.calls if c.failure is None and _is_right(c, needed, box)]


def _is_right(call: ToolRecord, needed: NeededCall, box: Toolbox) -> bool:
    if call.name != needed.tool:
        return False
    if needed.tool == "look_up":
        return box.item_of(str(call.values.get("item", ""))) == needed.item
    graph, found = box.catalog.graph, box.finds(call)
    constraint = needed.constraint
    return bool(found) and (
        constraint is None
        or all(graph.constraint_verdict(item, [constraint]) == "supported" for item in found)
    )


def _needs(needed: object) -> str:
    if not isinstance(needed, NeededCall):
        return ""
    c = needed.constraint
    condition = "" if c is None else f"{c.predicate} {c.operator} {c.value}"
    return f"{needed.tool}({needed.item or condition})"


def _final(one: Dialogue, place: int) -> HeldTurn | None:
    """Return the turn at a position; None if it has no final answer."""
    held = one.held[place] if place < len(one.held) else None
    return held if held is not None and held.response is not None else None


def _turns(
    dialogues: Sequence[Dialogue], wanted: Callable[[Turn], bool]
) -> Iterator[tuple[Dialogue, int, HeldTurn | None]]:
    """Yield number, from 1, and turn for every turn that `wanted` selects.

    The turn is None if it was not answered and did not reach the limit of rounds.
    """
    for one in dialogues:
        for place, turn in enumerate(one.scenario.turns):
            if wanted(turn):
                held = one.held[place] if place < len(one.held) else None
                ended = held is not None and (held.response is not None or held.exhausted)
                yield one, place + 1, held if ended else None
