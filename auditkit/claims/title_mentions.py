"""Detection of catalog titles that a text mentions.

Every run of up to twelve words is looked up among the catalog's keys. A run that is found must also
look like a name: capitals, quotes, a year after it, or at least three words. A one-word title needs
a capital that is not due to the beginning of a sentence or to a longer name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from auditkit.catalog.linking.normalize import full_key
from auditkit.catalog.linking.vocabulary import english_words
from auditkit.claims.lexicon import Token, lexicon
from auditkit.claims.span import QUOTES, SENTENCE_END
from auditkit.claims.typed.clauses import Mention

__all__ = ["Window", "is_mention", "mentions_of", "windows"]

MAX_TITLE_TOKENS = 12
_ARTICLES = frozenset(("the", "a", "an"))
_BEHIND_TITLE = frozenset((".", ",", ":", "-", "\u2013", "\u2014", "/", "(", ")", "and", "&", "or"))


class Window(NamedTuple):
    """A possible title: the tokens from `first` to `behind` (exclusive), and their full key."""

    first: int
    behind: int
    key: str


def windows(text: str, tokens: Sequence[Token]) -> list[Window]:
    """Collect every run of up to 12 words that may be a title."""
    found: list[Window] = []
    for first, token in enumerate(tokens):
        if not token.lower[0].isalnum():
            continue
        n_words = 0
        for end in range(first + 1, len(tokens) + 1):
            last = tokens[end - 1]
            is_word = last.lower[0].isalnum() or last.lower == "'s"
            n_words += is_word
            short = end > 1 and len(tokens[end - 2].lower) <= 3
            if n_words > MAX_TITLE_TOKENS or (
                last.lower in SENTENCE_END and not (last.lower == "." and short)
            ):
                break
            trailing = last.lower in _ARTICLES and not (
                tokens[end - 2].lower == "," and text[last.begin].isupper()
            )
            if is_word and token.lower != "and" and last.lower != "and" and not trailing:
                key = full_key(text[token.begin : last.end])
                if key:
                    found.append(Window(first, end, key))
    return found


def is_mention(
    text: str, tokens: Sequence[Token], window: Window, own: bool, genre_words: frozenset[str]
) -> bool:
    """Whether a run of tokens names a film rather than only containing the words of its title.

    Args:
        own: whether the tokens are the title of the text's known subject.
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
    """Whether a capitalized word is a title, not a sentence start or part of a longer name."""
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


def mentions_of(
    text: str,
    tokens: Sequence[Token],
    titles: Sequence[tuple[Window, tuple[int, ...]]],
    own: tuple[int, ...] | None,
) -> list[Mention]:
    """Find the titles that a text mentions, in order; of overlapping titles, the longest.

    Args:
        titles: runs of tokens that may be titles, each with the catalog entries that it matches.
        own: catalog entries of the item that the text is about. A title that matches one of them
            is accepted on weaker evidence and linked to them only. None if the item is unknown.
    """
    taken = [False] * len(tokens)
    found = []
    longest_first = sorted(titles, key=lambda t: (t[0].first - t[0].behind, t[0].first))
    for window, entries in longest_first:
        covered = slice(window.first, window.behind)
        known = own is not None and bool(set(own) & set(entries))
        if any(taken[covered]) or not is_mention(text, tokens, window, known, frozenset()):
            continue
        taken[covered] = [True] * (window.behind - window.first)
        begin, end = tokens[window.first].begin, tokens[window.behind - 1].end
        found.append(Mention(begin, end, own if known and own is not None else entries))
    return sorted(found)
