"""Tasks that teach facts of the catalog graph: facts of one item, and facts that two items share.

A fact is verbalized as a question about one predicate and its values (Agarwal et al. 2021). A
relation path leads from an item of the history over shared values to the item that the user chose
next (GLRec, Wu et al. 2024, puts such paths into prompts). Both tasks use every predicate for which
the graph has all values. They are trained by the objective `language_model`, in addition to the
tasks about users.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from auditkit.training.rows.batches import Row
from auditkit.training.rows.history_sampling import HistoryWindow
from auditkit.training.rows.item_tasks import describe
from auditkit.training.rows.task import Rows, recent
from auditkit.types import Item

__all__ = ["fact", "relation_path"]


def fact(rows: Rows, item: int, rng: np.random.Generator) -> Row:
    """Ask for all values of one random predicate of an item; describe an item without facts."""
    described = rows.item(item)
    facts = rows.facts(described)
    if not facts:
        return describe(rows, item, rng)
    name = list(facts)[rng.integers(len(facts))]
    values = ", ".join(facts[name])
    return _row(rows, "fact", rng, values, predicate=_spoken(name), item=described)


def relation_path(rows: Rows, drawn: HistoryWindow, rng: np.random.Generator) -> Row:
    """Ask for the values that the next item shares with a random item of the history.

    If the two items share no value, the row describes the next item instead.
    """
    *history, target = rows.items_of(recent(drawn))
    other = history[rng.integers(len(history))]
    shared = _shared(rows.facts(other), rows.facts(target))
    if not shared:
        return describe(rows, rows.row_of(target), rng)
    stated = "; ".join(f"{_spoken(name)} {', '.join(values)}" for name, values in shared.items())
    return _row(rows, "relation_path", rng, stated, shared=other, item=target)


def _row(rows: Rows, task: str, rng: np.random.Generator, values: str, **slots: str | Item) -> Row:
    """Build a row: a question from a random template of the task, and the values as the answer."""
    wording = int(rng.integers(len(rows.prompts.tasks[task].ask)))
    question = rows.prompts.ask(task, wording=wording, **slots)
    return rows.text_row(question, rows.prompts.answer(task, values=values))


def _shared(
    own: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    """Return the values that both items have, by predicate."""
    both = {name: [v for v in values if v in other.get(name, ())] for name, values in own.items()}
    return {name: values for name, values in both.items() if values}


def _spoken(predicate: str) -> str:
    """Write the name of a predicate as words: "release date" for `release_date`."""
    return predicate.replace("_", " ")
