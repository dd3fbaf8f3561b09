"""Separate a title from the text around it on the same line.

A title is a span in bold or quotes at the beginning of the line, or it ends before a price. It also
ends before a dash, colon or bracket if words that do not read like a subtitle follow in at least
half of the lines: a subtitle ("Alien - Resurrection") is part of the title. Comments that only the
catalog can tell from a subtitle are left to linking.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from auditkit.catalog.linking.variants import reads_like_variant

__all__ = [
    "bare_title", "bare_titles", "ends_with_year", "is_emphasized", "looks_like_comment",
    "prose_around", "quoted_titles",
]  # fmt: skip

_YEAR = r"\((?:18|19|20)\d{2}\)"
# "Fargo (1996)** - a dark comedy": a title ends with its bracketed year; a comment may follow.
_COMMENT = re.compile(
    rf"({_YEAR})[*_\"”`]*"
    r"(?:\s*[-\u2013\u2014:](?:\s.*)?"
    r"|,?\s+(?:by|directed by|written by|starring|with|von|de|par)\s.*)$"
)
_YEAR_END = re.compile(rf"{_YEAR}$")
_YEAR_STOP = re.compile(rf"({_YEAR}[*_\"”`]*)[.!?]$")
_DECORATION = '*_"“”„«»` \t'
_EMPHASIS, _OPENING, _CLOSING = "*_` \t", "\"“„«'", "\"”“»'"
_LINK = re.compile(r"\[([^\[\]]{1,300})\]\([^()\s]{1,500}\)")
_URL = re.compile(r"\s*\(?\bhttps?://[^\s()]{1,500}\)?$")
_SPAN = re.compile(
    r"^(?:\*\*\*?(?P<bold>[^*]{1,300})\*\*\*?|__(?P<bars>[^_]{1,300})__"
    r"|\*(?P<italic>[^*\s][^*]{0,300})\*|_(?P<low>[^_\s][^_]{0,300})_"
    r"|`(?P<code>[^`]{1,300})`|\"(?P<straight>[^\"]{1,300})\""
    r"|[“„](?P<curly>[^“”„]{1,300})[”“]|«\s?(?P<angle>[^«»]{1,300})»"
    r"|\[(?P<anchor>[^\[\]]{1,300})\]\([^()\s]{1,500}\))"
)
_AFTER_SPAN = re.compile(
    r"\s*(?:$|[-\u2013\u2014\u2192:|,;.(\[/~\u2b50\u2605]|\s(?:by|von|from|für|for|with|mit|at|bei)\s)"
)
_IN_TEXT = re.compile(r"\*\*([^*\n]{2,150})\*\*|[“„\"]([^“”„\"\n]{2,150})[”“\"]")
_MONEY = (
    r"(?:[€$£¥₹]|\b(?:EUR|USD|GBP|CHF|US\$))\s?\d[\d.,\u00a0\u202f]*"
    r"|\d(?:[\d.,\u00a0\u202f]*\d)?\s?(?:[€$£¥₹]|EUR\b|Euro\b|USD\b|GBP\b|CHF\b|dollars\b|euros\b)"
)
_PRICE = re.compile(rf"{_MONEY}", re.IGNORECASE)
_INTRODUCTION = re.compile(
    r"(?:[-\u2013\u2014,;:|(\[/~@≈]"
    r"|(?<![^\W_])(?:price|preis|prix|precio|nur|only|just|for|für|ab|from|at|ca\.?|about|approx\.?"
    r"|around|currently|now|jetzt|derzeit))$",
    re.IGNORECASE,
)
_DASH = re.compile(r"\s+[-\u2013\u2014\u2192]{1,3}\s+|\s*\u2014\s*|\s*[|\t]\s*")
_EMOJI = re.compile(r"^[\U0001f300-\U0001faff\u2600-\u27bf\ufe0f\u200d]+\s+(?=\S)")
_DASHES = (" \u2013 ", " \u2014 ", "\u2014", " \u2192 ", " -> ", " - ", " | ", " : ", "\t")
_LONGEST = 2_000  # letters of a line
_NEARLY_ALL = 0.8  # of the lines of a list
_CODE = re.compile(r"[\w-]*\d[\w-]*")
_COLON = re.compile(r":\s+")
_BRACKET = re.compile(r"\s+[(\[](?P<inside>[^()\[\]]{1,200})[)\]]\s*(?P<rest>.*)$")
_TELLTALE = re.compile(
    rf"{_MONEY}|\d\s?%|\d(?:[.,]\d)?\s?/\s?(?:5|10)\b|[\u2b50\u2605\u2606]|\bstars?\b|\bSterne\b"
    r"|\b(?:in stock|sold out|auf Lager|ausverkauft|rating|bewertung)\b",
    re.IGNORECASE,
)
_STARS = re.compile(
    r"[\s\u2b50\u2605\u2606\ufe0f]*[\u2b50\u2605\u2606][\s\u2b50\u2605\u2606\ufe0f]*$"
)
_LOWER_STARTS = frozenset(("iphone", "ipad", "ipod", "imac", "ebay", "macos"))
_LONG_REMARK = 7  # words


def ends_with_year(line: str) -> bool:
    """Whether the title on a line ends with a year in brackets."""
    return bool(_YEAR_END.search(bare_title(line)))


def is_emphasized(line: str) -> bool:
    """Whether a line begins with a span in bold or quotes, followed by a separator or nothing."""
    return len(line) <= _LONGEST and _span(line.strip()) is not None


def bare_title(line: str) -> str:
    """Remove the decoration and price of a title, and a comment or period after its year."""
    line = line.strip()
    if len(line) > _LONGEST:  # no title; the patterns below would read it many times
        return line
    if (span := _span(line)) is not None:
        return span
    line = _URL.sub("", _YEAR_STOP.sub(r"\1", _COMMENT.sub(r"\1", line)))
    line = _without_price(_STARS.sub("", line.replace("**", "").replace("__", "")))
    return _EMOJI.sub("", _undecorated(line))


def _undecorated(text: str) -> str:
    """Remove emphasis, and quotation marks around the whole text; an inch mark or a quoted last
    word is not changed.
    """
    text = text.strip(_EMPHASIS)
    while len(text) > 1 and text[0] in _OPENING:
        closed = text[-1] in _CLOSING and not any(mark in text[1:-1] for mark in _OPENING)
        text = text[1 : -1 if closed else None].strip(_EMPHASIS)
    return text


def bare_titles(lines: Sequence[str]) -> list[str]:
    """Extract the title from each line of a list. Comments after titles are removed if at least
    half of the lines have one.
    """
    titles = [bare_title(line) for line in lines]
    plain = [
        i for i, line in enumerate(lines) if len(line) <= _LONGEST and _span(line.strip()) is None
    ]
    if len(plain) < 2:
        return titles
    dash = _dash_of_comments([titles[i] for i in plain])
    for i in plain if dash else ():
        titles[i] = titles[i].partition(dash)[0].strip(_DECORATION)
    for before_comment in (_before_dash, _before_colon, _before_bracket):
        heads = {i: head for i in plain if (head := before_comment(titles[i]))}
        if len(heads) * 2 >= len(plain):
            titles = [heads.get(i, title).strip(_DECORATION) for i, title in enumerate(titles)]
    return titles


def _dash_of_comments(titles: Sequence[str]) -> str:
    """The dash or bar that nearly every line has before its comment; empty if there is none.

    At least half of what follows it must read like a comment; the rest may look like a subtitle.
    """
    for dash in _DASHES:
        tails = [tail for title in titles if (tail := title.partition(dash)[2])]
        comments = sum(looks_like_comment(tail) for tail in tails)
        if len(tails) >= _NEARLY_ALL * len(titles) and comments * 2 >= len(tails):
            return dash
    return ""


def looks_like_comment(text: str) -> bool:
    """Whether the words after a title are a comment rather than a subtitle.

    A comment begins in lower case, has a price, percentage or rating, is long, or is a sentence.
    The words of a subtitle are capitalized. A color or size is not a comment, because it belongs to
    the title of a product.
    """
    text = text.strip(_DECORATION)
    words = text.split()
    if not words or _TELLTALE.search(text):
        return True
    if reads_like_variant(text):
        return False
    first = next((letter for letter in words[0] if letter.isalpha()), "")
    if first.islower() and words[0].casefold() not in _LOWER_STARTS:
        return True
    long = [word.strip(".,;:!?()") for word in words[1:] if len(word.strip(".,;:!?()")) > 3]
    lower = sum(word[:1].islower() for word in long)
    if long and lower * 2 >= len(long) and len(words) > 3:
        return True
    return len(words) > _LONG_REMARK or (len(words) > 3 and text.endswith((".", "!")))


def quoted_titles(text: str) -> tuple[str, ...]:
    """Return the spans in bold or quotes in a prose text."""
    spans = (match[1] or match[2] for match in _IN_TEXT.finditer(text))
    return tuple(span.strip(_DECORATION + ".,") for span in spans if not span.endswith(":"))


def prose_around(text: str) -> str:
    """Return a prose text without its spans in bold or quotes."""
    return _IN_TEXT.sub(" ", text)


def _span(line: str) -> str | None:
    """The span at the beginning of a line that is the title; None if there is none."""
    match = _SPAN.match(line)
    if match is None:
        return None
    span = next(text for text in match.groups() if text is not None).strip(_DECORATION)
    rest = line[match.end() :]
    sure = match["anchor"] is not None or span.endswith(":") or _AFTER_SPAN.match(rest)
    if not span or not sure:
        return None
    link = _LINK.fullmatch(span)
    if link is not None:
        span = link[1].strip(_DECORATION)
    if (year := re.match(rf"\s*({_YEAR})", rest)) is not None:
        return f"{span} {year[1]}"
    dashed = bool(_DASH.match(rest))
    named, rest = span.removesuffix(":").rstrip(), rest.strip().removeprefix(":").strip()
    if len(named.split()) == 1 and rest and not dashed and not looks_like_comment(rest):
        return None  # "**Sony:** WH-1000XM4", a brand and a title
    return named


def _before_dash(line: str) -> str:
    return _before(_DASH, line, fewest=1)


def _before_colon(line: str) -> str:
    head = _before(_COLON, line, fewest=4)
    return "" if _CODE.fullmatch(head) else head


def _before(separator: re.Pattern[str], line: str, *, fewest: int) -> str:
    """The text before the first separator after which a comment of at least `fewest` words
    begins.
    """
    for match in separator.finditer(line):
        head, tail = line[: match.start()].strip(), line[match.end() :]
        if head and len(tail.split()) >= fewest and looks_like_comment(tail):
            return head
    return ""


def _before_bracket(line: str) -> str:
    """The text before brackets that contain a price, a rating or words in lower case."""
    bracket = _BRACKET.search(line)
    if bracket is None:
        return ""
    words = bracket["inside"].split()
    lower = any(word[:1].islower() for word in words) and not any(w[:1].isupper() for w in words)
    comment = bool(_TELLTALE.search(bracket["inside"])) or (
        len(words) > 1 and lower and not reads_like_variant(bracket["inside"])
    )
    return line[: bracket.start()].strip() if comment else ""


def _without_price(line: str) -> str:
    """Remove a price, with the words that introduce it and the text after it, unless the line
    begins with the price.

    A price within the words of a line is part of the title ("The $64,000 Question").
    """
    price = _PRICE.search(line)
    if price is None:
        return line
    before = head = line[: price.start()].rstrip()
    while (shorter := _INTRODUCTION.sub("", head).rstrip()) != head:
        head = shorter
    ends_line = not line[price.end() :].strip(" .,;)]")
    return head if head and (head != before or ends_line) else line
