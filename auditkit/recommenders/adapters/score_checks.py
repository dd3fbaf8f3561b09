"""Check a score matrix for values that libraries write in place of scores.

Padding is the common case: RecBole and implicit write minus infinity or the lowest float32 for
excluded items, LensKit writes NaN, and custom code often writes -1e9. A user without training data
has equal scores for every item in implicit, so that a ranking would be the order of the file.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["PADDING", "ScoreChecks", "check_scores", "padded_note", "unknown_users_note"]

# A score at or below this is padding: no model has it, and -1e9 and the lowest floats are below.
PADDING = -1e8
# Shorter rows are in the order of the file by chance too often (1 of 120 with 5 items).
MIN_ORDERED = 8


class ScoreChecks(NamedTuple):
    """Result of `check_scores`.

    Attributes:
        n_padded: number of finite scores that are padding.
        equal: indices of rows whose scores are all equal. in_file_order: indices of other rows that
            rank the items in column order.
    """

    n_padded: int
    equal: NDArray[np.int64]
    in_file_order: NDArray[np.int64]

    def notes(self, users: Sequence[str]) -> list[str]:
        """Sentences for the report; `users` are the ids of the rows."""
        found = []
        if self.n_padded:
            found.append(padded_note(self.n_padded))
        if len(self.equal):
            found.append(
                f"{len(self.equal)} of {len(users)} users have equal scores for every item, such "
                f"as {users[self.equal[0]]!r}; they get no list, because a ranking would only "
                "repeat the order of the file."
            )
        if len(self.in_file_order):
            found.append(
                f"{len(self.in_file_order)} of {len(users)} users have scores that rank the items "
                f"in the order of the file, such as {users[self.in_file_order[0]]!r}. Check that "
                "the scores are not positions."
            )
        return found


def check_scores(scores: NDArray[np.generic]) -> ScoreChecks:
    """Find padding, rows of equal scores, and rows that rank the items in column order.

    Args:
        scores: numbers [users, items] without NaN and plus infinity.
    """
    n_padded = 0
    equal: list[int] = []
    ordered: list[int] = []
    for place, row in enumerate(scores):
        known = row[row > PADDING]
        n_padded += len(row) - len(known) - int(np.isneginf(row.astype(np.float64)).sum())
        if len(known) < 2:
            continue
        steps = np.diff(known.astype(np.float64))
        if not steps.any():
            equal.append(place)
        elif len(known) >= MIN_ORDERED and (steps <= 0).all():
            ordered.append(place)
    return ScoreChecks(n_padded, np.array(equal, np.int64), np.array(ordered, np.int64))


def padded_note(n: int) -> str:
    """Sentence for the report on n padding scores."""
    return f"{n} scores at or below {PADDING:.0e} are padding and are treated as minus infinity."


def unknown_users_note(known: Collection[str], audited: Sequence[str]) -> list[str]:
    """Sentence on audited users without a row; empty if every user has one."""
    unknown = [user for user in audited if user not in known]
    if not unknown:
        return []
    return [
        f"{len(unknown)} of {len(audited)} users of the data set have no row in the file and get "
        f"no list, such as {unknown[0]!r}."
    ]
