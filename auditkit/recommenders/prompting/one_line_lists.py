"""Split a list that is written on one line."""

from __future__ import annotations

import re
from typing import NamedTuple

from auditkit.catalog.linking.normalize import decode_entities
from auditkit.recommenders.prompting.comments import ends_with_year

__all__ = ["BETWEEN_DATED", "OneLineList", "one_line_titles"]

BETWEEN_DATED = re.compile(r"(?<=\((?:18|19|20)\d{2}\))(?:,\s*|\s+(?=and\s|und\s))")
_NUMBER = re.compile(r"(?:(?<=\s)|^)\(?(\d{1,2})[.)]\s+(?=\S)")
_COMMA = re.compile(r",\s+(?:(?:and|und|or|oder)\s+)?|\s+(?:and|und|or|oder)\s+")
_AND = re.compile(r"^(?:and|und)\s+")
_INTRODUCTION = re.compile(
    r"^(?:[^,;:]{0,80}:\s+"
    r"|(?:I|We|You|My|Based|For|Since|Ich|Wir|Sie|Du|Für|Da)\b[^.:!?]{0,160}?\b(?:recommend|suggest|enjoy"
    r"|like|love|try|watch|consider|check\sout|read|listen\sto|picks?\s(?:are|would\sbe)|empfehle|empfehlen|gefallen"
    r"|mögen|ansehen|probieren|lesen|hören)\b(?:\s+(?:you|Ihnen|dir|euch|the\sfollowing))?[:,]?\s+)"
)
_AFTER_YEAR = re.compile(r"(?<=\((?:18|19|20)\d{2}\))\s+[a-z].*$")
_ARTICLE = re.compile(r"^(?:the|a|an|den|die|das|der)\s+(?=[A-Z0-9])")
_MOST_WORDS = 12
_LEAST_PARTS = 3


class OneLineList(NamedTuple):
    """Titles of a one-line list in order, and its style: `numbers`, `bars`, `semicolons` or
    `commas`.
    """

    titles: list[str]
    style: str


def one_line_titles(line: str, *, k: int | None = None) -> OneLineList | None:
    """Parse a list on one line: "1. Heat 2. Fargo", "Heat; Fargo", "Heat (1995), Fargo (1996)".

    A comma may belong to a title, so titles without a year are split at commas only if the result
    has exactly k titles and k is at least 3.

    Returns:
        The titles and the style; None if the line is not such a list.
    """
    numbers = list(_NUMBER.finditer(line))
    if len(numbers) > 1 and [int(n[1]) for n in numbers] == list(range(1, len(numbers) + 1)):
        ends = [number.start() for number in numbers[1:]] + [len(line)]
        parts = [line[n.end() : end] for n, end in zip(numbers, ends, strict=True)]
        return OneLineList([part.strip().rstrip(",;") for part in parts], "numbers")
    line = _INTRODUCTION.sub("", decode_entities(line)).strip()  # "Salt &amp; Pepper"
    if line.count("|") > 1 or (k is not None and line.count("|") == k - 1 > 0):
        return OneLineList(line.strip("| ").split("|"), "bars")
    if ";" in line:
        return OneLineList(line.split(";"), "semicolons")
    dated = [_AND.sub("", part) for part in BETWEEN_DATED.split(line)]
    dated[-1] = _AFTER_YEAR.sub("", dated[-1])
    if len(dated) > 1 and all(map(ends_with_year, dated)):
        return OneLineList(dated, "commas")
    listed = [_ARTICLE.sub("", part) for part in _COMMA.split(line.rstrip("."))]
    short = all(0 < len(part.split()) <= _MOST_WORDS for part in listed)
    asked = k is not None and len(listed) == k >= _LEAST_PARTS
    return OneLineList(listed, "commas") if short and asked else None
