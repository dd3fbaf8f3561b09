"""A small HTML table of untrusted text, for notebooks.

The table has no script, style sheet or link, and every cell is escaped, so that an item title
cannot control the notebook. The numbers of rows and of characters per cell are limited.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from auditkit.security.escaping import visible

__all__ = ["escaped_table"]

_MOST_CHARACTERS = 80


def escaped_table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, most: int = 100
) -> str:
    """Render rows of text as an HTML table.

    Args:
        caption: caption of the table.
        columns: headings of the columns.
        rows: rows with one text per column; texts of more than 80 characters are cut.
        most: largest number of displayed rows; a last line states how many are left out.

    Returns:
        HTML of at most about 200 KB for five columns.
    """
    head = "".join(f'<th scope="col">{_cell(name)}</th>' for name in columns)
    body = [f"<tr>{''.join(f'<td>{_cell(text)}</td>' for text in row)}</tr>" for row in rows[:most]]
    left_out = len(rows) - most
    if left_out > 0:
        body.append(f'<tr><td colspan="{len(columns)}">and {left_out:,} more</td></tr>')
    return (
        f"<table><caption>{_cell(caption, 400)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _cell(text: str, limit: int = _MOST_CHARACTERS) -> str:
    shown = text if len(text) <= limit else f"{text[: limit - 1]}\u2026"
    return html.escape(visible(shown))
