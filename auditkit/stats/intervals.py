"""Intervals of a rate: Wilson for display, Clopper-Pearson for decisions.

Counts need not be integers: rows that share a unit are first scaled to an effective number of
independent rows (Korn & Graubard 1998).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

from scipy import special

from auditkit.errors import InvalidArgument

__all__ = ["Interval", "clopper_pearson", "korn_graubard_n_eff", "newcombe", "wilson"]


class Interval(NamedTuple):
    """Lower and upper end of an interval, in the unit of the estimate."""

    low: float
    high: float


def wilson(x: float, n: float, level: float = 0.95) -> Interval:
    """Score interval of a rate.

    Args:
        x: number of rows with the property, 0 <= x <= n.
        n: number of rows, more than 0.
        level: two-sided coverage, in (0, 1).

    Returns:
        Ends in [0, 1]; contains x / n.

    Raises:
        InvalidArgument: x, n or level outside its range.

    Source: Wilson 1927.
    """
    _check_counts(x, n, level)
    z = float(special.ndtri((1 + level) / 2))
    rate = x / n
    center = rate + z * z / (2 * n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if x == 0 else max(0.0, (center - half) / scale)
    high = 1.0 if x == n else min(1.0, (center + half) / scale)
    return Interval(min(low, rate), max(high, rate))


def clopper_pearson(
    x: float, n: float, level: float = 0.95, side: Literal["two", "lower", "upper"] = "two"
) -> Interval:
    """Exact interval of a rate, with a coverage of at least `level` for every true rate.

    Args:
        x: number of rows with the property, 0 <= x <= n; need not be an integer.
        n: number of rows, more than 0; an effective sample size if rows share units.
        level: coverage in (0, 1), two-sided for `two`, one-sided for `lower` and `upper`.
        side: which ends are bounded; the other end of a one-sided interval is 0 or 1.

    Returns:
        Ends in [0, 1]; contains x / n.

    Raises:
        InvalidArgument: x, n or level outside its range.

    Source: Clopper & Pearson 1934, as Beta quantiles.
    """
    _check_counts(x, n, level)
    tail = (1 - level) / 2 if side == "two" else 1 - level
    low = 0.0 if x == 0 or side == "upper" else float(special.betaincinv(x, n - x + 1, tail))
    high = 1.0 if x == n or side == "lower" else float(special.betainccinv(x + 1, n - x, tail))
    return Interval(low, high)


def newcombe(x1: float, n1: float, x2: float, n2: float, level: float = 0.95) -> Interval:
    """Interval of the difference of two independent rates, x1 / n1 - x2 / n2.

    With d = p1 - p2 and Wilson ends l and u: low = d - sqrt((p1 - l1)^2 + (u2 - p2)^2), high = d +
    sqrt((u1 - p1)^2 + (p2 - l2)^2).

    Args:
        x1, n1, x2, n2: counts of both rates, as in `wilson`.
        level: two-sided coverage, in (0, 1).

    Returns:
        Ends in [-1, 1]; contains the difference.

    Raises:
        InvalidArgument: a count or the level outside its range.

    Source: Newcombe 1998, method 10.
    """
    one, two = wilson(x1, n1, level), wilson(x2, n2, level)
    p1, p2 = x1 / n1, x2 / n2
    d = p1 - p2
    low = d - math.hypot(p1 - one.low, two.high - p2)
    high = d + math.hypot(one.high - p1, p2 - two.low)
    return Interval(max(-1.0, low), min(1.0, high))


def korn_graubard_n_eff(values: Sequence[float], unit_ids: Sequence[Hashable]) -> float:
    """Effective sample size of clustered rows: the equivalent number of independent rows.

    Args:
        values: 0 or 1 per row (or a fraction), shape [n].
        unit_ids: the sampling unit of each row, normally the user, shape [n].

    Returns:
        n_eff in (0, n], or the number of units if all values are 0 or all are 1.

    Raises:
        InvalidArgument: no rows, lengths that differ, or a single unit (its variance is unknown).

    Source: Korn & Graubard 1998; deff = max(1, v / (p (1 - p) / n)).
    """
    n = len(values)
    if n == 0 or n != len(unit_ids):
        raise InvalidArgument(
            f"korn_graubard_n_eff got {n} values and {len(unit_ids)} unit ids. "
            "Give one unit id per value and at least one value."
        )
    rate = math.fsum(values) / n
    residuals: dict[Hashable, list[float]] = {}
    for value, unit in zip(values, unit_ids, strict=True):
        residuals.setdefault(unit, []).append(value - rate)
    n_units = len(residuals)
    if n_units < 2:
        raise InvalidArgument(
            "korn_graubard_n_eff got rows of a single unit, so the variance between units is "
            "unknown. Sample at least two units."
        )
    if rate in (0.0, 1.0):
        return float(n_units)
    squares = math.fsum(math.fsum(rows) ** 2 for rows in residuals.values())
    variance = n_units / (n_units - 1) * squares / n**2
    return n / max(1.0, variance / (rate * (1 - rate) / n))


def _check_counts(x: float, n: float, level: float) -> None:
    if not (n > 0 and 0 <= x <= n and 0 < level < 1):
        raise InvalidArgument(
            f"The interval of a rate got x={x}, n={n}, level={level}. "
            "Give n > 0, 0 <= x <= n and a level between 0 and 1."
        )
