"""Find the titles that a recommendation gives as its reason, such as "because you watched X".

A title in the reason is a position of the user's history, another item of the catalog, or unknown:
a name after words such as "because you" that no title of the catalog matches, in quotes, with a
year, or right after a verb such as "watched". A name after "like" may be a person or a country, and
is not read as a title. The recommended item itself is not a reason. Titles are found like those of
claims (`title_mentions`), in English and German.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from auditkit.catalog.catalog import Catalog
from auditkit.claims.lexicon import tokenize
from auditkit.claims.title_mentions import mentions_of, windows
from auditkit.claims.typed.clauses import Mention
from auditkit.claims.typed.language import language_of, phrase_set, words_of

__all__ = ["StatedReason", "first_item_text", "read_reasons"]

_NUMBERED = re.compile(r"\n\s*[*_]*\d+\s*[.):]")
_MARKED = re.compile(r"\n\s*(?:\d+\s*[.):]|[-*\u2022]\s)")
_CLAUSE_END = re.compile(r"[.;\n]")
_REACH = 120  # characters after the cue
# A name in quotes, or a run of capitalized words, and a year after it.
_NAME = re.compile(
    r"(?:[\"\u201c\u201e\u00ab](?P<quoted>[^\"\u201c\u201d\u201e\u00ab\u00bb\n]{2,80})"
    r"[\"\u201d\u00bb]"
    r"|\b(?P<plain>[A-Z][\w'\u2019&-]*(?:\s+(?:(?:of|the|and|in|a|an|to|der|die|das|und)\s+)*"
    r"[A-Z0-9][\w'\u2019&-]*)*))(?P<year>\s*\((?:18|19|20)\d\d\))?"
)
_CONSUMED = re.compile(
    r"\b(?:watched|saw|seen|read|played|bought|purchased|ordered|rated|finished|heard|visited"
    r"|sahst|sahen|last|lasen)\s+(?:the\s+)?(?:movie|film|book|game|song|series)?\s*$"
)


class StatedReason(NamedTuple):
    """The titles that one stated reason names.

    Attributes:
        positions: positions in the history, ascending.
        elsewhere: written titles that are not in the history, whether or not the catalog has them.
    """

    positions: tuple[int, ...]
    elsewhere: tuple[str, ...]

    @property
    def names_something(self) -> bool:
        """Whether the reason names any title."""
        return bool(self.positions or self.elsewhere)


def first_item_text(text: str, title: str) -> str:
    """Extract what a list says about its first item: the text from its title to the next item.

    Args:
        text: text of the list. Bullets below a numbered item belong to this item.
        title: the item as it was parsed from the list; it may include the reason.
    """
    begin = text.casefold().find(title.casefold())
    if begin < 0:
        return text
    marker = text[text.rfind("\n", 0, begin) + 1 : begin]
    after = begin + len(title)
    following = (_NUMBERED if any(map(str.isdigit, marker)) else _MARKED).search(text, after)
    about = text[after : following.start() if following else len(text)]
    return about if about.strip(" .:-*_\n") else title


def read_reasons(
    catalog: Catalog,
    texts: Sequence[str],
    histories: Sequence[Sequence[str]],
    items: Sequence[str],
) -> list[StatedReason]:
    """Read the titles that reasons name, for many recommendations in one pass.

    Args:
        texts: the reason of each recommendation.
        histories: item ids of each user's history, oldest first.
        items: id of each recommended item; an id that is not in the catalog is ignored.

    Returns:
        One reason per text, in order. A title that several items share counts as in the history if
        one of these items is; all positions with that title are returned.
    """
    tokens = [tokenize(text) for text in texts]
    spans = [windows(text, row) for text, row in zip(texts, tokens, strict=True)]
    keys = list(dict.fromkeys(window.key for row in spans for window in row))
    entries = dict(zip(keys, catalog.linker.link_texts(keys), strict=True))
    found = []
    for text, row, own, history, item in zip(texts, tokens, spans, histories, items, strict=True):
        titles = [(window, entries[window.key]) for window in own if entries[window.key]]
        mentions = mentions_of(text, row, titles, None)
        found.append(_reason(catalog, text, mentions, history, item))
    return found


def _reason(
    catalog: Catalog, text: str, mentions: Sequence[Mention], history: Sequence[str], item: str
) -> StatedReason:
    places: dict[int, list[int]] = {}
    for position, key in enumerate(history):
        if key in catalog.index:
            places.setdefault(_entry(catalog, key), []).append(position)
    recommended = _entry(catalog, item) if item in catalog.index else -1
    positions: set[int] = set()
    elsewhere: list[str] = []
    for mention in mentions:
        if recommended in mention.entries:
            continue
        named = [p for entry in mention.entries for p in places.get(entry, ())]
        positions.update(named)
        if not named:
            elsewhere.append(text[mention.begin : mention.end])
    elsewhere += _unknown_names(text, mentions)
    return StatedReason(tuple(sorted(positions)), tuple(dict.fromkeys(elsewhere)))


def _entry(catalog: Catalog, item_id: str) -> int:
    return int(catalog.linker.entry_of[catalog.index[item_id]])


def _unknown_names(text: str, mentions: Sequence[Mention]) -> Iterator[str]:
    """Find names after words of taste that are not part of a known title; at most one name per
    word.
    """
    words = words_of(text)
    cues = phrase_set(language_of(words), "taste")
    for _, behind in cues.places(words):
        begin = words[behind - 1].end
        end = _CLAUSE_END.search(text, begin, begin + _REACH)
        until = end.start() if end else min(len(text), begin + _REACH)
        if any(mention.begin < until and mention.end > begin for mention in mentions):
            continue
        german = words[behind - 1].lower in ("du", "sie")  # the verb follows the title
        for match in _NAME.finditer(text, begin, until):
            follows = german and not text[begin : match.start()].strip()
            consumed = follows or _CONSUMED.search(text, begin, match.start())
            if match["quoted"] or match["year"] or consumed:
                yield match["quoted"] or match["plain"]
                break
