"""How well does a score tell trained users from held-out ones?

AUC says it on average; the true-positive rate at a small false-positive rate says it for the users
who are easiest to find, which is what privacy is about. Source: privacy recipe, 3.7; Carlini et al.
2022 (low false-positive rates).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from auditkit.errors import InvalidArgument
from auditkit.stats.bounds import quantile_levels
from auditkit.stats.intervals import clopper_pearson
from auditkit.stats.resampled_estimate import Measured, outer_quantiles, undefined, with_quantiles

__all__ = ["auc", "auc_value", "tpr_at_fpr", "tpr_at_fpr_value"]

DRAWS = 2_000


def auc_value(members: ArrayLike, others: ArrayLike) -> float | None:
    """Chance that a member scores above a non-member, ties counting 1/2 (Mann-Whitney).

    Args:
        members, others: scores, higher is more member-like.

    Returns:
        In [0, 1]; 0.5 is no information. None if a side is empty.
    """
    m, o = _scores(members), _scores(others)
    return _auc(m, o) if len(m) and len(o) else None


def tpr_at_fpr_value(members: ArrayLike, others: ArrayLike, *, fpr: float) -> float | None:
    """Largest share of members found by a threshold whose share of false alarms is at most `fpr`.

    Step convention: scores equal to the threshold are all called members, and calling nobody is a
    threshold. No hull and no interpolation, which read higher.

    Args:
        members, others: scores, higher is more member-like.
        fpr: allowed share of non-members, in (0, 1).

    Returns:
        In [0, 1]; `fpr` is no information. None if a side is empty or there are fewer than 1 / fpr
        non-members.

    Raises:
        InvalidArgument: fpr outside (0, 1), or a score that is not finite.
    """
    m, o = _scores(members), _scores(others)
    if not _enough(m, o, fpr):
        return None
    return float(_found(m, o, fpr) / len(m))


def auc(
    members: ArrayLike,
    others: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
    n_missing: int = 0,
) -> Measured:
    """AUC with a 95 % stratified bootstrap interval, members and non-members resampled apart.

    Where every member scores above every non-member (or below) the bootstrap collapses; the far end
    is then widened to the Clopper-Pearson bound of the smaller side.

    Args:
        members, others: one score per user, higher is more member-like.
        rng: generator of the resamples.
        draws: number of resamples.
        n_missing: users that could not be scored.

    Returns:
        Estimate in [0, 1], ideal 0.5, n = users of both sides; undefined if a side is empty.
    """
    m, o = _scores(members), _scores(others)
    n = len(m) + len(o)
    if not len(m) or not len(o):
        reason = f"{len(m)} members and {len(o)} non-members; needs one of each"
        return undefined("AUC", "lower", n=n, n_missing=n_missing, reason=reason)
    value = _auc(m, o)
    q = outer_quantiles([_auc(a, b) for a, b in _resamples(m, o, rng, draws)])
    if value in (0.0, 1.0):
        n_pairs = min(len(m), len(o))  # this many comparisons share no user
        q = _outer(q, round(value * n_pairs), n_pairs)
    return with_quantiles(value, q, n, draws, "AUC", "lower", n_missing)


def tpr_at_fpr(
    members: ArrayLike,
    others: ArrayLike,
    *,
    fpr: float,
    rng: np.random.Generator,
    draws: int = DRAWS,
    n_missing: int = 0,
) -> Measured:
    """True-positive rate at a false-positive rate, with the outer ends of two 95 % intervals.

    The stratified bootstrap moves the threshold; Clopper-Pearson at the chosen threshold keeps the
    interval open where the bootstrap collapses (0 found of n).

    Args:
        members, others, rng, draws, n_missing: as in `auc`.
        fpr: allowed share of false alarms, such as 0.01.

    Returns:
        Estimate in [0, 1], ideal `fpr`, n = members; undefined if a side is empty or there are
        fewer than 1 / fpr non-members.

    Raises:
        InvalidArgument: fpr outside (0, 1), or a score that is not finite.
    """
    m, o = _scores(members), _scores(others)
    unit = "fraction of trained users"
    if not _enough(m, o, fpr):
        reason = f"{len(m)} members and {len(o)} non-members; needs 1 and {math.ceil(1 / fpr)}"
        return undefined(unit, "lower", n=len(m), n_missing=n_missing, reason=reason)
    found = _found(m, o, fpr)
    drawn = outer_quantiles([_found(a, b, fpr) / len(a) for a, b in _resamples(m, o, rng, draws)])
    q = _outer(drawn, found, len(m))
    return with_quantiles(found / len(m), q, len(m), draws, unit, "lower", n_missing)


def _scores(values: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or not np.all(np.isfinite(scores)):
        raise InvalidArgument(
            "membership scores must be one finite number per user. Count the others as missing."
        )
    return scores


def _auc(members: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    ranks = stats.rankdata(np.concatenate((members, others)))
    n = len(members)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(others)))


def _enough(members: NDArray[np.float64], others: NDArray[np.float64], fpr: float) -> bool:
    if not 0 < fpr < 1:
        raise InvalidArgument(
            f"a false-positive rate of {fpr} was asked for. Give one between 0 and 1."
        )
    return len(members) > 0 and len(others) > 0 and len(others) * fpr >= 1 - 1e-9


def _found(members: NDArray[np.float64], others: NDArray[np.float64], fpr: float) -> int:
    """Members above the score that would let in one non-member too many."""
    allowed = math.floor(len(others) * fpr + 1e-9)
    first_refused = np.partition(others, len(others) - 1 - allowed)[len(others) - 1 - allowed]
    return int(np.sum(members > first_refused))


def _resamples(
    members: NDArray[np.float64], others: NDArray[np.float64], rng: np.random.Generator, draws: int
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return [
        (rng.choice(members, len(members)), rng.choice(others, len(others))) for _ in range(draws)
    ]


def _outer(drawn: NDArray[np.float64], x: int, n: int) -> NDArray[np.float64]:
    """Move quantiles outwards to the one-sided Clopper-Pearson ends of x / n at the same levels."""
    q = drawn.copy()
    for i, level in enumerate(quantile_levels()):
        if level < 0.5:
            exact = 0.0 if level <= 0 else clopper_pearson(x, n, 1 - level, side="lower").low
            q[i] = min(q[i], exact)
        else:
            exact = 1.0 if level >= 1 else clopper_pearson(x, n, level, side="upper").high
            q[i] = max(q[i], exact)
    return q
