"""Escaping of strings for HTML: hidden characters are made visible and long fields are cut.

The template engine applies `inert` to every expression, so templates cannot omit the escaping.
Nothing is removed: a tag in a model's response is shown as text, because it is evidence. Only
personal data are masked, because reports are passed on to other people.
"""

from __future__ import annotations

import hashlib
import re

from markupsafe import Markup, escape

from auditkit.security.escaping import format_number, split_visible, visible
from auditkit.security.personal_data import mask

__all__ = [
    "MAX_FIELD",
    "attribute",
    "breakable",
    "cut",
    "format_number",
    "inert",
    "json_number",
    "prose",
    "slug",
]

MAX_FIELD = 4_000


def cut(text: str, *, limit: int = MAX_FIELD) -> tuple[str, str | None]:
    """Cut a field to `limit` characters, and return a note if it was longer."""
    if len(text) <= limit:
        return text, None
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return text[:limit], f"cut: {len(text):,} characters, sha256 {digest}"


def inert(text: str, *, masked: bool = True) -> Markup:
    """Convert text to inert HTML.

    Args:
        text: any string, possibly hostile.
        masked: whether to mask e-mail addresses, telephone numbers and card numbers; False for
            texts of the policy, such as the owner of a waiver.

    Returns:
        Escaped text. Each run of hidden characters is a `<code class="esc">` with its escapes. A
        field of more than 4,000 characters is cut, and a note states its length and hash.
    """
    kept, note = cut(mask(text) if masked else text)
    parts = [
        Markup('<code class="esc">{}</code>').format(shown) if hidden else escape(shown)
        for shown, hidden in split_visible(kept)
    ]
    if note:
        parts.append(Markup(' <em class="cut">[{}]</em>').format(note))
    return Markup("").join(parts)


def breakable(text: str) -> Markup:
    """Format an id or group with line-break opportunities after `.`, `_`, `=` and `&`."""
    shown = mask(text)
    parts = re.split(r"(?<=[._=&])", shown) if len(shown) <= MAX_FIELD else [shown]
    return Markup("<wbr>").join(inert(part, masked=False) for part in parts)


def prose(text: str) -> Markup:
    """Format a text of auditkit itself, in which backticks mark code."""
    parts = [inert(part) for part in text.split("`")]
    marked = [Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(parts)]
    return Markup("").join(marked)


def attribute(text: str) -> Markup:
    """Escape text for an attribute value or SVG text, where elements are not allowed."""
    return escape(visible(mask(text)[:MAX_FIELD]).replace("\n", " "))


def json_number(value: float | None) -> str:
    """Format a number exactly as in `result.json`, for `data-value`."""
    return "null" if value is None else repr(value)


def slug(text: str) -> str:
    """Create an id from a metric and group; different texts give different ids."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-")
    return f"{plain}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"
