"""Recommender for `scores:FILE.npz` with lists: the best items of every user, and their scores.

Scores of a million users for a million items do not fit anywhere, but the best 30 items of each
take 240 MB. `implicit` and other libraries return such lists: `items` [users, n] are positions in
`item_ids`, and `scores` [users, n] are the scores of these items.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.score_archive import ScoreArchive
from auditkit.recommenders.adapters.score_checks import (
    PADDING,
    padded_note,
    unknown_users_note,
)
from auditkit.serialization.atomic_files import sha256_file
from auditkit.types import RankedItem, Request, Response

__all__ = ["RankedLists"]

_BLOCK = 1 << 16  # lists that are checked at once


class RankedLists:
    """Ranks the listed items by their scores; uses only the user, history, candidates and k of a
    request.

    An item outside the list of a user has no score and is never recommended, not even as a
    candidate. Padding is never recommended, and a user whose scores are all equal gets no list.

    Args:
        path: the file. archive: content of the file. listed: [users, n] positions of the listed
            items.

    Raises:
        TargetUnavailable: a list contains an item twice.
    """

    reads_prompt = False
    reads_history = False

    def __init__(self, path: Path, archive: ScoreArchive, listed: NDArray[Any]) -> None:
        self.name, self._path = f"scores:{path.name}", path
        self._listed, self._scores = listed, archive.scores
        self._items = archive.item_ids
        self._users = {user: row for row, user in enumerate(archive.user_ids)}
        self._n_padded, self._equal = 0, set[str]()
        for begin in range(0, len(listed), _BLOCK):
            self._check(path, archive.user_ids[begin : begin + _BLOCK], begin)

    def _check(self, path: Path, users: Sequence[str], begin: int) -> None:
        """Check the lists of some users, the first of which is in row `begin`."""
        rows = slice(begin, begin + len(users))
        listed, scores = self._listed[rows], self._scores[rows].astype(np.float64)
        known = (listed >= 0) & (scores > PADDING)
        self._n_padded += int(np.sum((listed >= 0) & ~known & np.isfinite(scores)))
        highest = np.where(known, scores, -np.inf).max(axis=1, initial=-np.inf)
        lowest = np.where(known, scores, np.inf).min(axis=1, initial=np.inf)
        equal = (known.sum(axis=1) > 1) & (highest == lowest)
        self._equal.update(users[row] for row in np.flatnonzero(equal).tolist())
        ordered = np.sort(np.where(known, listed, -1), axis=1)
        twice = np.argwhere((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0))
        if len(twice):
            row, column = twice[0]
            raise TargetUnavailable(
                f"{path} lists item {self._items[ordered[row, column]]!r} twice for user "
                f"{users[row]!r}. Keep one of the two entries."
            )

    def fingerprint(self) -> str:
        """SHA-256 of the archive."""
        return sha256_file(self._path)

    def notes(self, audited_users: Sequence[str]) -> tuple[str, ...]:
        """Notes for the report on padding, equal scores and audited users without a list.

        Args:
            audited_users: ids of the users of the data set.
        """
        found = [
            f"The file has lists of up to {self._listed.shape[1]} items; an item outside the list "
            "of a user has no score and is not recommended, not even as a candidate."
        ]
        if self._n_padded:
            found.append(padded_note(self._n_padded))
        if self._equal:
            found.append(
                f"{len(self._equal)} of {len(self._users)} users have equal scores for every item, "
                f"such as {min(self._equal)!r}; they get no list."
            )
        return (*found, *unknown_users_note(self._users, audited_users))

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """Return, for each request, the k best listed items outside the history; ties keep the
        order of the list.
        """
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Response:
        row = self._users.get(request.user_id)
        if row is None or request.user_id in self._equal:
            return Response(request_id=request.id, status="no_answer")
        scores = self._scores[row].astype(np.float64)
        left_out = {item.id for item in request.history}
        allowed = None if request.candidates is None else {item.id for item in request.candidates}
        items: list[RankedItem] = []
        for place in np.argsort(-scores, kind="stable").tolist():
            position = int(self._listed[row, place])
            if position < 0 or scores[place] <= PADDING or len(items) == request.k:
                continue
            item_id = self._items[position]
            if item_id not in left_out and (allowed is None or item_id in allowed):
                items.append(RankedItem(raw=item_id, item_id=item_id, score=float(scores[place])))
        return Response(
            request_id=request.id, status="ok" if items else "no_answer", items=tuple(items)
        )
