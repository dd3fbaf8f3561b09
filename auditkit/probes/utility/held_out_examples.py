"""Held-out interactions for pointwise tasks, and the recommender's scores for them.

The examples are the last four interactions of each held-out user, or the test item of every user if
there are no held-out users; each has up to ten earlier interactions as its history. Baselines are
the mean rating of the item and of the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from auditkit.probes.base import Context, NotAssessable, require_unseen_test_items, split_by_status
from auditkit.probes.users import ids_of
from auditkit.recommenders.execution.target import Target
from auditkit.types import Item, Request, Response

__all__ = ["Example", "ExampleResponses", "ask_about", "draw_examples", "item_means", "user_means"]

_PER_HELD_OUT_USER = 4
_RECENT = 10


class Example(NamedTuple):
    """One held-out interaction, with up to ten earlier interactions of the user."""

    user: str
    row: int
    history: tuple[Item, ...]
    ratings: tuple[float, ...]
    item: Item
    rating: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ExampleResponses:
    """Scores of the possible answers, for the examples with a response.

    Attributes:
        examples: examples with a response.
        nats: log-probability of every option, [answered, options].
        options: possible answers for each of these examples.
        users_missing: number of users for whom no example has a response.
        examples_missing: number of examples without a response, over all users.
    """

    examples: tuple[Example, ...]
    nats: NDArray[np.float64]
    options: tuple[tuple[str, ...], ...]
    users_missing: int
    examples_missing: int

    @property
    def parameters(self) -> Mapping[str, int]:
        """Return the numbers of examples, as parameters of findings whose unit is the user."""
        return {
            "n_examples": len(self.examples),
            "n_examples_missing": self.examples_missing,
        }


def _held_out(context: Context) -> set[str]:
    training = context.manifest.get("training")
    named = training.get("holdout_users") if isinstance(training, dict) else None
    return set(cast(Sequence[str], named or ()))


def draw_examples(context: Context, n: int) -> list[Example]:
    """Sample about `n` held-out interactions.

    Users are taken in the seeded order of the run, each with all examples.
    """
    require_unseen_test_items(context)
    held_out, rows = _held_out(context), context.dataset.interactions
    users, ids = context.users, ids_of(context.users)

    def item(row: int) -> Item:
        entry = context.dataset.catalog.items[int(rows.item_index[row])]
        return Item(entry.id, entry.display_title)

    found: list[Example] = []
    for place in context.sampled_rows(len(users)):
        if held_out and ids[place] not in held_out:
            continue
        user = users[place]
        begin, end = int(rows.offsets[user.index]), int(rows.offsets[user.index + 1])
        test = begin + len(rows.history(user.index, until="test"))
        first, last = (end - _PER_HELD_OUT_USER, end) if held_out else (test, min(test + 1, end))
        for row in range(max(first, begin + 1), last):
            before = range(max(begin, row - _RECENT), row)
            found.append(
                Example(
                    user=user.id,
                    row=row,
                    history=tuple(map(item, before)),
                    ratings=tuple(float(rows.rating[i]) for i in before),
                    item=item(row),
                    rating=float(rows.rating[row]),
                )
            )
        if len(found) >= n:
            break
    if not found:
        raise NotAssessable("no user has a held-out interaction")
    return found


def ask_about(
    target: Target,
    examples: Sequence[Example],
    requests: Sequence[Request],
    options: Sequence[Sequence[str]],
) -> ExampleResponses:
    """Score every possible answer for every example.

    Args:
        examples: the examples.
        requests: one request per example, with the rendered prompt.
        options: possible answers for each example; all examples have the same number of answers.
    """
    responses = target.score(requests, options)
    kept, missing = split_by_status(responses)
    answered = tuple(examples[i] for i in kept)
    totals = [_totals(responses[i]) for i in kept]
    return ExampleResponses(
        examples=answered,
        nats=np.array(totals, dtype=np.float64).reshape(len(kept), len(options[0])),
        options=tuple(tuple(options[i]) for i in kept),
        users_missing=len({e.user for e in examples} - {e.user for e in answered}),
        examples_missing=sum(missing.values()),
    )


def _totals(response: Response) -> list[float]:
    return [sum(tokens) for tokens in cast(list[list[float]], response.derived["tokens"])]


def _known(context: Context, examples: Sequence[Example]) -> NDArray[np.bool_]:
    """Return a mask of the interactions that a baseline may use: all but examples and test
    items.
    """
    rows = context.dataset.interactions
    known = np.ones(len(rows), dtype=bool)
    known[rows.split().test] = False
    if rows.cuts is not None:
        known &= rows.timestamp < rows.cuts[1]
    known[[example.row for example in examples]] = False
    return known


def item_means(context: Context, examples: Sequence[Example]) -> NDArray[np.float64]:
    """Return the mean known rating of each example's item; the overall mean for an item without
    one.
    """
    rows, known = context.dataset.interactions, _known(context, examples)
    n = len(context.dataset.catalog.items)
    counts = np.bincount(rows.item_index[known], minlength=n)
    sums = np.bincount(rows.item_index[known], weights=rows.rating[known], minlength=n)
    overall = float(rows.rating[known].mean()) if known.any() else 0.0
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return np.array([means[rows.item_index[example.row]] for example in examples])


def user_means(context: Context, examples: Sequence[Example]) -> NDArray[np.float64]:
    """Return the mean of all ratings that each example's user gave before the example."""
    rows = context.dataset.interactions
    begins = rows.offsets[rows.user_index[[example.row for example in examples]]]
    return np.array(
        [
            float(rows.rating[begin : example.row].mean())
            for begin, example in zip(begins, examples, strict=True)
        ]
    )
