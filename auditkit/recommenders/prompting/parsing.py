"""Parse titles from a response text, and assign exactly one status to the response.

The parser reads JSON, numbered lists, bullets and plain lines. Text around a list (introductions,
code fences, comments, closing sentences) must not be parsed as a title, because it would count as
an invented item. An ambiguous line is a title if it ends with a year in brackets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

from auditkit.catalog.linking.normalize import decode_entities
from auditkit.recommenders.prompting.list_markers import marked_lines
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

# "Fargo (1996)** - a dark comedy": a title ends with its bracketed year; a comment may follow.
_COMMENT = re.compile(
    r"(\((?:18|19|20)\d{2}\))[*_\"”`]*"
    r"(?:\s*[-\u2013\u2014:](?:\s.*)?"
    r"|,?\s+(?:by|directed by|written by|starring|with|von|de|par)\s.*)$"
)
_YEAR_END = re.compile(r"\((?:18|19|20)\d{2}\)$")
_YEAR_STOP = re.compile(r"(\((?:18|19|20)\d{2}\)[*_\"”`]*)[.!?]$")
_YEAR_COMMA = re.compile(r"(?<=\((?:18|19|20)\d{2}\)),\s*")
_DECORATION = '*_"“”` \t'
_FENCE = re.compile(r"^[ \t]*```[\w-]*[ \t]*$", re.MULTILINE)
_JSON_START = re.compile(r"^[ \t]*(?=\[\s*[\"{\[\]]|\{\s*[\"}])", re.MULTILINE)
_JSON_LISTS = ("items", "recommendations", "titles")
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


def parse_list(text: str) -> ParsedList:
    """Parse a ranked list of titles from free text.

    Returns:
        Titles in order, with repeats, and the style: `json`, `marked`, `semicolons`, `commas`,
        `lines` or `none`.
    """
    stripped = _FENCE.sub("", text).strip()
    lines = [line for line in stripped.splitlines() if line.strip()]
    marked = _marked(lines)
    if not marked and (titles := _json_titles(stripped)) is not None:
        unmarked = _marked(titles)
        return ParsedList(unmarked if len(unmarked) == len(titles) else titles, "json")
    if marked:
        return ParsedList(marked, "marked")
    if len(lines) == 1 and ";" in (line := decode_entities(lines[0])):  # "Salt &amp; Pepper"
        return ParsedList(_titles(line.split(";")), "semicolons")
    if len(lines) == 1 and len(parts := _comma_parts(lines[0])) > 1:
        return ParsedList(_titles(parts), "commas")
    titles = _titles(_list_lines(lines))
    return ParsedList(titles, "lines") if titles else ParsedList((), "none")


def parse_cut(text: str) -> ParsedList:
    """Parse the complete titles of a truncated response; an incomplete last title is dropped.

    A last line is complete if it ends with a year in brackets. Unclosed JSON needs no special case,
    because only closed strings are read from it.
    """
    head, newline, tail = text.rpartition("\n")
    if _JSON_START.search(text) or not tail.strip() or _YEAR_END.search(_bare(tail)):
        return parse_list(text)
    tail = decode_entities(tail)
    ends = [match.start() for match in _YEAR_COMMA.finditer(tail)]
    if ";" in tail:
        ends.append(tail.rindex(";"))
    return parse_list(head + newline + tail[: max(ends, default=0)])


def _marked(lines: Sequence[str]) -> tuple[str, ...]:
    """Titles after numbers or bullets; indented bullets below numbers are comments."""
    found = marked_lines(lines)
    numbered = _titles([line.rest for line in found if not line.bullet])
    return _titles(
        [line.rest for line in found if not (line.bullet and numbered and line.indented)]
    )


def _bare(part: str) -> str:
    """A title without decoration and without the comment or period after its year."""
    return _YEAR_STOP.sub(r"\1", _COMMENT.sub(r"\1", part.strip())).strip(_DECORATION)


def _titles(parts: Sequence[str]) -> tuple[str, ...]:
    """Titles without decoration; blank ones and introductions (a colon at the end) are dropped."""
    bare = (_bare(part) for part in parts)
    return tuple(title for title in bare if title and not title.endswith(":"))


def _comma_parts(line: str) -> list[str]:
    """Split a line at commas that follow a year, if every part ends with a year; otherwise return
    it as the only part.
    """
    parts = [part.removeprefix("and ") for part in _YEAR_COMMA.split(line)]
    return parts if all(_YEAR_END.search(_bare(part)) for part in parts) else [line]


def _list_lines(lines: Sequence[str]) -> list[str]:
    """The lines of a plain list that can be titles: no introductions, refusals or sentences."""
    dated = [bool(_YEAR_END.search(_bare(line))) for line in lines]
    any_dated = any(dated)
    if lines and not any_dated and _is_refusal_line(lines[0]):
        return []
    kept = [
        line
        for line, has_year in zip(lines, dated, strict=True)
        if len(line.strip()) <= _LONGEST_LINE
        and not line.strip(_DECORATION).endswith(":")
        and (has_year or not _is_prose(line, alone=len(lines) == 1 or any_dated))
    ]
    # The remaining lines without a year may all be sentences.
    if not any_dated and all(_ends_sentence(line) and len(line.split()) > 2 for line in kept):
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


# --- JSON


def _json_titles(text: str) -> tuple[str, ...] | None:
    """Titles of the first JSON value that starts at the beginning of a line; None if there is
    none.
    """
    start = _JSON_START.search(text)
    if start is None:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start.end())
    except (ValueError, RecursionError):
        opening = text.find("[", start.end())
        value = _whole_elements(text, opening + 1) if opening >= 0 else []
    return _titles_of_json(value)


def _whole_elements(text: str, position: int) -> list[Any]:
    """The complete elements of a truncated JSON list."""
    elements: list[Any] = []
    while True:
        while position < len(text) and text[position] in ", \t\r\n":
            position += 1
        try:
            element, position = json.JSONDecoder().raw_decode(text, position)
        except (ValueError, RecursionError):
            return elements
        elements.append(element)


def _titles_of_json(value: Any) -> tuple[str, ...]:
    """Titles of a list of strings or objects with a "title", or of an object with such a list."""
    if isinstance(value, dict):
        named = [value[key] for key in _JSON_LISTS if isinstance(value.get(key), list)]
        lists = named or [entry for entry in value.values() if isinstance(entry, list)]
        value = lists[0] if len(lists) == 1 or named else []
    titles = [entry.get("title") if isinstance(entry, dict) else entry for entry in value]
    texts = [title for title in titles if isinstance(title, str)]
    if len(texts) != len(titles):
        return ()
    return tuple(title.strip() for title in texts if title.strip())


# --- cleaning for comparison with published tables


def fairllm_clean(text: str) -> list[str]:
    """Clean a response like FaiRLLM's notebook, only for comparison with published tables.

    It merges titles with the same text before a hyphen, loses a digit at the end of a title (which
    joins the next number of the list), and finds no titles in a list that is not numbered `1. `.

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
        text: of the response.
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
