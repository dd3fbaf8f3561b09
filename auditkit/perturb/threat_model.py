"""What an attacker may edit, how far, and with how many queries.

An attack edits one text of a request: the instruction, the titles of the history or the title of
one item. The request is rendered again after every edit. Slots, separators, years and phrases that
the threat model protects are spans of the text which no edit touches.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal, NamedTuple

from auditkit.errors import InvalidArgument
from auditkit.perturb.noise import NOISE
from auditkit.types import Item, Request

__all__ = ["EditableText", "Span", "ThreatModel", "editable_text", "stopwords", "with_text"]

OPERATORS = ("typing", "keyboard", "homoglyph", "zerowidth", "bidi")
_SLOT = re.compile(r"\{\w+\}")
_YEAR = re.compile(r"\(\d{4}\)")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_SEPARATOR = "\n"
_FEW_WORDS = 3


class Span(NamedTuple):
    """Characters of a text from `begin` to `end` (exclusive)."""

    begin: int
    end: int


@dataclass(frozen=True, kw_only=True)
class ThreatModel:
    """What the attacker may edit, how far, and with how many queries.

    Attributes:
        surface: which text of a request is edited.
        item_surface: for the surface `item`: `prompt_only` if the edited text appears only in the
            prompt, `id` if the response names the item by its id, `scored_string` if the edited
            text itself is scored.
        budget: largest number of distinct prompts, at least 1.
        max_words: largest number of edited words; None for max(5, a tenth of the editable words).
            The limit is never more than half of the editable words.
        max_chars: largest edit distance of the edited text; a swap of adjacent letters counts as
            one edit.
        operators: kinds of noise in `auditkit.perturb.noise` that edit a word; recipes of
            TextAttack use their own operators.
        protected: phrases that remain byte-equal, in addition to slots and bracketed years.
        min_chrf: smallest chrF of the canonical edited text; None for .85 with at most three words
            and .75 with more. min_cosine: smallest cosine similarity of trigram counts of the two
            texts.

    Raises:
        InvalidArgument: a number is out of range, an operator is unknown, or `item_surface` is
            missing for the surface `item` or given for another surface.
    """

    surface: Literal["instruction", "history", "item"] = "instruction"
    item_surface: Literal["prompt_only", "id", "scored_string"] | None = None
    budget: int = 40
    max_words: int | None = None
    max_chars: int = 30
    operators: tuple[str, ...] = OPERATORS
    protected: tuple[str, ...] = ()
    min_chrf: float | None = None
    min_cosine: float = 0.80

    def __post_init__(self) -> None:
        words = 1 if self.max_words is None else self.max_words
        floors = (self.min_cosine, 0.0 if self.min_chrf is None else self.min_chrf)
        if min(self.budget, words, self.max_chars) < 1 or not all(0 <= f <= 1 for f in floors):
            raise InvalidArgument(
                f"The threat model got budget={self.budget}, max_words={self.max_words}, "
                f"max_chars={self.max_chars}, min_chrf={self.min_chrf}, "
                f"min_cosine={self.min_cosine}. Give counts of at least 1 and similarities in "
                "[0, 1]."
            )
        if not self.operators or not set(self.operators) <= NOISE.keys():
            raise InvalidArgument(
                f"The threat model got operators={list(self.operators)}. Give at least one of "
                f"{', '.join(NOISE)}."
            )
        if (self.surface == "item") != (self.item_surface is not None):
            raise InvalidArgument(
                f"The threat model got surface={self.surface!r} and "
                f"item_surface={self.item_surface!r}. Give an item_surface for the surface "
                "'item', and no item_surface for other surfaces."
            )

    def word_limit(self, n_words: int) -> int:
        """Largest number of edited words of a text with `n_words` editable words."""
        wanted = self.max_words or max(5, math.ceil(0.1 * n_words))
        return min(wanted, max(1, n_words // 2))

    def chrf_floor(self, n_words: int) -> float:
        """Smallest chrF of a valid text with `n_words` editable words."""
        if self.min_chrf is not None:
            return self.min_chrf
        return 0.85 if self.word_limit(n_words) <= _FEW_WORDS else 0.75


@dataclass(frozen=True)
class EditableText:
    """A text with the spans that must remain byte-equal, in order and without overlaps."""

    text: str
    protected: tuple[Span, ...] = ()

    @cached_property
    def words(self) -> tuple[Span, ...]:
        """Editable words, which have at least two letters, are outside protected spans and are not
        stopwords.
        """
        found = (Span(*match.span()) for match in _WORD.finditer(self.text))
        return tuple(
            word
            for word in found
            if word.end - word.begin > 1
            and self.text[word.begin : word.end].casefold() not in stopwords()
            and not any(s.begin < word.end and word.begin < s.end for s in self.protected)
        )

    def gaps(self) -> Iterator[Span]:
        """Yield the spans before, between and after the protected spans."""
        at = 0
        for span in self.protected:
            yield Span(at, span.begin)
            at = span.end
        yield Span(at, len(self.text))

    def keeps_protected(self, text: str) -> bool:
        """Whether a text contains the protected spans in the same order and number as this text."""
        pieces = [self.text[span.begin : span.end] for span in self.protected]
        pattern = ".*?".join(map(re.escape, ["", *pieces, ""]))
        if not re.fullmatch(pattern, text, re.DOTALL):
            return False
        return all(text.count(piece) == self.text.count(piece) for piece in set(pieces))


@cache
def stopwords() -> frozenset[str]:
    """Function words, casefolded, that no attack edits."""
    path = files("auditkit.perturb") / "stopwords.txt"
    return frozenset(path.read_text(encoding="utf-8").split())


def editable_text(request: Request, threat: ThreatModel, *, item: str = "") -> EditableText:
    """Return the text of a request that the attacker may edit.

    Args:
        request: a request with an instruction.
        item: for the surface `item`, id of the candidate whose title is edited.

    Raises:
        InvalidArgument: a title contains a line break, or the item is not among the candidates.
    """
    if threat.surface == "instruction":
        return _protecting(request.instruction, [_SLOT], threat.protected)
    if threat.surface == "history":
        titles = [one.title for one in request.history]
        if any(_SEPARATOR in title for title in titles):
            raise InvalidArgument(
                f"The history of user {request.user_id!r} has a title with a line break. Remove "
                "the line break before an attack on titles."
            )
        separator = re.compile(re.escape(_SEPARATOR))
        return _protecting(_SEPARATOR.join(titles), [_YEAR, separator], threat.protected)
    return _protecting(_candidate(request, item).title, [_YEAR], threat.protected)


def with_text(request: Request, threat: ThreatModel, text: str, *, item: str = "") -> Request:
    """Return the request in which the editable text is replaced by `text`."""
    if threat.surface == "instruction":
        return replace(request, instruction=text, prompt="")
    if threat.surface == "history":
        titles = text.split(_SEPARATOR) if request.history else []
        written = zip(request.history, titles, strict=True)
        history = tuple(replace(one, title=title) for one, title in written)
        return replace(request, history=history, prompt="")
    edited = _candidate(request, item)
    candidates = tuple(
        replace(one, title=text) if one == edited else one for one in request.candidates or ()
    )
    return replace(request, candidates=candidates, prompt="")


def _candidate(request: Request, item: str) -> Item:
    for one in request.candidates or ():
        if one.id == item:
            return one
    raise InvalidArgument(
        f"Item {item!r} is not among the candidates of user {request.user_id!r}. Give requests "
        "whose candidates contain the item that the goal names."
    )


def _protecting(
    text: str, patterns: list[re.Pattern[str]], phrases: tuple[str, ...]
) -> EditableText:
    """The text with the spans of all patterns and phrases, merged where they overlap."""
    everything = [*patterns, *(re.compile(re.escape(phrase)) for phrase in phrases if phrase)]
    spans = sorted(m.span() for pattern in everything for m in pattern.finditer(text))
    merged: list[Span] = []
    for begin, end in spans:
        if merged and begin < merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(end, merged[-1].end))
        else:
            merged.append(Span(begin, end))
    return EditableText(text, tuple(merged))
