"""Checks of interactions: impossible times, ratings without information, rare users and items."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.interactions import Interactions
from auditkit.data_audit.check import MAX_EXAMPLES, DataCheck, share

__all__ = ["check_ratings", "check_rows", "check_times"]

_MIN_RATINGS, _MIN_ROWS = 20, 5
_YEAR = 365.2425 * 24 * 3600


def check_rows(rows: Interactions) -> list[DataCheck]:
    """Count duplicate rows, users with one interaction, and items without an interaction."""
    per_user = np.bincount(rows.user_index, minlength=len(rows.user_ids))
    per_item = np.bincount(rows.item_index, minlength=len(rows.item_ids))
    n_read = len(rows) + rows.n_duplicates
    once = np.flatnonzero(per_user == 1)
    return [
        share(
            "events.repeated_row", "rows that repeat an earlier row in every column",
            rows.n_duplicates, n_read, "rows", limit=0.01,
        ),
        share(
            "rare.users_once", "users with one interaction, who are only in the training data",
            len(once), len(per_user), "users",
            examples=tuple(rows.user_ids[u] for u in once[:MAX_EXAMPLES]),
        ),
        share(
            "rare.items_once", "items with one interaction", int(np.sum(per_item == 1)),
            len(per_item), "items",
        ),
        share(
            "rare.items_never", "items without an interaction, which a model cannot learn",
            int(np.sum(per_item == 0)), len(per_item), "items",
        ),
    ]  # fmt: skip


def check_times(
    rows: Interactions, years: Sequence[int | None], *, as_of: datetime.datetime
) -> list[DataCheck]:
    """Count interactions with impossible times (before 1970, after `as_of`, or before the item
    existed), and users whose interactions all have one time.

    Args:
        rows: the interactions.
        years: year of each item, None if unknown.
        as_of: the day of the audit, with a time zone.
    """
    time = rows.timestamp
    impossible = np.flatnonzero((time <= 0) | (time > as_of.timestamp()))
    released = np.array([np.nan if year is None else year for year in years])[rows.item_index]
    known = ~np.isnan(released)
    # A year of tolerance: previews, and years that differ between countries.
    early = np.flatnonzero(known & (1970 + time / _YEAR < released - 1))
    counts = np.diff(rows.offsets)
    starts = rows.offsets[:-1][counts >= _MIN_ROWS]
    ends = rows.offsets[1:][counts >= _MIN_ROWS] - 1
    at_once = int(np.sum(time[starts] == time[ends]))  # rows of a user are sorted by time
    return [
        share(
            "events.impossible_time", "interactions before 1970 or after today",
            len(impossible), len(rows), "rows", limit=0.0, examples=_rows(rows, impossible),
        ),
        share(
            "events.before_release", "interactions more than a year before the year of the item",
            len(early), int(known.sum()), "rows with a year", limit=0.001,
            examples=_rows(rows, early, years),
        ),
        share(
            "events.one_time", f"users with {_MIN_ROWS} or more interactions, all at one time",
            at_once, len(starts), "users", limit=0.05,
        ),
    ]  # fmt: skip


def _rows(
    rows: Interactions, found: NDArray[np.intp], years: Sequence[int | None] | None = None
) -> tuple[str, ...]:
    """User, item and time of the first rows."""
    told = []
    for row in found[:MAX_EXAMPLES]:
        item, seconds = rows.item_index[row], int(rows.timestamp[row])
        year = "" if years is None else f" of {years[item]}"
        try:
            when = str(datetime.datetime.fromtimestamp(seconds, datetime.UTC).date())
        except (OverflowError, ValueError, OSError):
            when = f"{seconds} s"
        user = rows.user_ids[rows.user_index[row]]
        told.append(f"user {user}, item {rows.item_ids[item]}{year}, {when}")
    return tuple(told)


def check_ratings(rows: Interactions) -> list[DataCheck]:
    """Count users whose ratings are all equal, and repeated ratings that differ from the user's
    previous rating of the item.
    """
    if len(rows) == 0 or np.all(rows.rating == rows.rating[0]):
        return [
            DataCheck(
                id="ratings.constant_user", about="users whose ratings are all equal",
                value=None, n=0, unit="users", reason="the data have no ratings",
            )
        ]  # fmt: skip
    counts = np.diff(rows.offsets)
    many = np.flatnonzero(counts >= _MIN_RATINGS)
    starts = rows.offsets[:-1]
    nonempty = np.flatnonzero(counts)
    low = np.full(len(counts), np.nan)
    high = np.full(len(counts), np.nan)
    low[nonempty] = np.minimum.reduceat(rows.rating, starts[nonempty])
    high[nonempty] = np.maximum.reduceat(rows.rating, starts[nonempty])
    constant = many[low[many] == high[many]]
    pairs = rows.user_index.astype(np.int64) * len(rows.item_ids) + rows.item_index
    order = np.argsort(pairs, kind="stable")
    again = pairs[order][1:] == pairs[order][:-1]
    differs = again & (rows.rating[order][1:] != rows.rating[order][:-1])
    return [
        share(
            "ratings.constant_user",
            f"users with {_MIN_RATINGS} or more ratings, all equal",
            len(constant), len(many), "users", limit=0.05,
            examples=tuple(rows.user_ids[u] for u in constant[:MAX_EXAMPLES]),
        ),
        share(
            "ratings.conflict",
                "rows that rate an item differently from the user's previous row for it",
            int(differs.sum()), len(rows), "rows", limit=0.01,
        ),
    ]  # fmt: skip
