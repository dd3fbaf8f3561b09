"""Recommender for `scores:FILE.npz`: a user-item score matrix from any classic recommender.

RecBole, Cornac, implicit and LensKit save checkpoints as pickles, which are never loaded; their
scores are read from a plain numpy archive with `scores` [users, items], `user_ids` and `item_ids`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from auditkit.recommenders.adapters.ranked_lists import RankedLists
from auditkit.recommenders.adapters.score_archive import ScoreArchive, read_archive
from auditkit.recommenders.adapters.score_checks import PADDING, check_scores, unknown_users_note
from auditkit.serialization.atomic_files import sha256_file
from auditkit.types import RankedItem, Request, Response

__all__ = ["ScoreMatrix", "load_scores"]


class ScoreMatrix:
    """Ranks by stored scores; uses only the user, history, candidates and k of a request.

    Padding is never recommended, and a user whose scores are all equal gets no list.

    Args:
        path: the file. archive: content of the file, with scores for all items.
    """

    reads_prompt = False
    reads_history = False

    def __init__(self, path: Path, archive: ScoreArchive) -> None:
        self.name, self._path = f"scores:{path.name}", path
        self._scores, users, items = archive.scores, archive.user_ids, archive.item_ids
        self._checks = check_scores(self._scores)
        self._equal = {users[row] for row in self._checks.equal}
        self._users = {user: row for row, user in enumerate(users)}
        self._items, self._columns = items, {item: column for column, item in enumerate(items)}

    def fingerprint(self) -> str:
        """SHA-256 of the archive."""
        return sha256_file(self._path)

    def notes(self, audited_users: Sequence[str]) -> tuple[str, ...]:
        """Notes for the report on padding, equal scores and audited users without a row.

        Args:
            audited_users: ids of the users of the data set.
        """
        found = self._checks.notes(list(self._users))
        return (*found, *unknown_users_note(self._users, audited_users))

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """Return, for each request, the k best items outside the history; ties keep the order of
        the file.
        """
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Response:
        row = self._users.get(request.user_id)
        if row is None or request.user_id in self._equal:
            return Response(request_id=request.id, status="no_answer")
        scores = self._scores[row].astype(np.float64)
        scores[scores <= PADDING] = -np.inf
        if request.candidates is not None:
            allowed = [self._columns[c.id] for c in request.candidates if c.id in self._columns]
            outside = np.ones(len(scores), dtype=bool)
            outside[allowed] = False
            scores[outside] = -np.inf
        scores[[self._columns[i.id] for i in request.history if i.id in self._columns]] = -np.inf
        best = np.argsort(-scores, kind="stable")[: request.k]
        items = tuple(
            RankedItem(raw=self._items[i], item_id=self._items[i], score=float(scores[i]))
            for i in best
            if scores[i] > -np.inf
        )
        return Response(request_id=request.id, status="ok" if items else "no_answer", items=items)


def load_scores(path: Path) -> ScoreMatrix | RankedLists:
    """Open the file of a `scores:` target.

    Raises:
        TargetUnavailable: the file is not valid.
    """
    archive = read_archive(path)
    if archive.items is None:
        return ScoreMatrix(path, archive)
    return RankedLists(path, archive, archive.items)
