"""Groupings of users and the gaps in utility between groups, raw and stratified by activity.

A grouping is an attribute of the data set's users, or several crossed attributes. Every gap has
simultaneous bounds and a permutation p-value; p-values are adjusted over all gaps of the probe. See
docs/explain/fairness.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument, did_you_mean
from auditkit.metrics.groups import UNKNOWN
from auditkit.probes.base import Context, NotAssessable, User
from auditkit.probes.users import attributes_of
from auditkit.stats.group_bounds import group_gap_bounds
from auditkit.stats.intervals import Interval
from auditkit.stats.multiplicity import holm
from auditkit.stats.permutation import group_gap_test
from auditkit.stats.stratified import activity_strata, stratified_gap

__all__ = [
    "LEAST_CELLS",
    "Gap",
    "Grouping",
    "choose_groupings",
    "label_of",
    "measure_gaps",
    "missing_crossings",
    "user_attributes",
    "worth_crossing",
]

LEAST_CELLS = 4


@dataclass(frozen=True)
class Grouping:
    """A grouping of users by one attribute or by several crossed attributes."""

    attributes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the grouping in findings, such as `gender` or `gender&age`."""
        return "&".join(self.attributes)

    @property
    def crossed(self) -> bool:
        """Whether the grouping has more than one attribute."""
        return len(self.attributes) > 1

    def labels(self, users: Sequence[User]) -> NDArray[np.str_]:
        """Return the group of every user, such as `gender=female&age=under 25`, or `unknown`."""
        return np.array([label_of(user, self.attributes) for user in users], dtype=np.str_)


def label_of(user: User, attributes: Sequence[str]) -> str:
    """Return the user's group; `unknown` if a value is not known."""
    values = [user.attributes.get(name) or UNKNOWN for name in attributes]
    if UNKNOWN in values:
        return UNKNOWN
    return "&".join(f"{name}={value}" for name, value in zip(attributes, values, strict=True))


def user_attributes(users: Sequence[User]) -> tuple[str, ...]:
    """Return the attributes with at least two known values among users, in the order of the
    data.
    """
    values: dict[str, set[str]] = {}
    # Users with equal attributes may share one mapping, which is then read once.
    for attributes in {id(own): own for own in attributes_of(users)}.values():
        for name, value in attributes.items():
            values.setdefault(name, set()).add(value or UNKNOWN)
    return tuple(name for name, found in values.items() if len(found - {UNKNOWN}) > 1)


def choose_groupings(
    users: Sequence[User], attributes: Sequence[str], crossed: Sequence[str] | None
) -> list[Grouping]:
    """Choose the groupings that a probe compares.

    Args:
        users: the users of the run.
        attributes: names of attributes; empty for all attributes of the users.
        crossed: crossings such as `gender&age`; None for every pair of the attributes. Crossings of
            attributes that the users do not have are left out; see `missing_crossings`.

    Raises:
        InvalidArgument: an attribute is misspelled.
        NotAssessable: an attribute has fewer than two known values.
    """
    known = user_attributes(users)
    chosen = tuple(attributes) or known
    for name in (*chosen, *(name for entry in crossed or () for name in entry.split("&"))):
        if name not in known and (meant := did_you_mean(name, known)):
            raise InvalidArgument(
                f"the users have no attribute {name!r} with at least two known values.{meant} "
                f"Name one of {', '.join(known)}."
            )
    if lacking := [name for name in chosen if name not in known]:
        raise NotAssessable(
            f"the users have no attribute {lacking[0]!r} with at least two known values; the "
            f"attributes with at least two are: {', '.join(known) or 'none'}"
        )
    crossings = (
        list(combinations(chosen, 2))
        if crossed is None
        else [parts for entry in crossed if {*(parts := tuple(entry.split("&")))} <= {*known}]
    )
    return [*(Grouping((name,)) for name in chosen), *(Grouping(pair) for pair in crossings)]


def missing_crossings(users: Sequence[User], crossed: Sequence[str] | None) -> list[str]:
    """Return notes on crossings that name an attribute which the users do not have."""
    known = user_attributes(users)
    return [
        f"{entry} is not compared, because the users have no attribute {name!r} with at least two "
        "known values"
        for entry in crossed or ()
        for name in entry.split("&")
        if name not in known
    ]


def worth_crossing(
    groupings: Sequence[Grouping], users: Sequence[User], *, min_group: int, least: int
) -> tuple[list[Grouping], dict[str, list[str]]]:
    """Drop crossings in which fewer than `least` cells have `min_group` users.

    A crossing with few large cells adds little to the two separate attributes.

    Returns:
        The remaining groupings, and notes on the dropped groupings by the name of their first
        attribute.
    """
    kept: list[Grouping] = []
    left_out: dict[str, list[str]] = {}
    for grouping in groupings:
        cells = Counter(map(str, grouping.labels(users)))
        del cells[UNKNOWN]
        n_large = sum(n >= min_group for n in cells.values())
        if not grouping.crossed or n_large >= least:
            kept.append(grouping)
            continue
        left_out.setdefault(grouping.attributes[0], []).append(
            f"{grouping.name} is not compared, because only {n_large} of {len(cells)} cells have "
            f"{min_group} users, but {least} are required"
        )
    return kept, left_out


class Gap(NamedTuple):
    """The largest gap of one metric over the groups of one grouping.

    Attributes:
        value, bounds: gap and its bounds, in the unit of the metric.
        p, p_adjusted: p-value before and after adjustment.
        n, n_left_out: number of users in the compared groups, and number of all other users.
        n_incomparable: number of pairs of groups with too few users in common strata.
    """

    value: float
    bounds: Interval | None
    p: float
    p_adjusted: float
    n: int
    n_left_out: int
    n_incomparable: int = 0


def measure_gaps(
    context: Context,
    users: Sequence[User],
    utility: Mapping[str, NDArray[np.float64]],
    groupings: Sequence[Grouping],
    *,
    min_group: int,
    draws: int,
    bootstrap_draws: int,
) -> dict[tuple[str, str, bool], Gap]:
    """Measure the raw and the stratified gap of every metric and grouping with two or more large
    groups.

    Args:
        utility: utility of each user by metric, [users] in [0, 1].

    Returns:
        Gaps by (name of the grouping, metric, whether stratified by activity).
    """
    strata = activity_strata([len(user.history) for user in users])
    found: dict[tuple[str, str, bool], Gap] = {}
    for grouping in groupings:
        labels = grouping.labels(users)
        names, sizes = np.unique(labels, return_counts=True)
        large = names[(sizes >= min_group) & (names != UNKNOWN)]
        if len(large) < 2:
            continue
        inside = np.isin(labels, large)
        codes, n = np.searchsorted(large, labels[inside]), int(inside.sum())
        for metric, values in utility.items():
            key = (grouping.name, metric)
            x = values[inside]
            bounds = group_gap_bounds(
                x, codes, rng=context.rng("bounds", *key), draws=bootstrap_draws
            )
            p = group_gap_test(x, codes, rng=context.rng("permutation", *key), draws=draws)
            found[*key, False] = Gap(bounds.value, bounds.bounds, p, p, n, len(users) - n)
            stratified = stratified_gap(
                x,
                codes,
                strata[inside],
                rng=context.rng("strata", *key),
                draws=draws,
                bootstrap_draws=bootstrap_draws,
            )
            if stratified is not None:
                value, ends, p, n_incomparable = stratified
                found[*key, True] = Gap(value, ends, p, p, n, len(users) - n, n_incomparable)
    adjusted = holm([gap.p for gap in found.values()])
    return {
        key: gap._replace(p_adjusted=p)
        for (key, gap), p in zip(found.items(), adjusted, strict=True)
    }
