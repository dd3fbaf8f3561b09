"""Recommender for `scores:FILE.npz`: a user-item score matrix from any classic recommender.

RecBole, Cornac, implicit and LensKit save checkpoints as pickles, which are never loaded; their
scores are read from a plain numpy archive with `scores` [users, items], `user_ids` and `item_ids`.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.adapters.score_checks import PADDING, check_scores
from auditkit.serialization.atomic_files import sha256_file
from auditkit.types import RankedItem, Request, Response

__all__ = ["ScoreMatrix"]

_ARRAYS = ("scores", "user_ids", "item_ids")


class ScoreMatrix:
    """Ranks by stored scores; uses only the user, history, candidates and k of a request.

    Padding is never recommended, and a user with equal scores for every item gets no list.

    Raises:
        TargetUnavailable: not a numpy archive with these arrays, wrong shapes, duplicate ids or ids
            of another type, or a score that is NaN or plus infinity.
    """

    reads_prompt = False

    def __init__(self, path: Path) -> None:
        self.name, self._path = f"scores:{path.name}", path
        try:
            with np.load(path, allow_pickle=False) as archive:
                found = {name: archive[name] for name in _ARRAYS}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise TargetUnavailable(
                f"{path} cannot be read ({error}). Save it with numpy.savez(FILE, scores=..., "
                "user_ids=..., item_ids=...), ids as numbers or strings."
            ) from None
        self._scores = found["scores"]
        users, items = (_ids(path, name, found[name]) for name in _ARRAYS[1:])
        if self._scores.shape != (len(users), len(items)):
            raise TargetUnavailable(
                f"{path} has scores of shape {self._scores.shape} for {len(users)} users and "
                f"{len(items)} items. Give one row per user and one column per item."
            )
        for kind, ids in (("user", users), ("item", items)):
            twice = next((i for i, n in Counter(ids).items() if n > 1), None)
            if twice is not None:
                raise TargetUnavailable(f"{path} contains {kind} {twice!r} twice. Keep one.")
        if self._scores.dtype.kind not in "fiu":
            raise TargetUnavailable(
                f"{path} has scores of type {self._scores.dtype}, which is not numeric. Save them "
                "as floats."
            )
        wrong = np.argwhere(~(self._scores < np.inf))
        if len(wrong):
            row, column = wrong[0]
            raise TargetUnavailable(
                f"{path} contains {len(wrong)} scores that are NaN or plus infinity, the first for "
                f"user {users[row]!r} and item {items[column]!r} (row {row}, column {column}). "
                "Exclude items with minus infinity."
            )
        self._checks = check_scores(self._scores)
        self._equal = {users[row] for row in self._checks.equal}
        self._users = {user: row for row, user in enumerate(users)}
        self._items, self._columns = items, {item: column for column, item in enumerate(items)}

    def fingerprint(self) -> str:
        """SHA-256 of the archive."""
        return sha256_file(self._path)

    def notes(self, audited_users: Sequence[str]) -> tuple[str, ...]:
        """Notes on scores and users for the report.

        Args:
            audited_users: ids of the users of the data set.
        """
        found = self._checks.notes(list(self._users))
        unknown = [user for user in audited_users if user not in self._users]
        if unknown:
            found.append(
                f"{len(unknown)} of {len(audited_users)} users of the data set have no row in the "
                f"file and get no list, such as {unknown[0]!r}."
            )
        return tuple(found)

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """For each request, the k best items outside the history; ties keep the order of the
        file.
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


def _ids(path: Path, name: str, ids: NDArray[np.generic]) -> list[str]:
    """Ids as strings, as in the data set; floats are rejected, because "1.0" is not "1"."""
    if ids.ndim != 1 or ids.dtype.kind not in "iuU":
        raise TargetUnavailable(
            f"{path} has {name} of type {ids.dtype} and shape {ids.shape}. Give one row of "
            "integers or strings, as in the data set."
        )
    return [str(value) for value in ids]
