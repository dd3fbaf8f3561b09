"""Read the items of a table: Markdown, tab- or comma-separated, or HTML list items and rows."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Sequence

from auditkit.recommenders.prompting.comments import bare_titles
from auditkit.recommenders.prompting.item_fields import is_item_field, item_texts

__all__ = ["table_titles"]

_STRONG = re.compile(r"<(?:b|strong|a)\b[^<>]{0,300}>([^<>]{1,300})</(?:b|strong|a)>", re.I)
_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_LIST_ITEM = re.compile(r"<li\b[^>]{0,200}>(.{1,2000}?)(?=</?li\b|</[ou]l>|$)", re.I | re.S)
_ELEMENT = re.compile(
    r"<(?P<name>[a-zA-Z][\w-]{1,20})\b[^<>]{0,200}>(?P<content>[^<>]{1,500})</(?P=name)>"
)
_CELLS = re.compile(r"<t[dh]\b[^>]{0,200}>(.{0,2000}?)(?=</?t[dhr]\b|</table)", re.I | re.S)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_ROW = re.compile(r"<tr\b", re.I)
_EMPHASIS = "*_` \t"


def table_titles(text: str) -> tuple[str, ...] | None:
    """Texts that name the items of a table or HTML list; None if the text has none."""
    if "<" in text and (found := _html(text) or _elements(text)):
        return found
    lines = [line for line in text.splitlines() if line.strip()]
    rows = _markdown(lines) or _delimited(lines, "\t", ",", ";", "|")
    return _of_rows(rows) if rows else _of_rows(_aligned(lines))


def _elements(text: str) -> tuple[str, ...]:
    """Contents of the XML elements that name items, for the element name that fits best."""
    found = [
        {match["name"]: _plain(match["content"])}
        for match in _ELEMENT.finditer(text)
        if is_item_field(match["name"])
    ]
    by_name = {name for row in found for name in row}
    for name in sorted(by_name, key=lambda name: sum(name in row for row in found)):
        texts = item_texts([row for row in found if name in row])
        if texts and len(texts) * 2 > max(sum(other in row for row in found) for other in by_name):
            return tuple(text for text in texts if text)
    return ()


def _html(text: str) -> tuple[str, ...] | None:
    found = [_STRONG.sub(r"**\1**", match[1]) for match in _LIST_ITEM.finditer(text)]
    items = bare_titles([_plain(item) for item in found])
    if len(items) > 1:
        return tuple(item for item in items if item)
    rows = [[_plain(cell[1]) for cell in _CELLS.finditer(row)] for row in _ROW.split(text)[1:]]
    rows = [row for row in rows if row]
    return _of_rows(rows) if len(rows) > 1 else None


def _plain(markup: str) -> str:
    return " ".join(html.unescape(_TAG.sub(" ", markup)).split())


def _markdown(lines: Sequence[str]) -> list[list[str]]:
    """The rows of a Markdown table with its header; its second line is a rule."""
    rule = next((i for i, line in enumerate(lines) if i and "-|-" in _squeezed(line)), None)
    if rule is None:
        rule = next((i for i, line in enumerate(lines) if i and _is_rule(line, lines)), None)
    if rule is None or "|" not in lines[rule - 1]:
        return []
    rows = [_cells(lines[rule - 1])]
    for line in lines[rule + 1 :]:
        if "|" not in line:
            break
        rows.append(_cells(line))
    return rows


def _squeezed(line: str) -> str:
    return line.replace(" ", "").replace(":", "") if _RULE.match(line) else ""


def _is_rule(line: str, lines: Sequence[str]) -> bool:
    return line.strip().startswith("|") and bool(_RULE.match(line))


def _cells(line: str) -> list[str]:
    """Cells between bars; `\\|` is a bar within a cell."""
    parts = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
    return [part.replace("\\|", "|").strip(_EMPHASIS) for part in parts]


def _delimited(lines: Sequence[str], *delimiters: str) -> list[list[str]]:
    """Rows of text with a header line that names an item field, or of lines with tabs."""
    for delimiter in delimiters:
        start = next((i for i, line in enumerate(lines) if _is_header(line, delimiter)), None)
        if start is None:
            continue
        width = lines[start].count(delimiter) + 1
        try:
            rows = list(csv.reader(lines[start:], delimiter=delimiter, skipinitialspace=True))
        except csv.Error:
            continue
        whole = [row for row in rows if len(row) == width]
        if len(whole) > 1 and len(whole) * 2 > len(rows):
            return whole
    return []


def _aligned(lines: Sequence[str]) -> list[list[str]]:
    """Rows without a header, whose cells are separated by the same number of tabs or bars."""
    for delimiter in ("\t", "|"):
        counts = {line.strip("| ").count(delimiter) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts != {0}:
            rows = [
                [cell.strip(_EMPHASIS) for cell in line.strip("| ").split(delimiter)]
                for line in lines
            ]
            return [["" for _ in rows[0]], *rows]
    return []


def _is_header(line: str, delimiter: str) -> bool:
    names = line.split(delimiter)
    return len(names) > 1 and any(map(is_item_field, names)) and all(len(n) < 30 for n in names)


def _of_rows(rows: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """Texts of the rows below the header; None without rows."""
    if not rows:
        return None
    header = [name or f"column {i}" for i, name in enumerate(rows[0])]
    records = [dict(zip(header, row, strict=False)) for row in rows[1:]]
    texts = item_texts(records) if records else None
    return tuple(text for text in texts if text) if texts is not None else ()
