"""Which runs of words are mentions of a catalog title?

Every run of up to twelve words is looked up among the catalog's keys; what is found must look like
a name: by capitals, quotes, a year behind it, or three words and more. A one-word title needs a
capital that is not that of the sentence or of a longer name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from auditkit.catalog.linking.normalize import full_key
from auditkit.catalog.linking.vocabulary import english_words
from auditkit.claims.lexicon import Token, lexicon
from auditkit.claims.span import QUOTES, SENTENCE_END

__all__ = ["Window", "is_mention", "windows"]

MAX_TITLE_TOKENS = 12
_ARTICLES = frozenset(("the", "a", "an"))
_BEHIND_TITLE = frozenset((".", ",", ":", "-", "\u2013", "\u2014", "/", "(", ")", "and", "&", "or"))


class Window(NamedTuple):
    """A run of tokens that may be a title, and its full key."""

    first: int
    behind: int
    key: str


def windows(text: str, tokens: Sequence[Token]) -> list[Window]:
    """Every run of up to 12 words that may be a title."""
    found: list[Window] = []
    for first, token in enumerate(tokens):
        if not token.lower[0].isalnum():
            continue
        n_words = 0
        for behind in range(first + 1, len(tokens) + 1):
            last = tokens[behind - 1]
            is_word = last.lower[0].isalnum() or last.lower == "'s"
            n_words += is_word
            short = behind > 1 and len(tokens[behind - 2].lower) <= 3
            if n_words > MAX_TITLE_TOKENS or (
                last.lower in SENTENCE_END and not (last.lower == "." and short)
            ):
                break
            trailing = last.lower in _ARTICLES and not (
                tokens[behind - 2].lower == "," and text[last.begin].isupper()
            )
            if is_word and token.lower != "and" and last.lower != "and" and not trailing:
                key = full_key(text[token.begin : last.end])
                if key:
                    found.append(Window(first, behind, key))
    return found


def is_mention(
    text: str, tokens: Sequence[Token], window: Window, own: bool, genre_words: frozenset[str]
) -> bool:
    """Does this run of tokens name a film here, rather than only share its words?

    Args:
        own: is it the title of the text's known subject?
        genre_words: single words that name a genre; as titles they need quotes or a year.
    """
    begin, end = tokens[window.first].begin, tokens[window.behind - 1].end
    quoted = (
        begin > 0 and end < len(text) and text[begin - 1] in QUOTES and text[end] in QUOTES
        and not (text[begin - 1] in "'\u2019" and text[end : end + 2] in ("'s", "\u2019s"))
    )  # fmt: skip
    dated = re.match(r"[\"'\u201d\u2019*_]*\s*[(\[](?:18|19|20)\d\d[)\],;]", text[end:]) is not None
    if quoted or dated:
        return True
    content = window.key.split()
    raw = [
        text[t.begin : t.end] for t in tokens[window.first : window.behind] if t.lower[0].isalnum()
    ]
    capitals = sum(word[0].isupper() or word[0].isdigit() for word in raw)
    shouting = text.upper() == text
    if len(content) > 1:
        if capitals and raw[-1][0].isupper() | raw[-1][0].isdigit() and not shouting:
            return not all(word.isdigit() for word in content)
        lower_case = not any(letter.isupper() for letter in text)
        return own or len(content) > 2 or lower_case
    word = next(
        (
            text[t.begin : t.end]
            for t in tokens[window.first : window.behind]
            if full_key(t.lower) == window.key
        ),
        raw[-1],
    )
    if not word[0].isupper() or shouting or content[0].isdigit():
        return own and not any(letter.isupper() for letter in text) and not content[0].isdigit()
    return _stands_alone(text, tokens, window, own, genre_words)


def _stands_alone(
    text: str, tokens: Sequence[Token], window: Window, own: bool, genre_words: frozenset[str]
) -> bool:
    """A capitalised one-word title: is the capital not that of a sentence or of a longer name?"""
    before = tokens[window.first - 1] if window.first else None
    after = tokens[window.behind] if window.behind < len(tokens) else None
    opens = before is None or before.lower in SENTENCE_END or not before.lower[0].isalnum()
    if after is not None and after.lower[0].isalpha() and text[after.begin].isupper():
        return False
    genre_word = window.key in genre_words
    if before is not None and before.lower[0].isalpha() and text[before.begin].isupper():
        starts = window.first == 1 or tokens[window.first - 2].lower in SENTENCE_END
        if not (starts and before.lower in english_words()):
            return False
    if not opens:
        return not genre_word or own
    if own and not genre_word:
        return True
    told = after is None or after.lower in _BEHIND_TITLE
    verb = after is not None and after.lower in lexicon()["verbs"]
    return (told or verb) and not genre_word
