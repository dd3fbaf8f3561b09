"""The one door for strings into HTML: escaped, hidden characters shown, long fields cut.

The template engine sends every expression through `inert`, so no template can forget it. Nothing is
stripped: a tag in a model's answer is shown as text, because it is evidence.
"""

from __future__ import annotations

import hashlib
import re

from markupsafe import Markup, escape

from auditkit.security.escaping import format_number, split_visible, visible

__all__ = [
    "MAX_FIELD",
    "attribute",
    "breakable",
    "cut",
    "format_number",
    "inert",
    "json_number",
    "slug",
]

MAX_FIELD = 4_000


def cut(text: str, *, limit: int = MAX_FIELD) -> tuple[str, str | None]:
    """A field of at most `limit` characters, and a note about the rest where there is one."""
    if len(text) <= limit:
        return text, None
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return text[:limit], f"cut: {len(text):,} characters, sha256 {digest}"


def inert(text: str) -> Markup:
    """HTML that shows `text` and does nothing else.

    Args:
        text: any string, however hostile.

    Returns:
        Escaped text; each run of hidden characters is a `<code class="esc">` with its escapes; a
        field above 4,000 characters is cut with its length and hash.
    """
    kept, note = cut(text)
    parts = [
        Markup('<code class="esc">{}</code>').format(shown) if hidden else escape(shown)
        for shown, hidden in split_visible(kept)
    ]
    if note:
        parts.append(Markup(' <em class="cut">[{}]</em>').format(note))
    return Markup("").join(parts)


def breakable(text: str) -> Markup:
    """An id or group that may break after . _ = and &, and nowhere else if it can be helped."""
    parts = re.split(r"(?<=[._=&])", text) if len(text) <= MAX_FIELD else [text]
    return Markup("<wbr>").join(inert(part) for part in parts)


def attribute(text: str) -> Markup:
    """The same for the value of an attribute or an SVG text, where no element may stand."""
    return escape(visible(text[:MAX_FIELD]).replace("\n", " "))


def json_number(value: float | None) -> str:
    """The number exactly as `result.json` holds it, for `data-value`."""
    return "null" if value is None else repr(value)


def slug(text: str) -> str:
    """An id made from a metric and group; different texts give different ids."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-")
    return f"{plain}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"
