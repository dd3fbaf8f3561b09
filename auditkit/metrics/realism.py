"""Realism check of simulated users: do their sessions have the distribution of real sessions?

A simulator that always accepts makes every recommender look good, so its sessions are compared with
a log of real ones before results are trusted. Four distances are tested together: the
Kolmogorov-Smirnov distance of session length, acceptance rate and repeat rate, and the energy
distance of all three jointly, which also detects a changed dependence between them. Labels are
permuted over whole sessions, and p-values are adjusted by step-down maxT. Source: Szekely & Rizzo
2004 for the energy distance; Westfall & Young 1993. A check that does not reject is not proof of
realism.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from auditkit.errors import InvalidArgument
from auditkit.stats.intervals import Interval
from auditkit.stats.multiplicity import westfall_young
from auditkit.stats.relabeling import BLOCK_BYTES, Tested

__all__ = ["FEATURES", "JOINT", "MIN_SESSIONS", "Realism", "Session", "check_users"]

FEATURES = ("length", "acceptance rate", "repeat rate")
JOINT = "all jointly"
MIN_SESSIONS = 20
MOST_SESSIONS = 2_000  # per log; the energy distance needs all pairs
_TIE = 1e-12

Array = NDArray[np.float64]


class Session(NamedTuple):
    """One session of one user.

    Attributes:
        length: number of shown recommendations or turns, at least 1.
        acceptances: number of these recommendations that the user accepted.
        repeats: number of these recommendations that were shown before.
    """

    length: int
    acceptances: int
    repeats: int


class FeatureDifference(NamedTuple):
    """One distance between the two logs.

    Attributes:
        distance: Kolmogorov-Smirnov distance in [0, 1], or the energy distance of the standardized
            features (at least 0); ideal 0.
        p_adjusted: p-value adjusted over all distances, in (0, 1].
        real, simulated: mean of the feature in each log; None for the joint distance.
        difference: 95 % Welch interval of the simulated minus the real mean; None for the joint
            distance.
    """

    distance: float
    p_adjusted: float
    real: float | None
    simulated: float | None
    difference: Interval | None


@dataclass(frozen=True)
class Realism:
    """How simulated sessions differ from real ones.

    Attributes:
        n_real, n_simulated: number of sessions that were compared.
        differences: test result by feature; the key `all jointly` has the test of all features.
        alpha: family-wise error rate of the decision.
    """

    n_real: int
    n_simulated: int
    differences: dict[str, FeatureDifference]
    alpha: float

    @property
    def p(self) -> float:
        """Smallest adjusted p-value: the p-value of the hypothesis that both logs have one
        distribution.
        """
        return min(one.p_adjusted for one in self.differences.values())

    @property
    def rejected(self) -> bool:
        """Whether the simulated sessions differ significantly from the real ones, `p` <=
        `alpha`.
        """
        return self.p <= self.alpha


def check_users(
    real: Sequence[Session],
    simulated: Sequence[Session],
    *,
    rng: np.random.Generator,
    alpha: float = 0.05,
    draws: int = 1_999,
) -> Realism:
    """Test whether simulated sessions come from the distribution of the real ones.

    Args:
        real, simulated: sessions of independent users, at least 20 each. A log of more than 2,000
            sessions is sampled down to 2,000.
        rng: generator for the sample and the permutations.
        alpha: family-wise error rate, in (0, 1).
        draws: number of permutations, at least 1 / alpha - 1.

    Returns:
        Distances with adjusted p-values. The error rate is at most alpha if sessions are
        independent, so give one session per user.

    Raises:
        InvalidArgument: fewer than 20 sessions, an impossible session, or `alpha` or `draws` out of
            range.
    """
    if not 0 < alpha < 1 or draws < 1 / alpha - 1:
        raise InvalidArgument(
            f"check_users got alpha={alpha}, draws={draws}. Give alpha between 0 and 1, and at "
            "least 1 / alpha - 1 draws."
        )
    tables = [_features(one, name) for one, name in ((real, "real"), (simulated, "simulated"))]
    first, second = (_sampled(table, rng) for table in tables)
    pooled, n = np.concatenate((first, second)), len(first)
    scores = {name: _ks_scores(pooled[:, i]) for i, name in enumerate(FEATURES)}
    pairs = _pair_distances(pooled)
    observed = _distances(_labels(len(pooled), n)[None], scores, pairs)
    null = [_distances(block, scores, pairs) for block in _relabeled(rng, len(pooled), n, draws)]
    tested = {
        name: Tested(float(observed[name][0]), np.concatenate([one[name] for one in null]))
        for name in (*FEATURES, JOINT)
    }
    adjusted = westfall_young(tested)
    found = {
        name: FeatureDifference(
            tested[name].statistic, adjusted[name], *_means(first[:, i], second[:, i])
        )
        for i, name in enumerate(FEATURES)
    }
    found[JOINT] = FeatureDifference(tested[JOINT].statistic, adjusted[JOINT], None, None, None)
    return Realism(len(first), len(second), found, alpha)


def _features(sessions: Sequence[Session], name: str) -> Array:
    """Length, acceptance rate and repeat rate, [sessions, 3]."""
    if len(sessions) < MIN_SESSIONS:
        raise InvalidArgument(
            f"check_users got {len(sessions)} {name} sessions. Give at least {MIN_SESSIONS}."
        )
    table = np.array(sessions, dtype=np.float64)
    length, parts = table[:, 0], table[:, 1:]
    if not ((length >= 1).all() and (parts >= 0).all() and (parts <= length[:, None]).all()):
        raise InvalidArgument(
            f"check_users got a {name} session that is empty, or whose acceptances or repeats are "
            "not between 0 and its length. Correct the log."
        )
    return np.column_stack((length, parts / length[:, None]))


def _sampled(table: Array, rng: np.random.Generator) -> Array:
    if len(table) <= MOST_SESSIONS:
        return table
    return table[rng.choice(len(table), size=MOST_SESSIONS, replace=False)]


def _labels(n: int, n_real: int) -> NDArray[np.bool_]:
    """Mark the real sessions among the pooled sessions, which list the real ones first, [n]."""
    return np.arange(n) < n_real


def _relabeled(
    rng: np.random.Generator, n: int, n_real: int, draws: int
) -> Iterator[NDArray[np.bool_]]:
    """Yield blocks of random labels with n_real real sessions each, [block, n]."""
    block = max(1, BLOCK_BYTES // (8 * n))
    for begin in range(0, draws, block):
        shape = (min(block, draws - begin), n)
        yield rng.permuted(np.broadcast_to(_labels(n, n_real), shape), axis=1)


class _KsScores(NamedTuple):
    """Order of the pooled values, and the positions where distribution functions may differ."""

    order: NDArray[np.intp]
    ends: NDArray[np.intp]


def _ks_scores(values: Array) -> _KsScores:
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order]) > _TIE  # equal values enter both functions at once
    return _KsScores(order, np.append(np.flatnonzero(steps), len(values) - 1))


def _pair_distances(pooled: Array) -> Array:
    """Euclidean distances of all pairs of standardized sessions, [n, n]."""
    spread = pooled.std(axis=0)
    scaled = (pooled - pooled.mean(axis=0)) / np.where(spread > _TIE, spread, 1.0)
    squares = (scaled**2).sum(axis=1)
    found: Array = np.sqrt(
        np.maximum(squares[:, None] + squares[None] - 2 * scaled @ scaled.T, 0.0)
    )
    return found


def _distances(
    labels: NDArray[np.bool_], scores: dict[str, _KsScores], pairs: Array
) -> dict[str, Array]:
    """Compute every distance for every labeling, [draws] each; labels are [draws, n]."""
    n_real = int(labels[0].sum())
    n_other = labels.shape[1] - n_real
    weights = np.where(labels, 1 / n_real, -1 / n_other)
    found = {
        name: np.abs(np.cumsum(weights[:, one.order], axis=1)[:, one.ends]).max(axis=1)
        for name, one in scores.items()
    }
    # 2 E|X - Y| - E|X - X'| - E|Y - Y'| is minus the quadratic form of the weights.
    found[JOINT] = -np.einsum("ij,ij->i", weights @ pairs, weights)
    return found


def _means(real: Array, simulated: Array) -> tuple[float, float, Interval]:
    """Return both means, and Welch's 95 % interval of the simulated minus the real mean."""
    gap = float(simulated.mean() - real.mean())
    parts = [float(one.var(ddof=1)) / len(one) for one in (real, simulated)]
    error = math.sqrt(sum(parts))
    if error <= _TIE:
        return float(real.mean()), float(simulated.mean()), Interval(gap, gap)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(one) - 1) for part, one in zip(parts, (real, simulated), strict=True)
    )
    reach = float(stdtrit(freedom, 0.975)) * error
    return float(real.mean()), float(simulated.mean()), Interval(gap - reach, gap + reach)
