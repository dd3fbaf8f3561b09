"""Items that are named by their id or SKU: `B0863TXGM3`, `SKU 1017`, `B0863TXGM3: Sony WH-1000XM4`.

An id is only looked for in a text that is not a title of the catalog. A short number is an id only
after a word such as "SKU", because a numbered list and a title ("300") have numbers too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from auditkit.catalog.linking.normalize import clean_query

__all__ = ["LEAST_DIGITS", "Coded", "code_shape", "coded", "is_code"]

_PART = re.compile(r"[^\s,;:()\[\]{}|<>\"'\u201c\u201d#]+")
_LABEL = re.compile(
    r"(?<![^\W_])(?:sku|id|asin|isbn(?:-?1[03])?|ean|gtin|upc|mpn|art\.?-?\s?nr\.?|artikelnummer"
    r"|item\s?(?:id|no\.?|number|code)|product\s?(?:id|code)|ref\.?|code)(?:\s*[:#.=]\s*|\s+)"
    r"(?P<code>[\w./-]*\w)",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"[\[(](\d{1,5})[\])]\s+(?=\S)")  # an id, or a rank
_FOREIGN = re.compile(r"\d{8,14}|(?=[A-Z]*\d)[A-Z0-9]{10}")  # EAN, GTIN, ISBN or ASIN
_YEAR = re.compile(r"(?:18|19|20)\d{2}")
_LONGEST = 500  # letters of a text
_EDGES = " \t-\u2013\u2014:,;()[]{}|#"
LEAST_DIGITS = 6  # of a code without letters


class Coded(NamedTuple):
    """A code in a text, and the rest of the text.

    Attributes:
        item_id: id that the code matches; None for an unknown code.
        foreign: whether an unknown code is certainly not part of a title, as a model number might
            be, because it follows a word such as "EAN", begins the text, or has the length of an
            EAN or ASIN.
    """

    item_id: str | None
    code: str
    rest: str
    foreign: bool = False


def is_code(text: str) -> bool:
    """Whether a word looks like an id: letters with digits, or at least six digits."""
    digits = sum(letter.isdigit() for letter in text)
    letters = sum(letter.isalpha() for letter in text)
    if _YEAR.fullmatch(text) or not digits or len(text) < 4:
        return False
    return letters > 0 or digits >= LEAST_DIGITS


def code_shape(text: str) -> str:
    """Shape of an id: letters as A, digits as 9, for example `AAA-99999`."""
    return "".join("9" if c.isdigit() else "A" if c.isalpha() else c for c in text)


def coded(text: str, ids: Mapping[str, int]) -> list[Coded]:
    """Find the codes in a text that may be item ids, known ids first.

    Args:
        ids: item ids of the catalog.
    """
    if len(text) > _LONGEST:
        return []
    cleaned = clean_query(text).strip(_EDGES)
    whole = _known(cleaned, ids)
    if whole is not None and not _is_short_number(cleaned):
        return [Coded(whole, cleaned, "")]
    if (number := _BRACKETED.match(text.strip())) is not None:
        return [Coded(_known(number[1], ids), number[1], text.strip()[number.end() :], True)]
    labeled = [(match["code"], match.start(), match.end()) for match in _LABEL.finditer(cleaned)]
    parts = [
        (match[0], match.start(), match.end())
        for match in _PART.finditer(cleaned)
        if is_code(match[0]) and _stands_apart(cleaned, match.start(), match.end())
    ]
    found = [
        Coded(
            _known(code, ids),
            code,
            (cleaned[:start] + " " + cleaned[end:]).strip(_EDGES),
            (code, start, end) in labeled or start == 0 or bool(_FOREIGN.fullmatch(code)),
        )
        for code, start, end in (*labeled, *parts)
        if any(letter.isdigit() for letter in code) or _known(code, ids)
    ]
    return sorted(dict.fromkeys(found), key=lambda one: one.item_id is None)


def _known(code: str, ids: Mapping[str, int]) -> str | None:
    return next((form for form in (code, code.upper(), code.lower()) if form in ids), None)


def _is_short_number(text: str) -> bool:
    return text.isdigit() and len(text) < LEAST_DIGITS


def _stands_apart(text: str, start: int, end: int) -> bool:
    """Whether a code is at one end of the text and separated by a mark, or in brackets."""
    before, after = text[:start].rstrip(), text[end:].lstrip()
    separated_after = not before and (after[:1] in set(":|])-\u2013\u2014,;\t") or not after)
    separated_before = not after.strip(")]") and before[-1:] in set(":|([-\u2013\u2014,;#\t")
    return separated_after or separated_before
