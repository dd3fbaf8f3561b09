"""Parser of years, decades and running times, in digits and in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from auditkit.claims.lexicon import lexicon

__all__ = ["minutes_at", "years_at"]

_AHEAD = 9  # largest number of tokens of a quantity
_Y = r"(?:18|19|20)\d\d"
_BOUNDED = re.compile(
    rf"(?P<word>before|after|since|until|till|predates|pre|post)(?: -)? (?P<year>{_Y})\b"
)
_BETWEEN = re.compile(rf"between (?P<first>{_Y}) and (?P<last>{_Y})\b")
_YEAR = re.compile(rf"(?:(?P<year>{_Y})|['\u2018\u2019] (?P<short>[2-9]\d))(?=\s|$)")
_DECADE = re.compile(
    r"(?:(?:early|mid|late)(?: -)? )?(?:['\u2018\u2019] )?"
    r"(?P<decade>(?:18|19|20)?\d0s|[a-z]+ties)(?=\s|$)"
)
_COUNT = r"(?:\d{1,3}|[a-z]+ty(?: - [a-z]+)?|[a-z]+)"
_MINUTES = r"(?:minutes?|mins?)"
_LENGTHS = tuple(
    re.compile(rf"{pattern}(?=\s|$)")
    for pattern in (
        r"(?P<hours>\d)h (?P<minutes>\d\d?)m(?:in)?",
        r"(?P<hours>\d)h(?P<minutes>\d\d)m?(?:in)?",
        rf"(?P<hours>{_COUNT})(?: -)? (?:hours?|hrs?|h) (?:and |, )?(?:and )?"
        rf"(?P<minutes>{_COUNT}) (?:- )?(?:{_MINUTES}|m)",
        rf"(?P<minutes>{_COUNT})(?: -)? {_MINUTES}",
        rf"(?P<minutes>\d+){_MINUTES}",
    )
)


def years_at(words: Sequence[str], place: int) -> tuple[int, str]:
    """Parse the year, range or decade that begins at a token.

    Returns:
        Index of the token after the year, and its bounds; (0, "") without a year. Bounds are
        exclusive: "since 1980" is `>1979`. "Early", "mid" and "late" do not narrow a decade.
    """
    text = " ".join(words[place : place + _AHEAD])
    if match := _BOUNDED.match(text):
        return _after_number(place, match), _bound(match["word"], int(match["year"]))
    if match := _BETWEEN.match(text):
        return _after_number(place, match), f">{int(match['first']) - 1}<{int(match['last']) + 1}"
    if match := _YEAR.match(text):
        return _after_number(place, match), f"={match['year'] or '19' + match['short']}"
    if match := _DECADE.match(text):
        decade = _decade(match["decade"])
        if decade is not None:
            return _after_number(place, match), f">{decade - 1}<{decade + 10}"
    return 0, ""


def minutes_at(words: Sequence[str], place: int) -> tuple[int, int]:
    """Parse the running time that begins at a token, such as "170 minutes" or "2h 50m".

    Returns:
        Index of the token after the running time, and the minutes; (0, 0) without one. Whole hours
        are ignored, because "a three-hour epic" is rarely exact to the minute.
    """
    text = " ".join(words[place : place + _AHEAD])
    for pattern in _LENGTHS:
        match = pattern.match(text)
        if match is None:
            continue
        hours, minutes = _number(match.groupdict().get("hours") or "0"), _number(match["minutes"])
        if hours is not None and minutes is not None:
            return _after_number(place, match), 60 * hours + minutes
    return 0, 0


def _after_number(place: int, match: re.Match[str]) -> int:
    return place + match[0].count(" ") + 1


def _bound(word: str, year: int) -> str:
    if word in ("before", "pre", "predates"):
        return f"<{year}"
    if word in ("until", "till"):
        return f"<{year + 1}"
    return f">{year - 1}" if word == "since" else f">{year}"


def _decade(word: str) -> int | None:
    if word[0].isdigit():
        digits = word[:-1]
        return int(digits) if len(digits) == 4 else 1900 + int(digits)
    found = lexicon()["decades"].get(word)
    return int(found) if found is not None else None


def _number(text: str) -> int | None:
    """A count in digits or words up to 199; None if a word is not a number."""
    parts = [part for part in re.split(r"[ -]+", text) if part]
    values = [int(p) if p.isdecimal() else lexicon()["numbers"].get(p) for p in parts]
    return None if None in values else sum(int(value) for value in values)
