"""Normalization of catalog titles and of the titles that a recommender writes.

Two titles are the same if their full keys are equal. Numbers are part of every key, so a sequel is
never linked to its predecessor. HTML entities (`&amp;`, `&#39;`) are decoded first, because many
tables contain them. The steps are: 1 list marker, 2 year, 3 alias, 4 article, 5 fold,
6 leading article, 7 numerals, 8 "and"; each function below names its steps.
"""

from __future__ import annotations

import html
import re
import unicodedata
from itertools import pairwise
from typing import NamedTuple

__all__ = [
    "DROPPED_BEFORE_DIGIT",
    "ROMAN_NUMERALS",
    "ParsedTitle",
    "clean_query",
    "decode_entities",
    "fold",
    "full_key",
    "joined_key",
    "key_of_tokens",
    "key_with_and",
    "parse_title",
    "prefix_of",
    "sorted_key",
    "split_year",
]

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,31});")
_MAX_ESCAPES = 3  # an exported export is escaped twice
_MARKER = re.compile(r"^(?:[-*•]|\d{1,2}[.)]|#\d{1,2})\s+")
_SURROUNDING = '*_"\u201c\u201d '
_SINGLE_QUOTES = ("''", "\u2018\u2019")
_YEAR = re.compile(
    r"\s*(?P<open>[(\[,\-\u2013\u2014:\s])\s*(?P<year>(?:18|19|20)[0-9]{2})[)\]]?(?:\s*\(V\))?$"
)
_ALIAS = re.compile(r"^(?P<main>[^(]*[^(\s])\s*\((?P<alias>.*)\)$")
_TRAILING_ARTICLE = re.compile(
    r"^(?P<rest>.*\S),\s*(?P<article>The|A|An|La|Le|Les|L['\u2019\u2018]|El|Los|Las|Il|Lo|I|Der|Die|Das|Det|Den|O|Os|Un|Une)$",
    re.IGNORECASE,
)
_PREFIX_END = re.compile(r":|\s-\s")
_TOKEN = re.compile(r"[^\W_]+")
_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})
_SYMBOLS = str.maketrans({"\u2019": "'", "\u2018": "'", "&": " and ", "@": " at "})
_DROPPED = str.maketrans("", "", "'.")
_ARTICLES = frozenset({"the", "a", "an"})
ROMAN_NUMERALS = dict(
    zip(
        ["ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"],
        map(str, range(2, 11)),
        strict=True,
    )
)
_WORDS = dict(
    zip(
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
        map(str, range(2, 11)),
        strict=True,
    )
)
_COUNTED = frozenset({"part", "chapter", "volume", "episode"})
DROPPED_BEFORE_DIGIT = _COUNTED | {"vol"}


class ParsedTitle(NamedTuple):
    """Parts of a title: core, year, whether the year was in brackets, and alias."""

    core: str
    year: int | None
    bracketed: bool
    alias: str | None


def decode_entities(text: str) -> str:
    """Decode HTML entities that end with a semicolon, even if they are escaped repeatedly."""
    for _ in range(_MAX_ESCAPES):
        if "&" not in text or not _ENTITY.search(text):
            break
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return text


def clean_query(text: str) -> str:
    """Step 1, for queries only: remove surrounding whitespace and quotes, a list marker and bold
    marks.
    """
    text = _MARKER.sub("", " ".join(decode_entities(text).split()))
    text = text.replace("**", "").replace("__", "").strip(_SURROUNDING)
    # Single quotes are removed only in pairs: the last one of "Enfer, L'" belongs to the article.
    paired = len(text) > 1 and text[0] + text[-1] in _SINGLE_QUOTES
    return text[1:-1].strip(_SURROUNDING) if paired else text


def split_year(text: str) -> tuple[str, int | None, bool]:
    """Step 2: split off a year at the end; return text, year and whether the year was in
    brackets.
    """
    match = _YEAR.search(text)
    if match is None or not text[: match.start()].strip():
        return text, None, False
    return text[: match.start()].rstrip(), int(match["year"]), match["open"] in "(["


def split_alias(text: str) -> tuple[str, str | None]:
    """Step 3: split a title into the text before a final parenthesis and the text inside it."""
    match = _ALIAS.match(text) if text.endswith(")") else None
    return (match["main"], match["alias"].strip()) if match else (text, None)


def parse_title(text: str, *, with_year: bool = True) -> ParsedTitle:
    """Apply steps 2 and 3; `with_year` is False for catalog titles, whose year is a separate
    field.
    """
    text = decode_entities(text)
    core, year, bracketed = split_year(text) if with_year else (text, None, False)
    main, alias = split_alias(core)
    return ParsedTitle(main, year, bracketed, alias)


def full_key(text: str) -> str:
    """Steps 4 to 8: compute the key of a title. Two titles match if their keys are equal.

    Returns:
        The key; `raw:` followed by the case-folded text if no letter or digit remains; empty for an
        empty text.
    """
    text = decode_entities(text)
    tokens = _without_article(fold(_move_article(text)))
    if len(tokens) > 1:
        tokens = _without_and(_without_numerals(tokens))
    if tokens:
        return " ".join(tokens)
    raw = unicodedata.normalize("NFKC", text).casefold().strip()
    return f"raw:{raw}" if raw else ""


def key_of_tokens(tokens: list[str]) -> str:
    """Build the full key of corrected tokens, without a leading article and without `and` between
    tokens.
    """
    if len(tokens) > 1 and tokens[0] in _ARTICLES:
        tokens = tokens[1:]
    return " ".join(_without_and(tokens))


def key_with_and(text: str) -> str:
    """Full key including every `and`, for a text in which `and` may be another, misspelled word."""
    tokens = _without_article(fold(_move_article(decode_entities(text))))
    return " ".join(_without_numerals(tokens) if len(tokens) > 1 else tokens)


def sorted_key(key: str) -> str:
    """Full key with its tokens in alphabetical order, to match titles with swapped words."""
    return " ".join(sorted(key.split(" ")))


def joined_key(key: str) -> str:
    """Full key without spaces, to match compound words that are written with or without a space."""
    return key.replace(" ", "")


def prefix_of(title: str) -> str | None:
    """Main title before the first `:` or ` - `; None if the title contains neither."""
    main = _PREFIX_END.split(_move_article(title), maxsplit=1)
    return main[0].strip() if len(main) > 1 and main[0].strip() else None


def _move_article(text: str) -> str:
    """Step 4: `Usual Suspects, The` -> `The Usual Suspects`."""
    match = _TRAILING_ARTICLE.match(text) if "," in text else None
    if match is None:
        return text
    glue = "" if match["article"][-1] in "'\u2019\u2018" else " "
    return match["article"] + glue + match["rest"]


def fold(text: str) -> list[str]:
    """Step 5: split a text into runs of letters or digits, lower case, without diacritics,
    apostrophes and periods.
    """
    text = text.translate(_SYMBOLS)
    if text.isascii():
        return _TOKEN.findall(text.lower().translate(_DROPPED))
    text = unicodedata.normalize("NFKD", text)
    text = "".join(letter for letter in text if not unicodedata.combining(letter)).casefold()
    return _TOKEN.findall(text.translate(_LETTERS).translate(_SYMBOLS).translate(_DROPPED))


def _without_article(tokens: list[str]) -> list[str]:
    """Step 6: of two or more tokens, remove a leading article or, without one, a trailing
    article.
    """
    if len(tokens) > 1 and tokens[0] in _ARTICLES:
        return tokens[1:]
    if len(tokens) > 1 and tokens[-1] in _ARTICLES:
        return tokens[:-1]
    return tokens


def _without_and(tokens: list[str]) -> list[str]:
    """Step 8: of three or more tokens, remove every `and` except a leading `and`."""
    if len(tokens) < 3:
        return tokens
    return tokens[:1] + [token for token in tokens[1:] if token != "and"]


def _without_numerals(tokens: list[str]) -> list[str]:
    """Step 7, after the first token: `Part II` and `Part Two` become `2`."""
    digits = tokens[:1]
    for before, token in pairwise(tokens):
        if token in ROMAN_NUMERALS:
            token = ROMAN_NUMERALS[token]
        elif before in _COUNTED:
            token = _WORDS.get(token, token)
        digits.append(token)
    return digits[:1] + [
        token
        for token, after in zip(digits[1:], [*digits[2:], ""], strict=False)
        if not (token in DROPPED_BEFORE_DIGIT and after.isdigit())
    ]
