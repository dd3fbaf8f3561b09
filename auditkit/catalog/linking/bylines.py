"""Split titles that are written together with their creator, such as "Dune by Frank Herbert".

A split is only a proposal, because "Stand by Me" and "Death by Chocolate" are titles. It is
accepted if the title part links to an item whose creator, according to the knowledge graph, is the
other part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from auditkit.catalog.linking.normalize import clean_query, fold, split_year

__all__ = ["CREATOR_PREDICATES", "Byline", "bylines", "is_by"]

CREATOR_PREDICATES = (
    "author", "creator", "artist", "writer", "director", "composer", "performer", "brand",
    "developer", "publisher", "illustrator",
)  # fmt: skip
# "by" in English, German, Spanish/French/Portuguese, French, Italian, Dutch, Scandinavian.
_BY = re.compile(
    r",?\s+(?:(?:an?\s+)?(?:novel|book|film|movie|album|song|written|directed|authored)\s+)?"
    r"(?:by|von|de|par|di|por|door|van|av|af)\s+",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s+[-\u2013\u2014|/]\s+|:\s+")
_IN_BRACKETS = re.compile(r"^(?P<title>.*\S)\s*[(\[](?P<creator>[^()\[\]]+)[)\]]$")
_POSSESSIVE = re.compile(r"^(?P<creator>\S.*?)['\u2019]s\s+(?P<title>\S.*)$")
_AND = re.compile(r"\s*(?:[,;&]|\s(?:and|und|et|y|e|og|och)\s)\s*", re.IGNORECASE)
_LISTED = re.compile(r"\s*[;|&]\s*|\s+and\s+", re.IGNORECASE)  # "Austen, Jane" is one name
_MAX_SPLITS = 8


class Byline(NamedTuple):
    """A title, its year if stated, and the names of its creators."""

    title: str
    creator: str


def bylines(text: str) -> list[Byline]:
    """Return all ways to split a written title into title and creators, most likely first."""
    body, year, _ = split_year(clean_query(text))
    written = f" ({year})" if year is not None else ""
    found = [
        Byline(title.strip(" ,") + written, creator.strip(" ,"))
        for title, creator in _splits(body)
        if title.strip(" ,") and creator.strip(" ,")
    ]
    return list(dict.fromkeys(found))[:_MAX_SPLITS]


def _splits(body: str) -> Iterator[tuple[str, str]]:
    for match in reversed(list(_BY.finditer(body))):  # the last "by" introduces the creator
        yield body[: match.start()], body[match.end() :]
    between = list(_BETWEEN.finditer(body))
    for match in reversed(between):
        yield body[: match.start()], body[match.end() :]
    if bracketed := _IN_BRACKETS.match(body):
        yield bracketed["title"], bracketed["creator"]
    for match in between:  # "Miles Davis - Kind of Blue"
        yield body[match.end() :], body[: match.start()]
    if possessive := _POSSESSIVE.match(body):
        yield possessive["title"], possessive["creator"]


def is_by(written: str, creators: Iterable[str]) -> bool:
    """Whether every creator in a written byline is one of an item's creators; initials and a
    surname suffice for a match.
    """
    listed = [part for creator in creators for part in (creator, *_LISTED.split(creator))]
    known = [_name(creator) for creator in dict.fromkeys(listed)]
    whole = [_name(written)]
    parts = [_name(part) for part in _AND.split(written) if part.strip()]
    return any(
        bool(names) and all(any(_is_same(name, other) for other in known) for name in names)
        for names in (whole, parts)
    )


def _name(text: str) -> list[str]:
    """The words of a name, given names first."""
    last, comma, given = text.partition(",")
    return fold(f"{given} {last}" if comma else text)


def _is_same(written: Sequence[str], known: Sequence[str]) -> bool:
    if not written or not known:
        return False
    if "".join(written) == "".join(known):
        return True
    given = known[:-1]
    return written[-1] == known[-1] and all(
        any(name.startswith(word) for name in given) for word in written[:-1]
    )
