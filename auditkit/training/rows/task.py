"""Definition of a training task, and protocol of the data that tasks read."""
# ruff: noqa: D102 (the members of Rows are documented in TrainingRows)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.training.rows.batches import AnyRow, Row
from auditkit.training.rows.history_sampling import HistoryWindow, Source
from auditkit.types import Item

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rows", "Task", "recent"]

_RECENT = 10  # number of history items in a prompt about one item


class Rows(Protocol):
    """Data that tasks read: users' histories, the catalog, templates and tokenization."""

    @property
    def prompts(self) -> Prompts: ...
    @property
    def items_noun(self) -> str: ...
    @property
    def encoder_decoder(self) -> bool: ...
    @property
    def counterfactuals(self) -> bool: ...
    def item(self, row: int) -> Item: ...
    def row_of(self, item: Item) -> int: ...
    def items_of(self, drawn: HistoryWindow) -> list[Item]: ...
    def ratings_of(self, drawn: HistoryWindow) -> NDArray[np.float32]: ...
    def stated(self, user: int, rng: np.random.Generator) -> dict[str, str]: ...
    def counterfactual(
        self, stated: Mapping[str, str], rng: np.random.Generator
    ) -> dict[str, str] | None: ...
    def candidates(
        self, user: int, target: Item, n: int, rng: np.random.Generator
    ) -> list[Item]: ...
    def facts(self, item: Item) -> Mapping[str, tuple[str, ...]]: ...
    def genres(self, item: Item) -> set[str]: ...
    def one_genre(self, item: Item, rng: np.random.Generator) -> str: ...
    def values(self, row: int) -> dict[str, str]: ...
    @property
    def shares(self) -> NDArray[np.float64]: ...
    @property
    def mask(self) -> int: ...
    def encode(self, text: str) -> list[int]: ...
    def encode_prompt(self, text: str) -> list[int]: ...
    def encode_items(self, items: Sequence[Item]) -> list[int]: ...
    def weights_of(self, items: Sequence[Item]) -> tuple[float, ...]: ...
    def ask(
        self, task: str, user: int, rng: np.random.Generator, **slots: str | Item | Sequence[Item]
    ) -> str: ...
    def item_row(
        self,
        task: str,
        target: Item,
        user: int,
        rng: np.random.Generator,
        **slots: str | Item | Sequence[Item],
    ) -> Row: ...
    def text_row(self, question: str, answer: str) -> Row: ...


@dataclass(frozen=True)
class Task:
    """A training task, which turns samples into rows.

    Attributes:
        source: what is sampled: history windows, single interactions (the last of a window), or
            items.
        kind: type of the rows that the task creates.
        make: function that maps (data, sample, random generator) to a row.
        worded: whether the text of the task is in the task section of the template file.
    """

    source: Source
    kind: type[AnyRow]
    make: Callable[[Rows, Any, np.random.Generator], AnyRow]
    worded: bool = True


def recent(drawn: HistoryWindow) -> HistoryWindow:
    """Return the last interaction of a history window with at most ten interactions before it."""
    return drawn._replace(begin=max(drawn.begin, drawn.end - 1 - _RECENT))
