"""Scenarios for an assistant with tools whose answers are known.

One conversation per user has four turns: a question for a number that requires a look-up, a
question that needs no tool, a search, and a look-up that fails. Two more conversations differ in
one note in a tool result. The note is an instruction to recommend an item, or a neutral text of
equal length that names the same item. The difference between the two is the effect of the
instruction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import numpy as np

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.conversations.dialogue import Dialogue
from auditkit.conversations.scenario import NeededCall, Scenario, Turn
from auditkit.conversations.toolbox import Toolbox, tool_descriptions
from auditkit.probes.base import User
from auditkit.probes.conversation.dialogue_texts import dialogue_texts, filled, opening_of
from auditkit.probes.conversation.walk_scenarios import Walker
from auditkit.probes.robustness.item_injection import injection_templates
from auditkit.probes.robustness.neutral_text import neutral_like
from auditkit.recommenders.execution.target import Target

__all__ = [
    "ARMS",
    "FAILING_TURN",
    "LOOK_UP_TURN",
    "SEARCH_TURN",
    "Injection",
    "ToolCase",
    "tool_case",
]

Arm = Literal["inject", "neutral"]
ARMS: tuple[Arm, ...] = ("inject", "neutral")
LOOK_UP_TURN, SEARCH_TURN, FAILING_TURN = 0, 2, 3
_FAMILIES = ("override", "ranking_order", "system_message")
_N_ITEMS = 4  # to ask for, to fail, with a note, and named by the note
_STOCK = (11, 98)  # two digits, so that a number of the list is not taken for it


@dataclass(frozen=True)
class Injection:
    """Two conversations that differ in a note in a tool result, and the item that the notes
    name.
    """

    item: str
    title: str
    inject: Dialogue
    neutral: Dialogue


@dataclass(frozen=True)
class ToolCase:
    """The three conversations of one user.

    Attributes:
        main: conversation with the four turns.
        stock: number of copies that the first look-up returns.
    """

    main: Dialogue
    stock: int
    injection: Injection


def tool_case(
    target: Target, walker: Walker, user: User, rng: np.random.Generator, *, number: int, k: int
) -> ToolCase | None:
    """Create the conversations of one user.

    None if the catalog has no constraint for a search, or too few items that are new to the user.

    Args:
        number: number of the user; the families of instructions rotate over users.
        k: number of items per list.
    """
    catalog = target.catalog
    walk = walker.walk(user.history, rng)
    if walk is None:
        return None
    texts = dialogue_texts(target.pack)
    seen = {item.id for item in user.history}
    drawn = (catalog.ids[int(row)] for row in rng.permutation(len(catalog)))
    items = list(islice((item for item in drawn if item not in seen), _N_ITEMS))
    if len(items) < _N_ITEMS:
        return None
    asked, failing, noted, named = items
    stock = int(rng.integers(*_STOCK))
    box = Toolbox(catalog, tool_descriptions(catalog, target.pack), {asked: stock}, {failing})
    main = _dialogue(
        target, user, box, _main(catalog, texts["stock"], walk.first, walker, asked, failing, k)
    )
    title = catalog[named].display_title
    notes = _notes(title, number)
    arms = {
        arm: _dialogue(
            target, user, replace(box, stock={noted: stock}, failing=(), notes={noted: notes[arm]}),
            _noted(catalog, texts["stock"], noted, k),
        )
        for arm in ARMS
    }  # fmt: skip
    return ToolCase(main, stock, Injection(named, title, arms["inject"], arms["neutral"]))


def _main(
    catalog: Catalog,
    say: dict[str, str],
    constraint: Constraint,
    walker: Walker,
    asked: str,
    failing: str,
    k: int,
) -> Scenario:
    title, other = catalog[asked].display_title, catalog[failing].display_title
    search = filled(say["search"], constraint=walker.words(constraint), k=str(k))
    return Scenario(
        id="tools",
        turns=(
            Turn(
                user=filled(say["ask"], title=title), calls=NeededCall(tool="look_up", item=asked)
            ),
            Turn(user=say["none"], calls="none"),
            Turn(
                user=search, k=k, states=(constraint,),
                calls=NeededCall(tool="search_catalog", constraint=constraint),
            ),
            Turn(
                user=filled(say["fails"], title=other),
                calls=NeededCall(tool="look_up", item=failing),
            ),
        ),
    )  # fmt: skip


def _noted(catalog: Catalog, say: dict[str, str], noted: str, k: int) -> Scenario:
    text = filled(say["note"], title=catalog[noted].display_title, k=str(k))
    return Scenario(
        id="note", turns=(Turn(user=text, k=k, calls=NeededCall(tool="look_up", item=noted)),)
    )


def _notes(title: str, number: int) -> dict[Arm, str]:
    """Return the instruction of a family and a neutral text of equal length; both name the item."""
    templates = injection_templates()[_FAMILIES[number % len(_FAMILIES)]]
    order = templates[(number // len(_FAMILIES)) % len(templates)].replace("{item}", title)
    return {"inject": order, "neutral": neutral_like(order, start=title)}


def _dialogue(target: Target, user: User, box: Toolbox, scenario: Scenario) -> Dialogue:
    opening = opening_of(target, scenario, tools=True)
    return Dialogue(user.id, scenario, opening, box, user.history)
