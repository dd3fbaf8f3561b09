"""From raw text to titles, and from an answer to exactly one status.

The parser knows numbered lists, bullets, JSON (also fenced) and plain lines; a single line is split
at semicolons only, for commas stand inside titles. Sentences around a list are no titles.
Source: status order of the run log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import yaml

from auditkit.types import Status

__all__ = ["ParsedList", "is_refusal", "parse_list", "status_of_text"]

_MARKER = re.compile(r"^\s*(?:\d{1,3}\s*[.):]|[-*•])\s+")
# "Fargo (1996)** - a dark comedy": a title ends with its bracketed year, a remark may follow.
_COMMENT = re.compile(r"(\((?:18|19|20)\d{2}\))[*_\"”`]*\s*[-\u2013\u2014:]\s.*$")
_BRACKETED_YEAR = re.compile(r"\((?:18|19|20)\d{2}\)")
_FENCE = re.compile(r"^\s*```\w*\s*$", re.MULTILINE)
_DECORATION = '*_"“”` \t'


class ParsedList(NamedTuple):
    """Titles as given, best first, and how the list was written."""

    titles: tuple[str, ...]
    style: str


def parse_list(text: str) -> ParsedList:
    """Read a ranked list of titles out of free text.

    Returns:
        Titles in order, repeats kept, with style `json`, `marked`, `semicolons`, `lines` or `none`.
    """
    stripped = _FENCE.sub("", text).strip()
    if stripped.startswith(("[", "{")):
        listed = _json_titles(stripped)
        if listed is not None:
            return ParsedList(listed, "json")
    lines = [line for line in stripped.splitlines() if line.strip()]
    numbered = [_MARKER.sub("", line) for line in lines if _MARKER.match(line)]
    if numbered:
        return ParsedList(_titles(numbered), "marked")
    if len(lines) == 1 and ";" in lines[0]:
        return ParsedList(_titles(lines[0].split(";")), "semicolons")
    titles = _titles([line for line in lines if not _is_prose(line)])
    return ParsedList(titles, "lines") if titles else ParsedList((), "none")


def _json_titles(text: str) -> tuple[str, ...] | None:
    """Titles of a JSON list of texts or of objects with a title, also inside one object."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, dict):
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        value = lists[0] if len(lists) == 1 else None
    if not isinstance(value, list):
        return None
    titles = [entry.get("title") if isinstance(entry, dict) else entry for entry in value]
    texts = [title for title in titles if isinstance(title, str)]
    if len(texts) != len(titles):
        return None
    return tuple(title.strip() for title in texts if title.strip())


def _is_prose(line: str) -> bool:
    """A line that talks about titles instead of being one: an introduction, a remark, a refusal."""
    bare = line.strip()
    if bare.endswith(":") or len(bare) > 120:
        return True
    if _BRACKETED_YEAR.search(bare):
        return False
    return is_refusal(bare) or (bare.endswith((".", "!", "?")) and bare.count(" ") >= 3)


def _titles(parts: Sequence[str]) -> tuple[str, ...]:
    """Titles without decoration and without a comment behind the year; blank ones are left out."""
    bare = (_COMMENT.sub(r"\1", part).strip(_DECORATION) for part in parts)
    return tuple(title for title in bare if title)


@cache
def _refusals() -> tuple[str, ...]:
    text = (files("auditkit") / "recommenders" / "refusals.yaml").read_text(encoding="utf-8")
    return tuple(phrase for phrases in yaml.safe_load(text).values() for phrase in phrases)


def is_refusal(text: str) -> bool:
    """Whether a text without items declines to answer."""
    lowered = text.casefold().replace("’", "'")  # noqa: RUF001 - the typographic apostrophe is what models write
    return any(phrase in lowered for phrase in _refusals())


def status_of_text(text: str | None, *, n_items: int) -> Status:
    """The status of an answer that arrived: no answer, refusal, parse error, or ok, decided in this
    order.
    """
    if text is not None and not text.strip():
        return "no_answer"
    if n_items:
        return "ok"
    if text is None:
        return "no_answer"
    return "refusal" if is_refusal(text) else "parse_error"
