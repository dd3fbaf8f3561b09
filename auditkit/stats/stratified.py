"""Largest gap between groups of users at equal activity, averaged over activity strata.

gap_ab = sum over strata of w_s (mean_as - mean_bs), where w_s is the share of users in stratum s
among the strata in which both groups have at least five users. Two groups are not compared if
either has fewer than 20 users in these strata, too few to estimate a spread. Labels are permuted
within strata, so the test is exact regardless of the effect of activity on utility. Bounds are
simultaneous over pairs, as for the unstratified gap (`group_bounds`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.stats.group_bounds import gap_of
from auditkit.stats.intervals import Interval, clopper_pearson
from auditkit.stats.max_t import (
    NO_SPREAD,
    critical_value,
    largest_gap,
    resample_weights,
    resampled_means,
)
from auditkit.stats.relabeling import permutation_p
from auditkit.stats.resampled_estimate import FEW_UNITS
from auditkit.stats.simultaneous import MIN_PROBES

__all__ = ["StratifiedGap", "activity_strata", "stratified_gap"]

BLOCK_ROWS = 1_000

Array = NDArray[np.float64]


class StratifiedGap(NamedTuple):
    """The largest gap between two groups at equal activity.

    Attributes:
        value: largest gap, in the unit of the values; ideal 0.
        bounds: simultaneous bounds over all pairs.
        p: p-value for the hypothesis that groups do not differ inside strata, in (0, 1].
        n_incomparable: number of pairs of groups that are not compared, because common strata have
            too few users.
    """

    value: float
    bounds: Interval
    p: float
    n_incomparable: int


class _Pairs(NamedTuple):
    """The users of each cell (stratum and group), and the stratum weights of every pair of
    groups.
    """

    cells: Array  # [users, strata * groups], 1 in the user's cell
    sizes: Array  # [strata, groups]
    a: NDArray[np.intp]
    b: NDArray[np.intp]
    weights: Array  # [pairs, strata]

    def difference(self, means: Array) -> Array:
        """Return the mean of the first minus the mean of the second group of every pair, [...,
        pairs].

        `means` has shape [..., strata, groups].
        """
        between: Array = means[..., self.a] - means[..., self.b]
        return np.asarray(np.einsum("ps,...sp->...p", self.weights, between))

    def error(self, squared: Array) -> Array:
        """Standard errors of the differences, from squared standard errors of the cell means."""
        both = squared[..., self.a] + squared[..., self.b]
        return np.asarray(np.sqrt(np.einsum("ps,...sp->...p", self.weights**2, both)))

    def moments(self, rows: Array) -> tuple[Array, Array]:
        """Cell means and their squared standard errors, each [draws, strata, groups], from rows
        [draws, users].
        """
        shape = (len(rows), *self.sizes.shape)
        n = np.maximum(self.sizes, 1)
        means = (rows @ self.cells).reshape(shape) / n
        squares = (rows**2 @ self.cells).reshape(shape)
        spread = np.maximum(squares - self.sizes * means**2, 0.0)
        return means, spread / np.maximum(self.sizes - 1, 1) / n


def activity_strata(lengths: ArrayLike) -> NDArray[np.int64]:
    """Return the tercile of each user's history length, 0 to 2, [n]; equal lengths get equal
    terciles.
    """
    counts = np.asarray(lengths, dtype=np.float64)
    if not len(counts):
        return np.empty(0, dtype=np.int64)
    return np.searchsorted(np.quantile(counts, [1 / 3, 2 / 3]), counts, side="left")


def stratified_gap(
    values: ArrayLike,
    groups: ArrayLike,
    strata: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 9_999,
    bootstrap_draws: int = 2_000,
    level: float = 0.95,
) -> StratifiedGap | None:
    """Largest gap between groups inside strata, with joint bounds and a permutation p-value.

    Args:
        values: utility per user in [0, 1], [n].
        groups, strata: number of each user's group and stratum, from 0, [n].
        rng: generator for the permutations, then for the resamples.
        draws, bootstrap_draws: number of permutations and of resamples.
        level: joint coverage of the bounds, in (0, 1).

    Returns:
        The gap, or None if no two groups can be compared.

    Raises:
        InvalidArgument: arrays of unequal length, or a value outside [0, 1].
    """
    x = np.asarray(values, dtype=np.float64)
    group, stratum = np.asarray(groups, dtype=np.int64), np.asarray(strata, dtype=np.int64)
    if not len(x) == len(group) == len(stratum) or not np.all((x >= 0) & (x <= 1)):
        raise InvalidArgument(
            f"stratified_gap got {len(x)} values, {len(group)} groups and {len(stratum)} strata. "
            "Give one of each per user, values in [0, 1]."
        )
    pairs, n_incomparable = _pairs(group, stratum)
    if not len(pairs.a):
        return None
    means, squared = (found[0] for found in pairs.moments(x[None, :]))
    gaps, error = pairs.difference(means), pairs.error(squared)
    null = [_largest_t(*pairs.moments(rows), pairs) for rows in _permuted(x, stratum, rng, draws)]
    p = permutation_p(float(_largest_t(means, squared, pairs)), np.concatenate(null))
    bounds = _bounds(x, pairs, np.abs(gaps), error, rng, bootstrap_draws, level)
    return StratifiedGap(float(np.abs(gaps).max()), bounds, p, n_incomparable)


def _pairs(group: NDArray[np.int64], stratum: NDArray[np.int64]) -> tuple[_Pairs, int]:
    n_groups, n_strata = group.max(initial=-1) + 1, stratum.max(initial=-1) + 1
    cells = np.zeros((len(group), n_strata * n_groups))
    cells[np.arange(len(group)), stratum * n_groups + group] = 1.0
    sizes = cells.sum(axis=0).reshape(n_strata, n_groups)
    a, b = np.triu_indices(n_groups, 1)
    shared = ((sizes[:, a] >= FEW_UNITS) & (sizes[:, b] >= FEW_UNITS)).T
    weights = shared * sizes.sum(axis=1)
    least = np.minimum(*(np.einsum("ps,sp->p", shared, sizes[:, side]) for side in (a, b)))
    comparable = least >= MIN_PROBES
    weights = weights[comparable] / weights[comparable].sum(axis=1, keepdims=True)
    found = _Pairs(cells, sizes, a[comparable], b[comparable], weights)
    return found, int(np.sum(~comparable))


def _largest_t(means: Array, squared: Array, pairs: _Pairs) -> Array:
    gaps, error = np.abs(pairs.difference(means)), pairs.error(squared)
    spread = error > NO_SPREAD
    without = np.where(gaps > NO_SPREAD, np.inf, 0.0)
    t = np.where(spread, gaps / np.where(spread, error, 1.0), without)
    return np.asarray(t.max(axis=-1))


def _permuted(
    x: Array, stratum: NDArray[np.int64], rng: np.random.Generator, draws: int
) -> Iterator[Array]:
    """Yield blocks [block, users] of the values, permuted inside strata."""
    members = [np.flatnonzero(stratum == s) for s in np.unique(stratum)]
    for begin in range(0, draws, BLOCK_ROWS):
        rows = np.empty((min(BLOCK_ROWS, draws - begin), len(x)))
        for own in members:
            rows[:, own] = rng.permuted(np.broadcast_to(x[own], (len(rows), len(own))), axis=1)
        yield rows


def _bounds(
    x: Array,
    pairs: _Pairs,
    gaps: Array,
    error: Array,
    rng: np.random.Generator,
    draws: int,
    level: float,
) -> Interval:
    """Simultaneous bounds over pairs, with users resampled inside their cell.

    Pairs that include a group of nearly equal values are bounded separately.
    """
    away = [((x != end) @ pairs.cells).reshape(pairs.sizes.shape) for end in (0, 1)]
    usual = np.array([np.median(x[cell > 0]) if cell.any() else 0.0 for cell in pairs.cells.T])
    differs = np.abs(x - pairs.cells @ usual) > NO_SPREAD
    used = pairs.weights.T > 0
    sparse = error <= NO_SPREAD
    for side in (pairs.a, pairs.b):
        for number in (*away, (differs @ pairs.cells).reshape(pairs.sizes.shape)):
            sparse |= (number[:, side] * used).sum(axis=0) < FEW_UNITS
    alpha = (1 - level) / (2 if sparse.any() and not sparse.all() else 1)
    found: list[Interval] = []
    if not sparse.all():
        shift, squared = _resampled(x, pairs, rng, draws)
        c = critical_value(
            pairs.difference(shift)[:, ~sparse], pairs.error(squared)[:, ~sparse], level=1 - alpha
        )
        found.append(largest_gap(gaps[~sparse], c * error[~sparse]))
    share = 1 - alpha / (2 * max(1, int(sparse.sum())))
    for pair in np.flatnonzero(sparse):
        sides = (pairs.a[pair], pairs.b[pair])
        found.append(gap_of(*(_ends(away, pairs, pair, side, share) for side in sides)))
    low, high = max(one.low for one in found), max(one.high for one in found)
    return Interval(low, min(1.0, high))


def _ends(
    away: Sequence[Array], pairs: _Pairs, pair: np.intp, group: np.intp, level: float
) -> Interval:
    """Bound a group's weighted mean in a pair, using the effective sample size of the weights.

    Args:
        away: two arrays [strata, groups]: the number of users with a value above 0, and below 1.
    """
    used = pairs.weights[pair] > 0
    weights, sizes = pairs.weights[pair, used], pairs.sizes[used, group]
    n_eff = 1 / float(np.sum(weights**2 / sizes))
    above_zero, below_one = (float(np.sum(weights * own[used, group] / sizes)) for own in away)
    return _mean_ends(min(1.0, above_zero) * n_eff, min(1.0, below_one) * n_eff, n_eff, level)


def _resampled(
    x: Array, pairs: _Pairs, rng: np.random.Generator, draws: int
) -> tuple[Array, Array]:
    """Resampled shift and squared standard error of cell means, [draws, strata, groups]."""
    shape = (draws, pairs.cells.shape[1])
    shift, squared = np.zeros(shape), np.zeros(shape)
    for cell in range(shape[1]):
        own = x[pairs.cells[:, cell] > 0]
        n = len(own)
        if n < FEW_UNITS:
            continue
        drawn = resampled_means(own[:, None], resample_weights(rng, n=n, draws=draws))
        shift[:, cell], squared[:, cell] = drawn.shift[:, 0], drawn.error[:, 0] ** 2
    by_cell = (draws, *pairs.sizes.shape)
    return shift.reshape(by_cell), squared.reshape(by_cell)


def _mean_ends(above_zero: float, below_one: float, n: float, level: float) -> Interval:
    """Bounds of the mean of n numbers in [0, 1], each at one-sided `level`.

    Args:
        above_zero, below_one: how many numbers are above 0 and below 1; need not be integers.
    """
    away_from_one = clopper_pearson(below_one, n, level, side="upper").high
    return Interval(1 - away_from_one, clopper_pearson(above_zero, n, level, side="upper").high)
