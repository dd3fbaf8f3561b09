"""The seam between choosing tokens and what restricts them.

A constraint begins a walk for the rows of one batch. The loop that chooses tokens lets the walk
mask the logits of every row, tells it what was chosen, and which rows are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

__all__ = ["Constraint", "Walk"]


class Walk(Protocol):
    """What every row of a batch has written so far, as far as a constraint cares."""

    def mask(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits [rows, vocabulary] with minus infinity where a token may not follow; the next call
        may write over them.
        """
        ...

    def advance(self, tokens: Sequence[int]) -> None:
        """One chosen token per row."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Only these rows go on, in this order."""
        ...


class Constraint(Protocol):
    """What may be written in answer to each prompt of a call."""

    def begin(self, members: Sequence[int], *, strict: bool = True) -> Walk:
        """A walk at its beginning.

        Args:
            members: the prompt of every row, by its place in the call.
            strict: a token that may not follow is an error; a beam search keeps hypotheses of no
                likelihood, which may end instead.
        """
        ...
