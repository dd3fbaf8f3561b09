"""Full dates in a text: `2024-03-12`, `12.03.2024`, `12. März 2024`, `March 12, 2024`."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence

__all__ = ["dates_in"]

_NUMERIC = re.compile(r"\b(?:(\d{4})-(\d\d)-(\d\d)|(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4}))\b")
_DAY_FIRST = re.compile(r"\b(\d{1,2})(?:\.|st|nd|rd|th)?\s([^\W\d_]{3,10})\.?\s(\d{4})\b")
_MONTH_FIRST = re.compile(r"\b([^\W\d_]{3,10})\.?\s(\d{1,2})(?:st|nd|rd|th)?,\s?(\d{4})\b")


def dates_in(text: str, months: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield (begin, end, ISO date) for every date in a text, with character offsets.

    Args:
        months: names of the twelve months in lower case.
    """
    for match in _NUMERIC.finditer(text):
        year, month, day, day_first, month_second, year_last = match.groups()
        yield from _valid(match, year or year_last, month or month_second, day or day_first)
    for match in _DAY_FIRST.finditer(text):
        yield from _valid(match, match[3], _month(match[2], months), match[1])
    for match in _MONTH_FIRST.finditer(text):
        yield from _valid(match, match[3], _month(match[1], months), match[2])


def _month(name: str, months: Sequence[str]) -> str:
    """Number of a month by the first three letters of its name; "0" if there is none."""
    short = name.casefold()[:3]
    return str(next((i for i, m in enumerate(months, start=1) if m[:3] == short), 0))


def _valid(match: re.Match[str], year: str, month: str, day: str) -> Iterator[tuple[int, int, str]]:
    try:
        date = datetime.date(int(year), int(month), int(day))
    except ValueError:
        return
    yield match.start(), match.end(), date.isoformat()
