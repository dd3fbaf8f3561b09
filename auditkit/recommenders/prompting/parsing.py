"""Parse titles from a response text, and assign exactly one status to the response.

The parser reads JSON, tables, HTML lists, numbered lists, bullets, headings, `name: value` blocks,
plain lines and titles in bold or quotes within prose. Text around a list (introductions, code
fences, comments, closing sentences) must not be parsed as a title, because it would count as an
invented item.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from textwrap import dedent
from typing import NamedTuple

import yaml

from auditkit.catalog.linking.normalize import decode_entities
from auditkit.recommenders.prompting.comments import (
    bare_title,
    bare_titles,
    ends_with_year,
    is_emphasized,
    looks_like_comment,
    prose_around,
    quoted_titles,
)
from auditkit.recommenders.prompting.item_fields import is_item_field, item_texts
from auditkit.recommenders.prompting.json_lists import has_json, json_titles
from auditkit.recommenders.prompting.list_markers import marked_lines
from auditkit.recommenders.prompting.one_line_lists import BETWEEN_DATED, one_line_titles
from auditkit.recommenders.prompting.table_lists import table_titles
from auditkit.types import Status

__all__ = [
    "ParsedList",
    "fairllm_clean",
    "final_part",
    "is_refusal",
    "parse_cut",
    "parse_list",
    "status_of_text",
]

_DECORATION = '*_"“”` \t'
_FENCE = re.compile(r"^[ \t]*```[\w-]*[ \t]*$", re.MULTILINE)
_FIELD = re.compile(
    r"^\s*[*_]{0,3}(?P<name>[^\W\d][\w #-]{0,24}?)[*_]{0,3}:[*_]{0,3}\s+(?P<value>\S.*)$"
)
_HEADING = re.compile(r"^(?P<level>#{2,6})\s+(?P<title>\S.*)$")
_LONGEST_LINE = 120


class ParsedList(NamedTuple):
    """Titles as written, best first, and the format of the list."""

    titles: tuple[str, ...]
    style: str


def final_part(words: str, text: str) -> str | None:
    """The text after the last occurrence of `words`: the whole text if `words` is empty, None if
    `words` does not occur.
    """
    _, found, rest = text.rpartition(words) if words else ("", True, text)
    return rest if found else None


def parse_list(text: str, *, k: int | None = None) -> ParsedList:
    """Parse a ranked list of titles from free text.

    Args:
        k: requested number of items; a line with exactly k - 1 commas is then a list of k titles.

    Returns:
        Titles in order, with repeats, and the style: `json`, `table`, `marked`, `headings`,
        `fields`, `numbers`, `bars`, `semicolons`, `commas`, `lines`, `prose` or `none`.
    """
    titles, style = _parsed(text, k)
    titles = tuple(title for title in titles if title.strip())
    return ParsedList(titles, style if titles or style == "json" else "none")


def _parsed(text: str, k: int | None) -> ParsedList:
    """Parse a list as `parse_list` does; titles may be empty."""
    stripped = dedent(_FENCE.sub("", text)).strip("\r\n")
    lines = [line.rstrip() for line in stripped.splitlines() if line.strip()]
    marked = _marked(lines)
    if not marked and (titles := json_titles(stripped)) is not None:
        unmarked = _marked(titles)
        return ParsedList(unmarked if len(unmarked) == len(titles) else titles, "json")
    if not marked and (titles := table_titles(stripped)):
        return ParsedList(titles, "table")
    if (titles := _under_headings(lines)) or (titles := _fields(lines)):
        return ParsedList(titles, "headings" if _HEADING.match(lines[0]) else "fields")
    if len(marked) < 2 and len(lines) == 1 and (found := one_line_titles(lines[0], k=k)):
        return ParsedList(_titles(found.titles), found.style)
    if marked:
        return ParsedList(marked, "marked")
    prose = len(lines) == 1 and not is_emphasized(lines[0]) and len(quoted_titles(lines[0])) > 1
    if not prose and (titles := _titles(_list_lines(lines))):
        return ParsedList(titles, "lines")
    titles = () if is_refusal(prose_around(stripped)) else quoted_titles(stripped)
    return ParsedList(titles, "prose" if titles else "none")


def parse_cut(text: str, *, k: int | None = None) -> ParsedList:
    """Parse the complete titles of a truncated response; an incomplete last title is dropped.

    A last line is complete if it ends with a year in brackets. Unclosed JSON needs no special case,
    because only closed strings are read from it.
    """
    head, newline, tail = text.rpartition("\n")
    if has_json(text) or not tail.strip() or ends_with_year(tail):
        return parse_list(text, k=k)
    tail = decode_entities(tail)
    ends = [match.start() for match in BETWEEN_DATED.finditer(tail)]
    if ";" in tail:
        ends.append(tail.rindex(";"))
    return parse_list(head + newline + tail[: max(ends, default=0)], k=k)


def _marked(lines: Sequence[str]) -> tuple[str, ...]:
    """Titles after numbers or bullets; bullets and details below a title are comments."""
    found = marked_lines(lines)
    if found and all(line.rest.startswith("{") for line in found):
        return json_titles("\n".join(line.rest for line in found)) or ()
    numbered = _titles([line.rest for line in found if not line.bullet])
    if numbered:
        below = [line.rest for line in found if line.bullet and line.indented]
        if len(below) > len(numbered) and 2 * sum(map(_is_detail, below)) < len(below):
            return _titles(below)  # the numbers are categories
        bullets = [line for line in found if line.bullet and not line.indented]
        if len(numbered) > 1 and all(_is_detail(line.rest) for line in bullets):
            return numbered
        kept = [line.rest for line in found if not (line.bullet and line.indented)]
        return _titles(kept)
    outer = _titles([line.rest for line in found if not line.indented])
    return outer or _titles([line.rest for line in found])


def _is_detail(text: str) -> bool:
    """Whether a bullet says something about an item, such as "Price: 299"."""
    return bool(_FIELD.match(text)) or looks_like_comment(text)


def _titles(parts: Sequence[str]) -> tuple[str, ...]:
    """Titles without decoration; blank titles and introductions (with a colon at the end) are
    dropped.
    """
    bare = bare_titles(_without_label(parts))
    return tuple(title for title in bare if title and not title.endswith(":"))


def _without_label(parts: Sequence[str]) -> Sequence[str]:
    """Remove the field name with which all parts begin, as in "Title: Heat"."""
    fields = [_FIELD.match(part) for part in parts]
    if len(parts) < 2 or not all(field and is_item_field(field["name"]) for field in fields):
        return parts
    return [field["value"] for field in fields if field]


def _under_headings(lines: Sequence[str]) -> tuple[str, ...]:
    """Titles that are headings, with details below each; none if the headings are categories."""
    found = [match for line in lines if (match := _HEADING.match(line))]
    level = max((len(match["level"]) for match in found), default=0)
    headings = [bare_title(m["title"]) for m in found if len(m["level"]) == level]
    numbered = [line.rest for line in marked_lines(headings)]
    if len(headings) < 2 or 0 < len(numbered) < len(headings):
        return ()
    details = all(_is_detail(rest.rest) for rest in marked_lines(lines))
    return _titles(numbered or headings) if details else ()


def _fields(lines: Sequence[str]) -> tuple[str, ...]:
    """Titles of blocks of `name: value` lines."""
    rows: list[dict[str, str]] = []
    for line in lines:
        field = _FIELD.match(line)
        if field is None:
            continue
        name = field["name"].strip()
        if not rows or name in rows[-1]:
            rows.append({})
        rows[-1][name] = field["value"].strip(_DECORATION)
    known = [row for row in rows if any(map(is_item_field, row))]
    n_fields = sum(map(len, rows))
    if not known or n_fields * 2 < len(lines) or n_fields < 2:
        return ()
    return tuple(text for text in item_texts(known) or () if text)


def _list_lines(lines: Sequence[str]) -> list[str]:
    """The lines of a plain list that can be titles: no introductions, refusals or sentences."""
    sure = [ends_with_year(line) or is_emphasized(line) for line in lines]
    any_sure = any(sure)
    if lines and not any_sure and _is_refusal_line(lines[0]):
        return []
    kept = [
        line
        for line, is_sure in zip(lines, sure, strict=True)
        if (len(line.strip()) <= _LONGEST_LINE or is_sure)
        and not line.startswith(("{", "[{", "['", '["'))
        and not line.strip(_DECORATION).endswith(":")
        and (is_sure or not _is_prose(bare_title(line), alone=len(lines) == 1 or any_sure))
    ]
    # The remaining lines without a year may all be sentences.
    titles = [bare_title(line) for line in kept]
    if not any_sure and all(_ends_sentence(line) and len(line.split()) > 2 for line in titles):
        return []
    return kept


def _ends_sentence(line: str) -> bool:
    return line.strip(_DECORATION).endswith((".", "!", "?"))


def _is_prose(line: str, *, alone: bool) -> bool:
    """Whether a line without a year is a sentence. Unless the line is `alone`, its last word must
    also be in lower case, because titles such as "Airplane!" also end with a punctuation mark.
    """
    return _ends_sentence(line) and (alone or line.split()[-1][0].islower())


def _is_refusal_line(line: str) -> bool:
    """Whether a line is a refusal; a title such as "I Can't Sleep" has all words capitalized."""
    return is_refusal(line) and any(len(w) > 3 and w[0].islower() for w in line.split())


# --- cleaning for comparison with published tables


def fairllm_clean(text: str) -> list[str]:
    """Clean a response as FaiRLLM's notebook does, only for comparison with published tables.

    The cleaning merges titles with equal text before a hyphen, loses a digit at the end of a title
    (the digit joins the next number of the list), and finds no titles in a list that is not
    numbered `1. `.

    Returns:
        Cleaned titles in order, with repeats and empty titles.

    Source: behavior of the released code of FaiRLLM (Zhang et al. 2023; the code has no license, so
    none of it is copied): lowercase; delete apostrophes and newlines; split at digits followed by a
    period and a space, and drop the text before the first; cut at the first hyphen; keep the first
    quoted part, or delete an unpaired quote; delete parts in parentheses, and spaces.
    """
    flat = text.lower().replace("'", "").replace("\n", "")
    titles = [part.partition("-")[0] for part in re.split(r"\d+\. ", flat)[1:]]
    quoted = [t.split('"')[1] if t.count('"') > 1 else t.replace('"', "") for t in titles]
    return [re.sub(r"\([^)]*\)", "", title).replace(" ", "") for title in quoted]


# --- status


@cache
def _refusals() -> tuple[str, ...]:
    text = (files("auditkit.recommenders.prompting") / "refusals.yaml").read_text(encoding="utf-8")
    return tuple(phrase for phrases in yaml.safe_load(text).values() for phrase in phrases)


def is_refusal(text: str) -> bool:
    """Whether a text without items is a refusal."""
    lowered = text.casefold().replace("’", "'")  # noqa: RUF001 - models write the typographic apostrophe
    return any(phrase in lowered for phrase in _refusals())


def status_of_text(
    text: str | None, *, n_items: int, cut: bool = False, k: int | None = None
) -> Status:
    """The status of a response: no answer, refusal, truncated, parse error, or ok.

    Args:
        text: text of the response; None if there is none.
        n_items: number of complete items parsed from it.
        cut: whether the text was truncated by a token limit.
        k: requested number of items; a truncated response with at least k items is ok.
    """
    if text is not None and not text.strip():
        return "no_answer"
    if cut and n_items < (k or 1) and not (n_items == 0 and is_refusal(text or "")):
        return "truncated"
    if n_items:
        return "ok"
    if text is None:
        return "no_answer"
    return "refusal" if is_refusal(text) else "parse_error"
