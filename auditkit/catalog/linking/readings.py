"""Full keys that a text may mean if an article, `and`, a numeral or a bracket in it is misspelled.

Normalization removes small words from a full key and turns numerals into digits, but only if they
are spelled correctly: `Van, hTe` would have the key `van hte` and not match `van`, and `Rocky IIqI`
would be a title without a number. Every reading states how many edits it assumes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from auditkit.catalog.linking.edit_distance import damerau_in_python
from auditkit.catalog.linking.normalize import (
    DROPPED_BEFORE_DIGIT,
    ROMAN_NUMERALS,
    full_key,
    key_with_and,
)
from auditkit.catalog.linking.vocabulary import english_words

__all__ = ["Reading", "articles_mended", "readings"]

_ENGLISH = ("the", "a", "an")
_FOREIGN = ("la", "le", "les", "el", "los", "las", "il", "lo", "der", "die", "das", "det", "den")
_COUNTED = ("part", "chapter", "volume", "episode")
_MAX_EDITS = 2
_AND_BEFORE_LETTER = re.compile(r" an d(?=\w)")
_AND_AFTER_LETTER = re.compile(r" (\w)and ")


class Reading(NamedTuple):
    """A full key that a text may mean, and its number of edits from the text, 0 to 2."""

    key: str
    edits: int


def articles_mended(
    tokens: Sequence[str], *, dated: bool, after_comma: bool
) -> Iterator[tuple[str, str]]:
    """Yield (token, key) for each token that may be a misspelled article or `and` (one edit); key
    is the full key with that token corrected.

    Args:
        tokens: tokens of the text's full key.
        dated: whether a year is stated. If so, an article after a comma may have two errors.
        after_comma: whether a comma precedes the last token, as in `Cure, Teh`.
    """
    if after_comma and len(tokens) > 1:
        for reading in _article_at_end(tokens):
            if 1 <= reading.edits <= (_MAX_EDITS if dated else 1):
                yield tokens[-1], reading.key
    if len(tokens) > 1 and _edits(tokens[0], "the") == 1:
        yield tokens[0], " ".join(tokens[1:])
    for i in range(1, len(tokens) - 1):
        if _edits(tokens[i], "and") == 1:
            yield tokens[i], _without(tokens, i)


def readings(core: str, tokens: Sequence[str], *, dated: bool, after_comma: bool) -> list[Reading]:
    """Return all readings of a title, each key once with its fewest edits; the unchanged key is
    first.

    Args:
        core: the written title without its year.
        tokens: tokens of the title's full key.
        dated: whether a year is stated. Without a year, articles and numerals are not corrected,
            because too many titles differ in one short word, and sequels only in their number.
        after_comma: whether a comma precedes the last token.
    """
    own = Reading(" ".join(tokens), 0)
    others = list(_readings(core, tokens))
    if dated and len(tokens) > 1:
        others += _without_article(tokens, after_comma)
        others += _with_numeral(tokens)
    found = {own.key: own}
    for reading in sorted(others, key=lambda reading: reading.edits):
        if reading.key and reading.edits <= _MAX_EDITS:
            found.setdefault(reading.key, reading)
    return list(found.values())


def _readings(core: str, tokens: Sequence[str]) -> Iterator[Reading]:
    """Readings of `and`, of words before a number, and of a title before a bracket."""
    key = " ".join(tokens)
    if "and" in core.lower():
        yield Reading(key_with_and(core), 0)  # a misspelled "land"
        yield Reading(_AND_AFTER_LETTER.sub(r"\1 ", key), 1)  # "live sand let"
    yield Reading(_AND_BEFORE_LETTER.sub(" ", key), 1)  # "live an dlet"
    if "(" in core:  # a bracket or the comma in it was moved
        yield Reading(full_key(core[: core.index("(")]), 1)
    for i in range(1, len(tokens) - 1):
        edits = _edits(tokens[i], "and")
        if edits == 1 or (edits == _MAX_EDITS and tokens[i] not in english_words()):
            yield Reading(_without(tokens, i), edits)
        if tokens[i + 1].isdigit() and any(_edits(tokens[i], word) == 1 for word in _COUNTED):
            yield Reading(_without(tokens, i), 1)


def _with_numeral(tokens: Sequence[str]) -> Iterator[Reading]:
    """Readings of one token after the first as a Roman numeral with one edit."""
    for i in range(1, len(tokens)):
        token = tokens[i]
        if token in english_words():
            continue
        if token[1:] in ROMAN_NUMERALS:  # the space was moved: "eagl eiv"
            yield _counted([*tokens[: i - 1], tokens[i - 1] + token[0]], token[1:], tokens[i + 1 :])
        for numeral in ROMAN_NUMERALS:
            if _edits(token, numeral) == 1:
                yield _counted(tokens[:i], numeral, tokens[i + 1 :])


def _counted(front: Sequence[str], numeral: str, rest: Sequence[str]) -> Reading:
    """The reading with the numeral's digits, without the word `part` before them."""
    front = front[:-1] if len(front) > 1 and front[-1] in DROPPED_BEFORE_DIGIT else front
    return Reading(" ".join([*front, ROMAN_NUMERALS[numeral], *rest]), 1)


def _without_article(tokens: Sequence[str], after_comma: bool) -> Iterator[Reading]:
    """Readings of the first or the last token as an article."""
    edits = min(_edits(tokens[0], article) for article in ("the", "a"))
    if edits <= (_MAX_EDITS if len(tokens[0]) > 1 else 1):
        yield Reading(" ".join(tokens[1:]), edits)
    glued = tokens[0] + tokens[1]
    if glued.startswith("the") and len(glued) > len("the"):  # "th efly"
        yield Reading(" ".join([glued.removeprefix("the"), *tokens[2:]]), 1)
    for reading in _article_at_end(tokens):
        if after_comma or reading.edits < _MAX_EDITS:  # the comma itself may be misplaced
            yield reading


def _article_at_end(tokens: Sequence[str]) -> Iterator[Reading]:
    rest = " ".join(tokens[:-1])
    for front, edits in _articles_near(tokens[-1]):
        yield Reading(f"{front}{rest}", edits)
    if len(tokens) > 2 and tokens[-2] + tokens[-1] in _ENGLISH:  # "visitors, th e(les visiteurs)"
        yield Reading(" ".join(tokens[:-2]), 1)


@lru_cache(maxsize=1 << 15)  # last words of titles recur
def _articles_near(token: str) -> tuple[tuple[str, int], ...]:
    """For each article that a token may be, yield the beginning of the key and the number of
    edits.
    """
    english = min(_edits(token, article) for article in _ENGLISH)
    near = [("", english), *((f"{article} ", _edits(token, article)) for article in _FOREIGN)]
    if token == "l":
        near.append(("l", 0))
    return tuple((front, edits) for front, edits in near if edits <= _MAX_EDITS)


def _edits(token: str, word: str) -> int:
    """Number of edits between a token and a short word, at most 3; 3 if the token has a digit."""
    if len(token) > len(word) + _MAX_EDITS or not token.isalpha():
        return _MAX_EDITS + 1
    return damerau_in_python(token, word, _MAX_EDITS)


def _without(tokens: Sequence[str], i: int) -> str:
    return " ".join([*tokens[:i], *tokens[i + 1 :]])
