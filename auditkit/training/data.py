"""Training rows: windows of user histories and descriptions of items, rendered as ordinary prompts.

A row is a list of token ids and the position of its first target; everything from there on is
predicted. In a history row every history item is a target (the figures of the docs rest on it), in
a description row the answer is. Rows are padded on the left, so the predicted positions of a batch
form one block at its end and the head runs only there.
Source: leave-last-out protocol; no row holds a user's test item.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import numpy as np
import torch

from auditkit.catalog.dataset import Dataset
from auditkit.errors import InvalidArgument
from auditkit.recommenders.prompts import Prompts, describe_user
from auditkit.recommenders.tokens import encode, item_tokens
from auditkit.seeding import generator
from auditkit.training.tokenizer import START, STOP
from auditkit.types import Item, Request

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

__all__ = [
    "Batch",
    "Row",
    "TrainingRows",
    "collate",
    "corpus",
    "description_values",
    "training_histories",
]

Fit = Literal["all_but_test", "all_but_validation"]
T = TypeVar("T")


class Row(NamedTuple):
    """Token ids and the index of the first one that is predicted."""

    ids: tuple[int, ...]
    first_target: int


class Batch(NamedTuple):
    """Left-padded rows.

    Attributes:
        input_ids, attention_mask: [B, T] int64.
        targets: [B, S] int64, the last S tokens of each row; -100 where nothing is predicted.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    targets: torch.Tensor


def collate(rows: Sequence[Row], *, pad: int) -> Batch:
    """Pad rows on the left and cut the block of targets at the end.

    Raises:
        InvalidArgument: a row without a target; its loss would be undefined.
    """
    if any(row.first_target >= len(row.ids) or row.first_target < 1 for row in rows):
        raise InvalidArgument(
            "a training row has nothing to predict. Give every row a prompt and a target."
        )
    width = max(len(row.ids) for row in rows)
    span = max(len(row.ids) - row.first_target for row in rows)
    input_ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    targets = torch.full((len(rows), span), -100, dtype=torch.long)
    for i, row in enumerate(rows):
        ids = torch.tensor(row.ids)
        input_ids[i, width - len(ids) :] = ids
        mask[i, width - len(ids) :] = 1
        answer = ids[row.first_target :]
        targets[i, span - len(answer) :] = answer
    return Batch(input_ids, mask, targets)


def training_histories(dataset: Dataset, *, fit: Fit) -> list[NDArray[np.int32]]:
    """Item rows of every user, oldest first, without the test item (and the validation item, if so
    asked).
    """
    until: Literal["validation", "test"] = "test" if fit == "all_but_test" else "validation"
    interactions = dataset.interactions
    return [interactions.history(user, until=until) for user in range(len(interactions.user_ids))]


def description_values(dataset: Dataset, item: int) -> dict[str, str]:
    """The slots of a description: genres in catalog order, and the year; "unknown" where the
    catalog has none.
    """
    entry = dataset.catalog.items[item]
    return {"genres": ", ".join(entry.genres) or "unknown", "year": str(entry.year or "unknown")}


def corpus(dataset: Dataset, prompts: Prompts) -> list[str]:
    """Texts from which word pieces are learned: templates, attribute phrases, genres, titles; no
    user's history.

    Wordings and phrases count 100 times, for they stand in every training row and a title in few.
    """
    phrases = sorted({describe_user(attributes) for attributes in dataset.interactions.attributes})
    catalog = dataset.catalog
    descriptions = [
        prompts.description.format(**description_values(dataset, row))
        for row in range(len(catalog.items))
    ]
    titles = [item.title for item in catalog.items]
    return [*([*prompts.recommend, *prompts.describe, *phrases] * 100), *descriptions, *titles]


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """Every training row of a recipe, as a pure function of seed and step.

    Args:
        holdout: user indices whose rows never enter training.
        window: longest stretch of history in a row, items.
    """

    dataset: Dataset
    prompts: Prompts
    tokenizer: PreTrainedTokenizerFast
    holdout: frozenset[int]
    fit: Fit
    window: int
    seed: int

    @cached_property
    def _items(self) -> dict[str, int]:
        return item_tokens(self.tokenizer)

    @cached_property
    def _histories(self) -> list[tuple[int, NDArray[np.int32]]]:
        histories = enumerate(training_histories(self.dataset, fit=self.fit))
        return [
            (user, items)
            for user, items in histories
            if user not in self.holdout and len(items) > 1
        ]

    def history_row(self, user: int, items: NDArray[np.int32], rng: np.random.Generator) -> Row:
        """One stretch of a user's history under a random wording, each attribute stated with
        probability one half.
        """
        stated = {
            name: value
            for name, value in self.dataset.interactions.attributes[user].items()
            if rng.random() < 0.5
        }
        wording = self.prompts.recommend[rng.integers(len(self.prompts.recommend))]
        prompt = self.prompts.render(
            Request(attributes=stated, instruction=wording, k=int(rng.integers(1, 21)))
        )
        start = self.tokenizer.convert_tokens_to_ids(START)
        head = [start, *encode(self.tokenizer, prompt, self._items)]
        catalog = self.dataset.catalog.items
        return Row((*head, *(self._items[catalog[row].id] for row in items)), len(head))

    def description_row(self, item: int, rng: np.random.Generator) -> Row:
        """The question for one item's genres and year, with its answer."""
        entry = self.dataset.catalog.items[item]
        question = self.prompts.render_description(
            Item(entry.id, entry.display_title),
            wording=int(rng.integers(len(self.prompts.describe))),
        )
        answer = self.prompts.description.format(**description_values(self.dataset, item))
        start, stop = self.tokenizer.convert_tokens_to_ids([START, STOP])
        head = [start, *encode(self.tokenizer, question, self._items)]
        return Row((*head, *encode(self.tokenizer, answer, {}), stop), len(head))

    def _windows(self, epoch: int) -> list[tuple[int, NDArray[np.int32]]]:
        """Histories cut into windows at an offset drawn anew per epoch, in a seeded order."""
        rng = generator(self.seed, "windows", epoch)
        cuts = []
        for user, items in self._histories:
            offset = int(rng.integers(self.window))
            bounds = [0, *range(offset, len(items), self.window), len(items)]
            cuts += [
                (user, items[begin:end])
                for begin, end in itertools.pairwise(bounds)
                if end - begin > 1
            ]
        return [cuts[i] for i in rng.permutation(len(cuts))]

    def fixed_rows(self) -> list[Row]:
        """Rows cut once: the units of differentially private training.

        Every row draws from a generator of its own, so adding or removing one changes no other.
        """
        users, items = self.dataset.interactions.user_ids, self.dataset.catalog.items
        rows = [
            self.history_row(
                user,
                history[begin : begin + self.window],
                generator(self.seed, "fixed row", "user", users[user], begin),
            )
            for user, history in self._histories
            for begin in range(0, len(history), self.window)
            if len(history) - begin > 1
        ]
        return rows + [
            self.description_row(row, generator(self.seed, "fixed row", "item", item.id))
            for row, item in enumerate(items)
        ]

    def batches(self, *, histories: int, descriptions: int, first_step: int) -> Iterator[list[Row]]:
        """Endless batches of `histories` windows and `descriptions` items, from a given step on.

        Skipping to `first_step` renders nothing, so a resumed run goes on where it stopped within
        milliseconds.
        """
        windows = _chunks(
            (part for epoch in itertools.count() for part in self._windows(epoch)), histories
        )
        items = _chunks(
            (item for epoch in itertools.count() for item in self._shuffled_items(epoch)),
            descriptions,
        )
        steps = enumerate(zip(windows, items, strict=True))
        for step, (parts, chosen) in itertools.islice(steps, first_step, None):
            rng = generator(self.seed, "batch", step)
            rows = [self.history_row(user, part, rng) for user, part in parts]
            yield rows + [self.description_row(item, rng) for item in chosen]

    def _shuffled_items(self, epoch: int) -> list[int]:
        order = generator(self.seed, "descriptions", epoch).permutation(
            len(self.dataset.catalog.items)
        )
        return [int(item) for item in order]


def _chunks(stream: Iterator[T], size: int) -> Iterator[list[T]]:
    """Cut an endless stream into lists of `size`."""
    while True:
        yield list(itertools.islice(stream, size))
