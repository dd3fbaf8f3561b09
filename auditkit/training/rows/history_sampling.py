"""Seeded sampling of history windows, single interactions and items for training.

Histories follow the leave-last-out protocol: no window contains a user's test item.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.seeding import generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Fit",
    "HistorySampler",
    "HistoryWindow",
    "Source",
    "training_histories",
]


Source = Literal["stretch", "event", "item"]


class HistoryWindow(NamedTuple):
    """Interactions `begin` up to `end` (exclusive) of one user's training history."""

    user: int
    begin: int
    end: int


Fit = Literal["all_but_test", "all_but_validation"]
T = TypeVar("T")
_BUCKET = 50  # number of batches whose samples are sorted by length together


def training_histories(dataset: Dataset, *, fit: Fit) -> list[NDArray[np.int32]]:
    """Return the training history of every user as catalog row numbers, oldest first.

    The test item is removed; `fit` decides whether the validation item is removed, too.
    """
    until: Literal["validation", "test"] = "test" if fit == "all_but_test" else "validation"
    interactions = dataset.interactions
    return [interactions.history(user, until=until) for user in range(len(interactions.user_ids))]


@dataclass(frozen=True, kw_only=True)
class HistorySampler:
    """Sampler of history windows and items for tasks, a pure function of seed and epoch.

    Attributes:
        histories: for each training user, catalog row numbers of the items, oldest first.
        n_items: number of items in the catalog.
        window: maximum length of a history window, in items.
        bucketing: whether samples of similar length are batched together.
        repeats: how often an epoch contains the windows of a user; 1 for users that it does not
            list.
    """

    histories: Mapping[int, NDArray[np.int32]]
    n_items: int
    window: int
    seed: int
    bucketing: bool
    repeats: Mapping[int, int] = field(default_factory=dict)

    def stream(self, source: Source, name: str, size: int) -> Iterator[list[HistoryWindow | int]]:
        """Yield lists of `size` samples for a task, endlessly."""
        endless = (
            draw for epoch in itertools.count() for draw in self.of_epoch(source, name, epoch)
        )
        if not self.bucketing:
            yield from _chunks(endless, size)
        for number, chunk in enumerate(_chunks(endless, size * _BUCKET)):
            ordered = sorted(chunk, key=_length)
            order = generator(self.seed, "buckets", name, number).permutation(_BUCKET)
            yield from (ordered[i * size : (i + 1) * size] for i in order)

    def of_epoch(self, source: Source, name: str, epoch: int) -> list[HistoryWindow | int]:
        """Return all samples of an epoch in seeded order."""
        rng = generator(self.seed, "draws", name, epoch)
        if source == "item":
            return [int(item) for item in rng.permutation(self.n_items)]
        found: list[HistoryWindow] = []
        for user, items in self.histories.items():
            if source == "event":
                found += [
                    HistoryWindow(user, max(0, end - self.window), end)
                    for end in range(2, len(items) + 1)
                ]
                continue
            for _ in range(self.repeats.get(user, 1)):
                # The offset of the windows changes in every epoch.
                bounds = [0, *range(int(rng.integers(self.window)), len(items), self.window)]
                cuts = itertools.pairwise([*bounds, len(items)])
                found += [HistoryWindow(user, begin, end) for begin, end in cuts if end - begin > 1]
        if not found:
            raise ConfigurationError(
                "No user has two training interactions. Give more data or a smaller "
                "data.holdout_users."
            )
        return [found[i] for i in rng.permutation(len(found))]

    def fixed(self) -> list[HistoryWindow]:
        """Split histories into consecutive windows of at most `window` items, equal in every
        call.
        """
        return [
            HistoryWindow(user, begin, min(begin + self.window, len(history)))
            for user, history in self.histories.items()
            for begin in range(0, len(history), self.window)
            if len(history) - begin > 1
        ]


def _length(drawn: HistoryWindow | int) -> int:
    return drawn.end - drawn.begin if isinstance(drawn, HistoryWindow) else 0


def _chunks(stream: Iterator[T], size: int) -> Iterator[list[T]]:
    """Split an endless stream into lists of `size`."""
    while True:
        yield list(itertools.islice(stream, size))
