"""Canonical spelling of numbers and dates, and their ranges.

A date may be only a year or a month; then it means every day in it. So `< 1970` is before the first
day of 1970, and `= 1995` is any day of 1995. `1895-00-00` and `+1895-01-01T00:00:00Z`, as Wikidata
and databases write dates, are read as well. Years before 1 are not.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from auditkit.catalog.graph.schema import Operator, ValueType

__all__ = [
    "NumberRange", "canonical", "claimed_range", "constrained_range", "days_of", "number_of",
    "range_text",
]  # fmt: skip

_DATE = re.compile(
    r"\+?([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?(?:Z|[-+][0-9]{2}:[0-9]{2}|[T ].*)?", re.DOTALL
)
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,2})?")
_BOUNDS = re.compile(r"=(?P<equal>[^<>=]+)|(?:>(?P<above>[^<>=]+))?(?:<(?P<below>[^<>=]+))?")


class NumberRange(NamedTuple):
    """Numbers from `low` to `high`, both included."""

    low: float = -math.inf
    high: float = math.inf


def canonical(text: str, of: ValueType) -> str:
    """Canonical spelling of a value, such as "1995" for the integer "1995.0" or "1995-11-22" for
    the date "1995-11-22T00:00".

    Raises:
        ValueError: the text is not a value of this type.
    """
    text = text.strip()
    if of in ("integer", "real"):
        number = float(text) if _NUMBER.fullmatch(text) else math.nan
        if math.isnan(number) or (of == "integer" and not number.is_integer()):
            raise ValueError(f"{text[:40]!r} is not a {'whole ' if of == 'integer' else ''}number")
        if of == "integer" or (number.is_integer() and abs(number) < 1e15):
            return str(int(number))
        return repr(number)
    if of == "date":
        parts = _DATE.fullmatch(text)
        if (
            parts is None
            or parts[1] == "0000"
            or int(parts[2] or 1) > 12
            or int(parts[3] or 1) > 31
        ):
            raise ValueError(f"{text[:40]!r} is not a date such as 1995-11-22")
        month = parts[2] if parts[2] != "00" else None
        day = parts[3] if month and parts[3] != "00" else None
        return "-".join(part for part in (parts[1], month, day) if part)
    return text


def number_of(text: str, *, date: bool) -> float:
    """Number of a canonical value; a date becomes YYYYMMDD, with 00 for an unknown month or day."""
    return _days(text).low if date else float(text)


def days_of(number: float) -> NumberRange:
    """Range of the days of a date from `number_of`; a date without a day or month covers its whole
    month or year.
    """
    month, day = int(number) // 100 % 100, int(number) % 100
    return NumberRange(number, number + (0 if day else 99 if month else 9999))


def claimed_range(value: str, of: ValueType) -> NumberRange | None:
    """Range of numbers that a claim allows, from a value such as "1995", "=1995", "<1970", ">1979",
    ">1989<2000" (exclusive).

    Returns:
        The range; None if the value is not a range or the predicate has no numbers.
    """
    if of not in ("integer", "real", "date"):
        return None
    if not value.startswith(("=", "<", ">")):
        value = f"={value}"
    parts = _BOUNDS.fullmatch(value)
    if parts is None:
        return None
    try:
        if parts["equal"] is not None:
            return _span(parts["equal"], of)
        low = NumberRange().low if parts["above"] is None else _after(_span(parts["above"], of))
        high = NumberRange().high if parts["below"] is None else _before(_span(parts["below"], of))
    except ValueError:
        return None
    return NumberRange(low, high)


def range_text(value: str) -> str:
    """Write a claimed range in words, such as `above 1989 and below 2000` for `>1989<2000`.

    Other values are returned unchanged.
    """
    parts = _BOUNDS.fullmatch(value)
    if parts is None:
        return value
    named = {"above": parts["above"], "below": parts["below"]}
    return parts["equal"] or " and ".join(f"{name} {end}" for name, end in named.items() if end)


def constrained_range(operator: Operator, value: str, of: ValueType) -> NumberRange:
    """Return the range of numbers that meet a constraint; for `!=`, of numbers that violate it.

    Raises:
        ValueError: the values of the predicate are not numbers or dates, or `value` is not a number
            or date.
    """
    if of not in ("integer", "real", "date"):
        raise ValueError("the predicate has no numbers")
    span = _span(value, of)
    if operator in ("=", "!="):
        return span
    if operator in (">", ">="):
        return NumberRange(low=span.low if operator == ">=" else _after(span))
    return NumberRange(high=span.high if operator == "<=" else _before(span))


def _span(text: str, of: ValueType) -> NumberRange:
    if of == "date":
        return _days(canonical(text, "date"))
    number = float(canonical(text, "real"))
    return NumberRange(number, number)


def _days(text: str) -> NumberRange:
    """First and last day of a canonical date as YYYYMMDD; 00 and 99 include all days or months."""
    year, month, day = (*text.split("-"), "", "")[:3]
    return NumberRange(
        float(f"{year}{month or '00'}{day or '00'}"), float(f"{year}{month or '99'}{day or '99'}")
    )


def _after(span: NumberRange) -> float:
    return math.nextafter(span.high, math.inf)


def _before(span: NumberRange) -> float:
    return math.nextafter(span.low, -math.inf)
