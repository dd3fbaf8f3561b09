"""Recognize the numbers and bullets before the titles of a list.

A number may belong to the title: "300: Rise of an Empire", "1.5 Degrees", "(500) Days of Summer".
Only "1. " and "1) " are always markers. Any other form ("1.Title", "1: Title", "(1) Title", "#1
Title") is a marker if the lines of the answer count up, and a digit after the number is a decimal
place unless another line shows that no blank follows the numbers of this list.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["MarkedLine", "marked_lines"]

# Circled, parenthesized and full-stop numbers are single characters.
_ENCLOSED = "\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3251-\u325f\u32b1-\u32bf"
_RANKED = (
    "[Ii]tem|[Oo]ption|[Pp]ick|[Cc]hoice|[Rr]ecommendation|[Rr]ank|[Pp]roduct|[Nn]umber|[Ee]mpfehlung"
    "|[Pp]latz|[Pp]rodukt|[Aa]rtikel|[Nn]ummer|[Vv]orschlag"
)
_ROMAN = {
    "I": 1,
    "II": 2,
    "III": 3,
    "IV": 4,
    "V": 5,
    "VI": 6,
    "VII": 7,
    "VIII": 8,
    "IX": 9,
    "X": 10,
}
_NUMBER = re.compile(
    r"^\s*(?:[-*+\u2022\u00b7]\s+)?(?:#{1,6}\s+|>\s*)?[*_]{0,3}"
    r"(?:"
    r"(?P<plain>\d{1,3})\s*\\?(?P<sign>[.):\uff0e\u3002\uff09\uff1a\u3001])"
    r"|[(\uff08\[\u3010](?P<bracketed>\d{1,3})[)\uff09\]\u3011]"
    r"|(?:#|\u2116\s?|N[or]\.\s?)(?P<hashed>\d{1,3})(?:[.:)]|(?=\s))"
    r"|(?P<dashed>\d{1,3})\s+[-\u2013\u2014](?=\s)"
    rf"|(?:{_RANKED})\s+(?P<named>\d{{1,3}})\s*[.:)\-\u2013](?=\s)"
    r"|(?P<letter>[a-hA-H])[.)](?=\s)|(?P<roman>[IVX]{1,4})[.)](?=\s)"
    r"|(?P<keycap>\d)\ufe0f?\u20e3"
    rf"|(?P<enclosed>[{_ENCLOSED}])"
    r")[*_]{0,3}(?P<blank>\s*)(?=\S)"
)
_BULLET = re.compile(
    r"^\s*(?:[-*+\u2013\u2014\u00b7\u2605\u2192]\s+"
    r"|[\u2022\u30fb\u2023\u25e6\u25aa\u25cf\u25a0\u25c6\u27a4\u25ba\u25b6]\s*)"
    r"(?:\[[ xX\u2713]\]\s+)?(?=\S)"
)
_KINDS = (
    "plain", "bracketed", "hashed", "dashed", "named", "letter", "roman", "keycap", "enclosed",
)  # fmt: skip
_TITLES_BEGIN_SO = ("hashed", "dashed", "letter", "roman")  # "#1 Cheerleader Camp" is a title


class MarkedLine(NamedTuple):
    """Rest of a line after its marker; `bullet` is False if the marker is a number."""

    rest: str
    bullet: bool
    indented: bool


class _Numbered(NamedTuple):
    """A line that begins with a number: its place, the number, and the kind of the marker."""

    place: int
    number: int
    kind: str
    rest: str
    certain: bool

    @property
    def decimal(self) -> bool:
        """Whether the number may continue after its sign, as in "1.5" or "3:10"."""
        return self.kind == "plain" and not self.certain and self.rest[0].isdigit()


def marked_lines(lines: Sequence[str]) -> list[MarkedLine]:
    """Return the lines that begin with a list marker, in order and without the marker."""
    numbered = [
        found for place, line in enumerate(lines) if (found := _number(place, line)) is not None
    ]
    of_place = {found.place: found.rest for found in _markers(numbered)}
    marked: list[MarkedLine] = []
    for place, line in enumerate(lines):
        if place in of_place:
            marked.append(MarkedLine(of_place[place], False, line[0].isspace()))
        elif bullet := _BULLET.match(line):
            marked.append(MarkedLine(line[bullet.end() :], True, line[0].isspace()))
    return marked


def _number(place: int, line: str) -> _Numbered | None:
    match = _NUMBER.match(line)
    if match is None:
        return None
    kind = next(name for name in _KINDS if match[name] is not None)
    sign_is_certain = match["sign"] in (".", ")") and bool(match["blank"])
    certain = sign_is_certain or kind in ("keycap", "enclosed")
    return _Numbered(place, _value(match[kind], kind), kind, line[match.end() :], certain)


def _value(written: str, kind: str) -> int:
    if kind == "enclosed":
        return int(unicodedata.numeric(written))
    if kind == "letter":
        return ord(written.lower()) - ord("a") + 1
    return _ROMAN.get(written, 0) if kind == "roman" else int(written)


def _markers(numbered: Sequence[_Numbered]) -> list[_Numbered]:
    """Select the numbers that are markers: unambiguous markers, and the other numbers if they count
    up.
    """
    certain = [found for found in numbered if found.certain]
    doubtful = [found for found in numbered if not found.certain]
    whole = [found for found in doubtful if not found.decimal]
    if not whole:
        return certain
    for others in (doubtful, whole):
        counted = {found.place for found in others}
        together = [found for found in numbered if found.certain or found.place in counted]
        if _counts_up(together) or _counts_up(others):
            return together
    return certain


def _counts_up(found: Sequence[_Numbered]) -> bool:
    """Whether numbers count up from 1, count up from a larger number over at least three lines, or
    are all 1.
    """
    numbers = [one.number for one in found]
    least = 1 if numbers[0] == 1 else 3
    if any(one.kind in _TITLES_BEGIN_SO for one in found):
        least = max(least, 2)
    steady = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return len(numbers) >= least and (steady or set(numbers) == {1})
