"""Scenarios made by random walks on the catalog graph, without a language model.

A walk starts at an item of the user's history and goes to a fact of this item, to another item with
this fact, and to a fact of that item. The two facts are the constraints of the conversation, and
the user asks a question about the last item. So at least one item has both facts, enough items meet
the constraints, and the right answer to the question is known. The walk depends on the user's
history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.conversations.scenario import Scenario, Turn
from auditkit.domains.pack import DomainPack
from auditkit.probes.conversation.dialogue_texts import dialogue_texts, filled, titles_of
from auditkit.probes.hallucination.constraint_choices import (
    ConstraintChoices,
    as_words,
    constraint_choices,
)
from auditkit.types import Item

__all__ = ["N_LISTS", "N_PARAPHRASED", "Walk", "Walker"]

N_LISTS = 4  # of one conversation
N_PARAPHRASED = 3  # turns that the paraphrase repeats
_TRIES = 20


@dataclass(frozen=True)
class Walk:
    """Result of a walk: two constraints, an item, and a constraint for the question about the
    item.
    """

    first: Constraint
    second: Constraint
    asked: str
    question: Constraint
    is_true: bool


class Walker:
    """Walks on the graph of one catalog.

    Args:
        k: number of items per list; enough items for all lists must meet the constraints.
    """

    def __init__(self, catalog: Catalog, pack: DomainPack, *, k: int) -> None:
        self._catalog, self._pack, self._k = catalog, pack, k
        self._choices: ConstraintChoices = constraint_choices(catalog, pack)
        self._labeled = list(dict.fromkeys(c.predicate for c in self._choices.labels))

    def walk(self, history: Sequence[Item], rng: np.random.Generator) -> Walk | None:
        """Walk once; None if the catalog has no two constraints that enough items meet together."""
        index = self._catalog.index
        known = [index[item.id] for item in history if item.id in index]
        starts = known or list(range(len(self._catalog)))
        for _ in range(_TRIES):
            row = int(starts[int(rng.integers(len(starts)))])
            first = self._step(row, known, [], rng)
            if first is None:
                continue
            middle = self._drawn([first], known, rng)
            second = self._step(middle, known, [first], rng)
            if second is None:
                continue
            asked = self._drawn([first], known, rng)
            question, is_true = self._question(asked, rng)
            if question is not None:
                return Walk(first, second, self._catalog.ids[asked], question, is_true)
        return None

    def scenario(self, walk: Walk, history: tuple[Item, ...], *, wording: int = 0) -> Scenario:
        """Create the conversation of a walk, in one of the phrasings."""
        texts = dialogue_texts(self._pack)
        say, k = texts["wordings"][wording], str(self._k)
        title = self._catalog[walk.asked].display_title
        about = {"title": title, "constraint": self.words(walk.question)}
        answer = "yes" if walk.is_true else "no"
        opened = filled(
            say["open"], history=titles_of(history), k=k, constraint=self.words(walk.first)
        )
        narrowed = filled(say["narrow"], k=k, constraint=self.words(walk.second))
        predicate = walk.question.predicate
        values = ", ".join(self._catalog.graph.values(walk.asked, predicate))
        fact = filled(texts["fact"], predicate=predicate, title=title, values=values)
        turns = (
            {"user": opened, "k": self._k, "states": (walk.first,)},
            {"user": filled(say["reject"], k=k), "k": self._k, "rejects": "first"},
            {"user": narrowed, "k": self._k, "states": (walk.second,)},
            {"user": filled(say["question"], **about), "question": "fact", "answer": answer},
            {"user": filled(say["more"], k=k), "k": self._k},
            {"user": filled(say["again"], **about), "question": "fact", "answer": answer},
        )
        return Scenario(
            id="walk", facts=(fact,), turns=tuple(Turn.model_validate(turn) for turn in turns)
        )

    def words(self, constraint: Constraint) -> str:
        """Phrase the constraint with the terms of the domain pack."""
        return as_words([constraint], self._pack)

    def n_meeting(self, constraints: Sequence[Constraint], known: Sequence[int]) -> int:
        """Count the items that meet the constraints and are not in the history."""
        rows = self._catalog.graph.select(constraints)
        return len(rows) - int(np.isin(np.asarray(known, dtype=np.int64), rows).sum())

    def facts(self, row: int) -> list[Constraint]:
        """Return the constraints that one item meets: its labels, then bounds on its numbers."""
        graph, item_id = self._catalog.graph, self._catalog.ids[row]
        labels = [
            Constraint(predicate, "=", value)
            for predicate in self._labeled
            for value in graph.values(item_id, predicate)
        ]
        bounds = [
            bound
            for bound in self._choices.bounds
            if graph.constraint_verdict(item_id, [bound]) == "supported"
        ]
        return [*labels, *bounds]

    def _step(
        self, row: int, known: Sequence[int], before: list[Constraint], rng: np.random.Generator
    ) -> Constraint | None:
        """Choose a fact of an item that enough items share, together with `before`; labels are
        preferred.
        """
        facts = self.facts(row)
        order = sorted(rng.permutation(len(facts)), key=lambda place: facts[place].operator != "=")
        least = N_LISTS * self._k
        for place in map(int, order):
            fact = facts[place]
            if fact not in before and self.n_meeting([*before, fact], known) >= least:
                return fact
        return None

    def _drawn(
        self, constraints: Sequence[Constraint], known: Sequence[int], rng: np.random.Generator
    ) -> int:
        rows = np.setdiff1d(self._catalog.graph.select(constraints), np.asarray(known, dtype=int))
        return int(rows[int(rng.integers(len(rows)))])

    def _question(self, row: int, rng: np.random.Generator) -> tuple[Constraint | None, bool]:
        """Choose a constraint for the question, which the item meets in half of the walks."""
        facts = self.facts(row)
        labels = [fact for fact in facts if fact.operator == "="] or facts
        if not labels:
            return None, True
        true = labels[int(rng.integers(len(labels)))]
        if rng.random() < 0.5:
            return true, True
        graph, item_id = self._catalog.graph, self._catalog.ids[row]
        choices = (*self._choices.labels, *self._choices.bounds)
        others = [one for one in choices if one.predicate == true.predicate]
        for place in rng.permutation(len(others))[:_TRIES]:
            false = others[int(place)]
            if graph.constraint_verdict(item_id, [false]) == "contradicted":
                return false, False
        return true, True
