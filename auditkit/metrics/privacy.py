"""Metrics of membership attacks: how well a score separates training users from held-out users.

AUC is an average over users. The true-positive rate at a small false-positive rate measures the
risk of the users who are easiest to identify, which matters for privacy. Source: Carlini et al.
2022 (low false-positive rates). The attack scores are in `membership_scores` and
`reference_attacks`, the metrics of planted canaries in `canary_audit`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.metrics.canary_audit import exposure, one_run_epsilon_lower_bound
from auditkit.metrics.membership_scores import (
    min_k,
    min_k_plus_plus,
    next_token_moments,
    zlib_ratio,
)
from auditkit.metrics.reference_attacks import lira, rmia
from auditkit.stats.bounds import quantile_levels
from auditkit.stats.intervals import clopper_pearson
from auditkit.stats.resampled_estimate import (
    ResampledEstimate,
    outer_quantiles,
    undefined,
    with_quantiles,
)

__all__ = [
    "auc",
    "auc_value",
    "exposure",
    "lira",
    "min_k",
    "min_k_plus_plus",
    "next_token_moments",
    "one_run_epsilon_lower_bound",
    "rmia",
    "tpr_at_fpr",
    "tpr_at_fpr_value",
    "zlib_ratio",
]

DRAWS = 2_000


def auc_value(members: ArrayLike, nonmembers: ArrayLike) -> float | None:
    """Probability that a member scores above a non-member, with ties counting 1/2 (Mann-Whitney).

    Args:
        members, nonmembers: scores of members and non-members, higher is more member-like.

    Returns:
        Value in [0, 1]; ideal 0.5, which is chance level. None if there are no members or no
        non-members.
    """
    m, o = _scores(members), _scores(nonmembers)
    return _auc(m, o) if len(m) and len(o) else None


def tpr_at_fpr_value(members: ArrayLike, nonmembers: ArrayLike, *, fpr: float) -> float | None:
    """Largest true-positive rate over thresholds whose false-positive rate is at most `fpr`.

    The ROC curve is a step function: all scores equal to the threshold are classified as members,
    and a threshold above all scores is allowed. A convex hull or interpolation would give higher
    values.

    Args:
        members, nonmembers: scores of members and non-members, higher is more member-like.
        fpr: allowed share of non-members, in (0, 1).

    Returns:
        Value in [0, 1]; ideal `fpr`, which is chance level. None if a side is empty or there are
        fewer than 1 / fpr non-members.

    Raises:
        InvalidArgument: fpr outside (0, 1), or a score that is not finite.
    """
    m, o = _scores(members), _scores(nonmembers)
    if not _enough(m, o, fpr):
        return None
    return float(_found(m, o, fpr) / len(m))


def auc(
    members: ArrayLike,
    nonmembers: ArrayLike,
    *,
    rng: np.random.Generator | None = None,
    draws: int = DRAWS,
    n_missing: int = 0,
) -> ResampledEstimate:
    """AUC with a 95 % stratified bootstrap interval (members and non-members resampled separately).

    If every member scores above every non-member, or below, the bootstrap collapses to a point. The
    interval is then widened to the Clopper-Pearson bound for the smaller of the two groups.

    Args:
        members, nonmembers: one score per user, higher is more member-like.
        rng: generator for the resamples; None for one with seed 0.
        draws: number of resamples.
        n_missing: number of users that could not be scored.

    Returns:
        Estimate in [0, 1], ideal 0.5; n counts members and non-members. Undefined without members
        or without non-members.
    """
    m, o = _scores(members), _scores(nonmembers)
    n, value = len(m) + len(o), auc_value(m, o)
    if value is None:
        reason = f"{len(m)} members and {len(o)} non-members; needs one of each"
        return undefined("AUC", "lower", n=n, n_missing=n_missing, reason=reason)
    q = outer_quantiles([_auc(a, b) for a, b in _resamples(m, o, rng, draws)])
    if value in (0.0, 1.0):
        n_pairs = min(len(m), len(o))  # number of pairs without a common user
        q = _outer(q, round(value * n_pairs), n_pairs)
    return with_quantiles(value, q, n, draws, "AUC", "lower", n_missing)


def tpr_at_fpr(
    members: ArrayLike,
    nonmembers: ArrayLike,
    *,
    fpr: float,
    rng: np.random.Generator | None = None,
    draws: int = DRAWS,
    n_missing: int = 0,
) -> ResampledEstimate:
    """True-positive rate at a false-positive rate, with a 95 % interval.

    Each end comes from the wider of two intervals. The stratified bootstrap accounts for the choice
    of the threshold. Clopper-Pearson at the chosen threshold is wider if the bootstrap collapses to
    a point, such as 0 of n members found.

    Args:
        members, nonmembers, rng, draws, n_missing: as in `auc`.
        fpr: allowed false-positive rate, such as 0.01, in (0, 1).

    Returns:
        Estimate in [0, 1], ideal `fpr`; n counts members. Undefined without members or with fewer
        than 1 / fpr non-members.

    Raises:
        InvalidArgument: fpr outside (0, 1), or a score that is not finite.
    """
    m, o = _scores(members), _scores(nonmembers)
    unit = "fraction of trained users"
    value = tpr_at_fpr_value(m, o, fpr=fpr)
    if value is None:
        reason = f"{len(m)} members and {len(o)} non-members; needs 1 and {math.ceil(1 / fpr)}"
        return undefined(unit, "lower", n=len(m), n_missing=n_missing, reason=reason)
    drawn = outer_quantiles([_found(a, b, fpr) / len(a) for a, b in _resamples(m, o, rng, draws)])
    q = _outer(drawn, _found(m, o, fpr), len(m))
    return with_quantiles(value, q, len(m), draws, unit, "lower", n_missing)


def _scores(values: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or not np.all(np.isfinite(scores)):
        raise InvalidArgument(
            "Membership scores must be finite numbers, one per scored user. Leave out users "
            "without a finite score and count them in n_missing."
        )
    return scores


def _auc(members: NDArray[np.float64], nonmembers: NDArray[np.float64]) -> float:
    ordered = np.sort(nonmembers)
    below = np.searchsorted(ordered, members) + np.searchsorted(ordered, members, side="right")
    return float(below.sum() / (2 * len(members) * len(nonmembers)))


def _enough(members: NDArray[np.float64], nonmembers: NDArray[np.float64], fpr: float) -> bool:
    if not 0 < fpr < 1:
        raise InvalidArgument(
            f"tpr_at_fpr got fpr={fpr}. Give a false-positive rate between 0 and 1."
        )
    return len(members) > 0 and len(nonmembers) > 0 and len(nonmembers) * fpr >= 1 - 1e-9


def _found(members: NDArray[np.float64], nonmembers: NDArray[np.float64], fpr: float) -> int:
    """Count the members above the smallest threshold with a false-positive rate of at most
    `fpr`.
    """
    allowed = math.floor(len(nonmembers) * fpr + 1e-9)
    place = len(nonmembers) - 1 - allowed
    first_refused = np.partition(nonmembers, place)[place]
    return int(np.sum(members > first_refused))


def _resamples(
    members: NDArray[np.float64],
    nonmembers: NDArray[np.float64],
    rng: np.random.Generator | None,
    draws: int,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    rng = np.random.default_rng(0) if rng is None else rng
    return [
        (rng.choice(members, len(members)), rng.choice(nonmembers, len(nonmembers)))
        for _ in range(draws)
    ]


def _outer(drawn: NDArray[np.float64], x: int, n: int) -> NDArray[np.float64]:
    """Widen quantiles to the one-sided Clopper-Pearson bounds of x / n at the same levels."""
    q = drawn.copy()
    for i, level in enumerate(quantile_levels()):
        if level < 0.5:
            exact = 0.0 if level <= 0 else clopper_pearson(x, n, 1 - level, side="lower").low
            q[i] = min(q[i], exact)
        else:
            exact = 1.0 if level >= 1 else clopper_pearson(x, n, level, side="upper").high
            q[i] = max(q[i], exact)
    return q
