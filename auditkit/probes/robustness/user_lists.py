"""The lists of one user before and after edits, and their differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from auditkit.metrics.list_similarity import jaccard_at_k
from auditkit.metrics.robustness import breaking_count, replaced
from auditkit.probes.base import UTILITY_STATUSES, User, item_ids
from auditkit.types import Response

__all__ = ["UserLists", "user_lists"]

Cell = TypeVar("Cell")


@dataclass(frozen=True)
class UserLists(Generic[Cell]):
    """The lists of one user; None if an edit changes nothing or a response is missing.

    Attributes:
        clean: list for the clean request.
        neutral: lists for a repeat of the clean request, then for meaningless edits.
        edited: lists for edited requests, by kind of edit.
        k: length of the compared lists.
    """

    user: User
    clean: Response
    neutral: tuple[Response | None, ...]
    edited: dict[Cell, Response | None]
    k: int

    def replaces(self, after: Response | None) -> bool:
        """Whether at least `breaking_count(k)` items of the clean top k were replaced."""
        if after is None:
            return False
        return replaced(item_ids(self.clean), item_ids(after), k=self.k) >= breaking_count(self.k)

    def jaccard(self, after: Response | None) -> float | None:
        """Return Jaccard@k with the clean list; None without a response or if both lists are
        empty.
        """
        if after is None:
            return None
        return jaccard_at_k(item_ids(self.clean), item_ids(after), k=self.k)

    @property
    def floor(self) -> float:
        """Share of the neutral lists that differ from the clean list as much as an attack requires.

        Neutral lists follow a repeat and meaningless edits. The floor is a share, not whether any
        neutral list differs: with several neutral lists, a recommender that answers at random would
        otherwise seem noisier than under the single edit with which it is compared.
        """
        known = [after for after in self.neutral if after is not None]
        return sum(map(self.replaces, known)) / len(known) if known else 0.0


def user_lists(
    user: User,
    clean: Response | None,
    neutral: Sequence[Response | None],
    edited: dict[Cell, Response | None],
    *,
    k: int,
) -> UserLists[Cell] | None:
    """Collect the comparable lists of a user; None if the clean list is missing or too short."""
    if clean is None or clean.status != "ok" or len(set(item_ids(clean))) < breaking_count(k):
        return None
    kept = {cell: _comparable(response) for cell, response in edited.items()}
    return UserLists(user, clean, tuple(map(_comparable, neutral)), kept, k)


def _comparable(response: Response | None) -> Response | None:
    return response if response is not None and response.status in UTILITY_STATUSES else None
