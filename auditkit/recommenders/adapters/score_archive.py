"""Read the numpy archive of a `scores:` target: scores of all items, or lists of the best items."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import TargetUnavailable

__all__ = ["ScoreArchive", "read_archive"]


class ScoreArchive(NamedTuple):
    """Content of a score archive (`.npz`).

    Attributes:
        scores: finite numbers or minus infinity, [users, items] or [users, listed].
        items: positions in `item_ids` of the listed items, -1 where a list is shorter, [users,
            listed]; None if there are scores for all items.
        user_ids, item_ids: unique ids.
    """

    scores: NDArray[Any]
    items: NDArray[Any] | None
    user_ids: list[str]
    item_ids: list[str]


def read_archive(path: Path) -> ScoreArchive:
    """Read and check an archive.

    Raises:
        TargetUnavailable: the file is not a numpy archive with these arrays, shapes do not match,
            ids are duplicate or of a wrong type, a score is NaN or plus infinity, or a position is
            out of range.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            scores, users, items = (archive[n] for n in ("scores", "user_ids", "item_ids"))
            listed = archive["items"] if "items" in archive.files else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TargetUnavailable(
            f"{path} cannot be read ({error}). Save it with numpy.savez(FILE, scores=..., "
            "user_ids=..., item_ids=...), ids as numbers or strings."
        ) from None
    user_ids, item_ids = _ids(path, "user_ids", users), _ids(path, "item_ids", items)
    found = ScoreArchive(scores, listed, user_ids, item_ids)
    _check_shapes(path, found)
    for kind, ids in (("user", user_ids), ("item", item_ids)):
        twice = next((i for i, n in Counter(ids).items() if n > 1), None)
        if twice is not None:
            raise TargetUnavailable(f"{path} contains {kind} {twice!r} twice. Keep one.")
    _check_numbers(path, found)
    return found


def _ids(path: Path, name: str, ids: NDArray[np.generic]) -> list[str]:
    """Ids as strings, as in the data set; floats are rejected, because "1.0" is not "1"."""
    if ids.ndim != 1 or ids.dtype.kind not in "iuU":
        raise TargetUnavailable(
            f"{path} has {name} of type {ids.dtype} and shape {ids.shape}. Give a one-dimensional "
            "array of integers or strings, as in the data set."
        )
    return [str(value) for value in ids.tolist()]


def _check_shapes(path: Path, found: ScoreArchive) -> None:
    n_users, n_items = len(found.user_ids), len(found.item_ids)
    if found.items is None:
        if found.scores.shape != (n_users, n_items):
            raise TargetUnavailable(
                f"{path} has scores of shape {found.scores.shape} for {n_users} users and "
                f"{n_items} items. Give one row per user and one column per item."
            )
        return
    shape = found.items.shape
    if len(shape) == 2 and shape[0] == n_users and shape == found.scores.shape:
        return
    raise TargetUnavailable(
        f"{path} has lists of shape {shape} and scores of shape {found.scores.shape} for "
        f"{n_users} users. Give one row per user and one score per listed item."
    )


def _check_numbers(path: Path, found: ScoreArchive) -> None:
    scores, items = found.scores, found.items
    if scores.dtype.kind not in "fiu":
        raise TargetUnavailable(
            f"{path} has scores of type {scores.dtype}, which is not numeric. Save them as floats."
        )
    wrong = np.argwhere(~(scores < np.inf))
    if len(wrong):
        row, column = wrong[0]
        place = column if items is None else items[row, column]
        raise TargetUnavailable(
            f"{path} contains {len(wrong)} scores that are NaN or plus infinity, the first for "
            f"user {found.user_ids[row]!r} and item {found.item_ids[place]!r} (row {row}, column "
            f"{column}). Use minus infinity to exclude an item."
        )
    if items is None:
        return
    if items.dtype.kind not in "iu" or (
        items.size and not -1 <= int(items.min()) <= int(items.max()) < len(found.item_ids)
    ):
        raise TargetUnavailable(
            f"{path} has `items` that are not positions in `item_ids`. Give integers from 0 to "
            f"{len(found.item_ids) - 1}, and -1 at the end of a shorter list."
        )
