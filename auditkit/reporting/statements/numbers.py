"""Numbers for readers: percentages and percentage points, without digits below the precision."""

from __future__ import annotations

import math

from auditkit.security.escaping import format_number

__all__ = ["in_words", "range_in_words"]

_MAX_DIGITS = 4


def in_words(
    value: float, unit: str, *, low: float | None = None, high: float | None = None
) -> str:
    """Format a number with the digits that its interval supports.

    The last digit is worth at least a tenth of half the width of the interval. A number without an
    interval, such as a limit, has four significant digits.

    Args:
        value: the number.
        unit: unit of the metric, as in the registry. A `fraction of ...` is written as a
            percentage, a `difference of fractions` in percentage points (`points`).
        low: lower end of the interval, in the unit of the value.
        high: upper end of the interval.
    """
    scale, suffix = _scale(unit)
    if low is None or high is None or high <= low:
        shown = format_number(scale * value)
    else:
        digits = math.floor(-math.log10(scale * (high - low) / 20))
        digits = min(_MAX_DIGITS, max(0, digits))
        shown = f"{round(scale * value, digits) + 0.0:,.{digits}f}"  # + 0.0: never -0
    return f"{shown}{suffix}" if shown != "1" else f"1{suffix.removesuffix('s')}"


def range_in_words(low: float, high: float, unit: str) -> str:
    """Format both ends of an interval with equal precision, and the unit once."""
    _, suffix = _scale(unit)
    first, last = (in_words(end, unit, low=low, high=high) for end in (low, high))
    return f"{first.removesuffix(suffix).removesuffix(' point')} to {last}"


def _scale(unit: str) -> tuple[float, str]:
    if unit.startswith("fraction"):
        return 100.0, "%"
    if unit in ("difference of fractions", "difference of rates", "share points"):
        return 100.0, " points"
    return 1.0, ""
