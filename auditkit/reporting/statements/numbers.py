"""Numbers as people say them: percentages, percentage points, and no more digits than are known."""

from __future__ import annotations

import math

from auditkit.security.escaping import format_number

__all__ = ["in_words", "range_in_words"]

_MAX_DIGITS = 4


def in_words(
    value: float, unit: str, *, low: float | None = None, high: float | None = None
) -> str:
    """A number with the digits that its interval supports.

    The last digit is worth at least a tenth of half the width of the interval. A number without an
    interval, such as a limit, has four significant digits.

    Args:
        value: the number.
        unit: of the metric, as in the registry. `fraction of ...` becomes a percentage, `difference
            of fractions` points, that is percentage points.
        low: lower end of the interval, in the unit of the value.
        high: upper end.
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
    """Both ends of an interval with the same digits, and the unit once."""
    _, suffix = _scale(unit)
    first, last = (in_words(end, unit, low=low, high=high) for end in (low, high))
    return f"{first.removesuffix(suffix).removesuffix(' point')} to {last}"


def _scale(unit: str) -> tuple[float, str]:
    if unit.startswith("fraction"):
        return 100.0, "%"
    if unit in ("difference of fractions", "difference of rates", "share points"):
        return 100.0, " points"
    return 1.0, ""
