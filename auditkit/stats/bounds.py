"""One-sided bounds and p-values of a finding, from its stored sampling distribution.

A finding stores the sampling distribution of its estimate instead of one interval, so that a policy
can request a bound at any confidence without the raw data. `p_fail` and the bounds agree: the
p-value of "worse than the limit" is below alpha exactly if the bound at 1 - alpha is beyond the
limit.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal, NamedTuple

from scipy import special

from auditkit.errors import InvalidArgument
from auditkit.stats.intervals import clopper_pearson
from auditkit.types import Binomial, Estimate, Quantiles, SamplingDistribution

__all__ = ["OneSidedBounds", "Side", "one_sided_bounds", "p_fail", "quantile_levels"]

Side = Literal["max", "min"]


class OneSidedBounds(NamedTuple):
    """Lower and upper bound, each with the requested one-sided confidence."""

    lower: float
    upper: float


def one_sided_bounds(
    law: SamplingDistribution, estimate: Estimate, confidence: float
) -> OneSidedBounds:
    """Compute the lower and the upper one-sided bound of an estimate.

    Args:
        law: sampling distribution of the estimate. `confidence` has no effect on a `Band`, which
            has a fixed level, or on an `Exact` value, which is its own bound.
        estimate: a defined estimate.
        confidence: one-sided level in (0.5, 1).

    Returns:
        Bounds in the unit of the estimate.

    Raises:
        InvalidArgument: the estimate is undefined or has no interval, or it is a rate of 0 rows.

    Source: Clopper & Pearson 1934; Korn & Graubard 1998 for clustered rows. If the level lies
    between two stored bootstrap quantiles, the more conservative of the two is returned.
    """
    value = _value(estimate)
    if isinstance(law, Binomial):
        x, n = _effective(law)
        return OneSidedBounds(
            clopper_pearson(x, n, confidence, side="lower").low,
            clopper_pearson(x, n, confidence, side="upper").high,
        )
    if isinstance(law, Quantiles):
        levels = quantile_levels(len(law.q))
        upper = next(q for q, p in zip(law.q, levels, strict=True) if p >= confidence)
        lower = next(
            q for q, p in zip(reversed(law.q), reversed(levels), strict=True) if p <= 1 - confidence
        )
        return OneSidedBounds(lower, upper)
    if law.kind == "exact":
        return OneSidedBounds(value, value)
    if estimate.low is None or estimate.high is None:
        raise InvalidArgument(
            "A finding with a band has an estimate without `low` or `high`. Store both bounds."
        )
    return OneSidedBounds(estimate.low, estimate.high)


def p_fail(law: SamplingDistribution, estimate: Estimate, limit: float, side: Side) -> float | None:
    """Probability of an estimate at least this bad if the true value equals the limit.

    Args:
        law: sampling distribution of the estimate.
        estimate: a defined estimate.
        limit: the policy's limit, in the unit of the estimate.
        side: `max` when larger than the limit is worse, `min` when smaller is.

    Returns:
        A p-value in (0, 1]. None for an `Exact` value, and for a `Band`, which the probe has
        already corrected for multiple comparisons.

    Raises:
        InvalidArgument: the estimate is undefined, or it is a rate of 0 rows.
    """
    _value(estimate)
    if isinstance(law, Binomial):
        x, n = _effective(law)
        bounded = min(1.0, max(0.0, limit))
        if side == "max":
            return 1.0 if x == 0 else float(special.betainc(x, n - x + 1, bounded))
        return 1.0 if x == n else float(special.betainc(n - x, x + 1, 1 - bounded))
    if isinstance(law, Quantiles):
        return _quantile_p(law, limit, side)
    return None


def _quantile_p(law: Quantiles, limit: float, side: Side) -> float:
    """Return a p-value from stored quantiles: the level of the next quantile beyond the limit, and
    at least 1 / (draws + 1).
    """
    levels = quantile_levels(len(law.q))
    values = law.q if side == "max" else tuple(-q for q in reversed(law.q))
    bound = limit if side == "max" else -limit
    n_within = sum(value <= bound for value in values)  # sorted, so these are the first ones
    p = levels[n_within] if 0 < n_within < len(levels) else float(n_within > 0)
    return max(p, 1 / (law.draws + 1))


@cache
def quantile_levels(count: int = 201) -> tuple[float, ...]:
    """The levels p_i = sin^2(pi i / (2 (count - 1))) of `Quantiles`, dense in both tails."""
    steps = 2 * (count - 1)
    return tuple(math.sin(math.pi * i / steps) ** 2 for i in range(count))


def _effective(law: Binomial) -> tuple[float, float]:
    """Return the number of rows with the property and the number of rows, scaled to independent
    rows.
    """
    if law.n <= 0 or law.n_eff <= 0:
        raise InvalidArgument("A rate over 0 rows has no bound. Report the rate as undefined.")
    return min(law.n_eff, law.x / law.n * law.n_eff), law.n_eff


def _value(estimate: Estimate) -> float:
    if estimate.value is None:
        raise InvalidArgument(
            f"The estimate is undefined ({estimate.reason}), so it has no bound. Check "
            "`estimate.status` before you compute bounds."
        )
    return estimate.value
