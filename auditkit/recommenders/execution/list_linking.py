"""Link the texts of one list, using the whole list to detect what is written around its titles.

The parser does not remove comments that may be subtitles ("Heat - a heist"). If a text has no
match, the part after a separator is dropped if this part looks like a comment, or if most texts of
the list have this separator and most of the unmatched texts then match exactly. Invented titles
still have no match, because only the form is inferred from the other texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.linking.normalize import clean_query
from auditkit.catalog.linking.title_linker import EXACT, Link
from auditkit.catalog.linking.variants import reads_like_variant
from auditkit.recommenders.prompting.comments import looks_like_comment

__all__ = ["link_list"]

_UNMATCHED = ("none", "near_miss")
# Dashes, bars and arrows between blanks rarely belong to a title; colons and commas often do.
_TYPOGRAPHIC = re.compile(r"\s+(?:[-\u2013\u2014\u2192|~/]|->|\|\|)\s+|\t|\s*\u2014\s*")
_OTHER = re.compile(r":\s+|,\s+|;\s*|\s+(?=[(\[])")
_LONGEST = 500  # letters; in a longer text every separator would be tried
_LEAST = 2  # texts that show a form


def link_list(titles: Sequence[str], catalog: Catalog) -> list[Link]:
    """Link every text of a list to the catalog, in order."""
    links = _numeric_ids(titles, catalog) or catalog.link(titles)
    for separator, consistent in ((_TYPOGRAPHIC, True), (_OTHER, False)):
        heads = {
            number: list(_heads(titles[number], separator))
            for number, link in enumerate(links)
            if link.reason in _UNMATCHED and len(titles[number]) <= _LONGEST
        }
        heads = {number: found for number, found in heads.items() if found}
        matched = _matched(heads, catalog)
        whole = sum(
            link.reason not in _UNMATCHED and bool(separator.search(titles[number]))
            for number, link in enumerate(links)
        )
        of_form = (
            consistent
            and len(matched) >= max(_LEAST, whole)
            and len(matched) * 2 >= len(heads)
            and (len(heads) + whole) * 2 >= len(titles)
        )
        for number, (link, tail) in matched.items():
            if (of_form and not reads_like_variant(tail)) or looks_like_comment(tail):
                links[number] = replace(link, title=titles[number])
    return links


def _numeric_ids(titles: Sequence[str], catalog: Catalog) -> list[Link] | None:
    """Link a list of whole numbers, most of which are item ids; None for any other list."""
    texts = [clean_query(title) for title in titles]
    known = sum(text in catalog.index for text in texts)
    if len(texts) < _LEAST or not all(text.isdigit() for text in texts) or known * 2 < len(texts):
        return None
    return [
        Link(title, text, "id", (text,)) if text in catalog.index else Link(title, None, "none")
        for title, text in zip(titles, texts, strict=True)
    ]


def _heads(text: str, separator: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Split a text at each separator into the text before and after it; the longest first part
    comes first.
    """
    for match in reversed(list(separator.finditer(text))):
        head, tail = text[: match.start()].strip(), text[match.end() :].strip()
        if head and tail:
            yield head, tail


def _matched(
    heads: Mapping[int, Sequence[tuple[str, str]]], catalog: Catalog
) -> dict[int, tuple[Link, str]]:
    """For each text, find the longest head that matches exactly, with the text after it."""
    asked = [(number, head, tail) for number, found in heads.items() for head, tail in found]
    found: dict[int, tuple[Link, str]] = {}
    links = catalog.link([head for _, head, _ in asked]) if asked else []
    for (number, _, tail), link in zip(asked, links, strict=True):
        if number not in found and link.reason in EXACT:
            found[number] = link, tail
    return found
