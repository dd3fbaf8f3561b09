"""Rates with exact intervals and binomial sampling distributions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

from auditkit.errors import InvalidArgument
from auditkit.stats.intervals import clopper_pearson, korn_graubard_n_eff, wilson
from auditkit.stats.resampled_estimate import NOTHING, ResampledEstimate, undefined
from auditkit.types import Binomial, Direction, Estimate

__all__ = ["clustered_rate", "rate"]


def rate(
    x: int,
    n: int,
    *,
    unit: str,
    direction: Direction,
    n_missing: int = 0,
    method: Literal["clopper_pearson", "wilson"] = "clopper_pearson",
    reason: str = NOTHING,
) -> ResampledEstimate:
    """Rate of x out of n independent units, with a 95 % interval.

    Args:
        x: number of units with the property, 0 <= x <= n.
        n: number of units that could be scored.
        unit, direction, n_missing, reason: as in `bootstrap_mean`.
        method: interval to display; the gate always uses Clopper-Pearson.

    Returns:
        Estimate in [0, 1] and binomial distribution; undefined for n = 0.

    Raises:
        InvalidArgument: x outside 0..n.
    """
    if n == 0:
        return undefined(unit, direction, n_missing=n_missing, reason=reason)._replace(
            law=Binomial(x=0, n=0, n_eff=0)
        )
    low, high = (clopper_pearson if method == "clopper_pearson" else wilson)(x, n)
    estimate = Estimate(
        value=x / n, low=low, high=high, n=n, unit=unit, direction=direction, n_missing=n_missing
    )
    return ResampledEstimate(estimate, Binomial(x=x, n=n, n_eff=n))


def clustered_rate(
    values: Sequence[bool | int],
    unit_ids: Sequence[Hashable],
    *,
    unit: str,
    direction: Direction,
    n_missing: int = 0,
    reason: str = NOTHING,
) -> ResampledEstimate:
    """Share of rows with the property, with rows clustered by unit.

    The interval is Clopper-Pearson for x_eff = p n_eff of n_eff effective rows. `Estimate.n` counts
    units, `Binomial.n` counts rows.

    Args:
        values: 0 or 1 per row.
        unit_ids: the unit (user) of each row.
        unit, direction, n_missing, reason: as in `bootstrap_mean`.

    Returns:
        Estimate in [0, 1] and binomial distribution; undefined without rows or with a single unit.

    Raises:
        InvalidArgument: lengths differ, or a value is neither 0 nor 1.

    Source: Korn & Graubard 1998.
    """
    if len(values) != len(unit_ids) or any(value not in (0, 1) for value in values):
        raise InvalidArgument(
            f"clustered_rate got {len(values)} values for {len(unit_ids)} unit ids, or a value "
            "other than 0 and 1. Give a value of 0 or 1 and a unit id for each row."
        )
    n_units = len(set(unit_ids))
    if n_units < 2:
        why = "one unit says nothing about the spread between units" if n_units else reason
        none = undefined(unit, direction, n_missing=n_missing, n=n_units, reason=why)
        return none._replace(law=Binomial(x=0, n=0, n_eff=0))
    x, n = sum(map(int, values)), len(values)
    n_eff = korn_graubard_n_eff(values, unit_ids)
    low, high = clopper_pearson(min(n_eff, x / n * n_eff), n_eff)
    estimate = Estimate(
        value=x / n,
        low=low,
        high=high,
        n=n_units,
        unit=unit,
        direction=direction,
        n_missing=n_missing,
    )
    return ResampledEstimate(estimate, Binomial(x=x, n=n, n_eff=n_eff))
