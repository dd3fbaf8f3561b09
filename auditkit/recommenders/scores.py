"""`scores:FILE.npz`: a matrix of users and items from any classic recommender.

RecBole, Cornac and implicit save checkpoints as pickles, which are never loaded; their scores come
in as a plain numpy archive with `scores` [users, items], `user_ids` and `item_ids`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from auditkit.canonical import sha256_file
from auditkit.errors import TargetUnavailable
from auditkit.types import RankedItem, Request, Response

__all__ = ["ScoreMatrix"]

_ARRAYS = ("scores", "user_ids", "item_ids")


class ScoreMatrix:
    """Ranks by stored scores; it reads a request's user, history, candidates and k only.

    Raises:
        TargetUnavailable: not such an archive, wrong shapes, repeated ids, or a score that is NaN.
    """

    batch_invariant = True
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
        users, items = ([str(i) for i in found[name].ravel()] for name in _ARRAYS[1:])
        if self._scores.shape != (len(users), len(items)):
            raise TargetUnavailable(
                f"{path} has scores of shape {self._scores.shape} for {len(users)} users and "
                f"{len(items)} items. Give one row per user and one column per item."
            )
        for kind, ids in (("user", users), ("item", items)):
            if len(set(ids)) < len(ids):
                twice = next(i for i in ids if ids.count(i) > 1)
                raise TargetUnavailable(f"{path} names {kind} {twice!r} twice. Keep one.")
        if not np.issubdtype(self._scores.dtype, np.number) or np.isnan(self._scores).any():
            raise TargetUnavailable(
                f"{path} holds a score that is no number. Leave items out with minus infinity."
            )
        self._users = {user: row for row, user in enumerate(users)}
        self._items, self._columns = items, {item: column for column, item in enumerate(items)}

    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        return sha256_file(self._path)

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """The k best items outside the history; equal scores keep the file's order."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Response:
        row = self._users.get(request.user_id)
        if row is None:
            return Response(request_id=request.id, status="no_answer")
        scores = self._scores[row].astype(np.float64)
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
