"""One piece of a text: a title, a person, a genre, a year, a number of minutes, or a plain word."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["QUOTES", "SENTENCE_END", "Kind", "Span"]

Kind = Literal["word", "mark", "title", "person", "genre", "year", "range", "runtime", "place"]
QUOTES = frozenset("\"'\u201c\u201d\u2018\u2019*_\u00ab\u00bb")
SENTENCE_END = frozenset((".", "!", "?", "\n", ";"))


@dataclass(slots=True)
class Span:
    """One piece of a text.

    Attributes:
        lower: its words in lower case; of other kinds than `word` and `mark` only for looking at.
        entries: of a title, the entries of the catalog that it may mean.
        values: genres; a bound of years such as "=1995"; minutes; a person's or place's labels are
            in `labels`, by relation.
        raw: as it stands in the text.
    """

    kind: Kind
    lower: str
    begin: int
    end: int
    raw: str
    entries: tuple[int, ...] = ()
    values: tuple[str, ...] = ()
    labels: dict[str, list[str]] = field(default_factory=dict)
