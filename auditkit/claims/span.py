"""A span of a text: a title, a person, a genre, a year, a number of minutes, or a plain word."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["QUOTES", "SENTENCE_END", "Kind", "Span"]

Kind = Literal["word", "mark", "title", "person", "genre", "year", "range", "runtime", "place"]
QUOTES = frozenset("\"'\u201c\u201d\u2018\u2019*_\u00ab\u00bb")
SENTENCE_END = frozenset((".", "!", "?", "\n", ";"))


@dataclass(slots=True)
class Span:
    """One span of a text.

    Attributes:
        lower: the words in lower case; rules match them only in spans of kind `word` and `mark`.
        begin, end: character offsets in the text; `end` is exclusive.
        raw: the words as written in the text.
        entries: the catalog entries that a title may mean.
        values: genres, a range of years such as "=1995", or minutes.
        labels: the graph's labels of a person or place, by relation.
    """

    kind: Kind
    lower: str
    begin: int
    end: int
    raw: str
    entries: tuple[int, ...] = ()
    values: tuple[str, ...] = ()
    labels: dict[str, list[str]] = field(default_factory=dict)
