"""Escape untrusted text, so that it cannot control a terminal, corrupt a log or mislead a reader.

Model responses, item titles, group names and exception texts are treated as hostile. Control
characters, bidirectional overrides, invisible characters and lone surrogates become
`\\u202e`-style escapes. Nothing is dropped, because dropping would destroy evidence.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["format_number", "split_visible", "terminal_text", "visible"]

_KEPT = frozenset("\n\t")
# Variation selectors and fillers that render as nothing although they are not format characters.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co"):
        return character not in _KEPT
    return character in _INVISIBLE or "\ufe00" <= character <= "\ufe0f"


def _escape(character: str) -> str:
    code = ord(character)
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def split_visible(text: str) -> list[tuple[str, bool]]:
    """Split text into runs of (visible text, whether the run is an escape).

    Args:
        text: any string; newlines and tabs are kept.
    """
    runs: list[tuple[str, bool]] = []
    for character in text:
        hidden = _is_hidden(character)
        shown = _escape(character) if hidden else character
        if runs and runs[-1][1] == hidden:
            runs[-1] = (runs[-1][0] + shown, hidden)
        else:
            runs.append((shown, hidden))
    return runs


def visible(text: str) -> str:
    """Write every hidden character as an escape; newlines and tabs are kept."""
    return "".join(shown for shown, _ in split_visible(text))


def terminal_text(text: str, limit: int = 200) -> str:
    """Format text as one line that cannot control a terminal or a CI log.

    Args:
        text: any string.
        limit: maximum number of characters; a longer text ends with an ellipsis.

    Returns:
        Text without line breaks, control characters, `::` or `##[`. Print the text after other
        words, so that it never begins a line.
    """
    line = visible(text).replace("\n", "\\n").replace("\t", "\\t")
    line = re.sub(r"(?<=:)(?=:)|(?<=##)(?=\[)", "\u00b7", line)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def format_number(value: float | None) -> str:
    """Format a number with four significant digits; None becomes an en dash."""
    if value is None:
        return "\u2013"
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3e}"
    if abs(value) < 1e-4:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.4g}"
