"""Interface between the decoding loop and constraints on the generated tokens.

A constraint creates a walk for the rows of one batch. At every step the decoding loop lets the walk
mask the logits of every row, then passes it the chosen tokens and the rows that continue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

__all__ = ["Constraint", "Walk"]


class Walk(Protocol):
    """State of a constraint during decoding, for the rows of one batch."""

    def mask(self, logits: torch.Tensor) -> torch.Tensor:
        """Set logits [rows, vocabulary] to minus infinity for tokens that are not allowed.

        The next call may overwrite the returned tensor.
        """
        ...

    def advance(self, tokens: Sequence[int]) -> None:
        """Update the state with one chosen token per row."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Reduce the state to the given rows, in the given order."""
        ...


class Constraint(Protocol):
    """Restricts the text that may be generated for each prompt of a call."""

    def begin(self, members: Sequence[int], *, strict: bool = True) -> Walk:
        """Create a walk in its initial state.

        Args:
            members: for every row, the index of its prompt in the call.
            strict: whether a disallowed token is an error. If False, the row ends instead; beam
                search needs this because it may keep hypotheses of probability 0.
        """
        ...
