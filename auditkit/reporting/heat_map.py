"""Heat map of effects by token as inline SVG: a row per history item, a column per title token.

The color shows the sign (blue or amber, which color-blind readers can distinguish), as do the
printed numbers or signs; the strength of the color shows the size. The table below the figure
contains all numbers. Positions are percentages, as in `interval_plots`. In a report, the effects
come from the parameters of a finding. A run folder may have been altered, so no figure is drawn if
the parameters do not have the form that the probe writes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from pydantic import JsonValue

from auditkit.reporting.html_escaping import attribute, format_number, json_number
from auditkit.reporting.parameters import known_number
from auditkit.types import Finding

__all__ = ["HeatMap", "HeatRow", "TokenEffects", "build_token_effects", "draw_heat_map"]

METRIC = "explain.attribution.top_effect"
_MOST_ROWS, _MOST_COLUMNS = 40, 40

_HEADER, _ROW, _CELL = 24, 46, 20
_LEVELS = 5
_MOST_WITH_NUMBERS = 8  # columns; the cells of more are too narrow for a number
_LETTERS = 48  # of all column names together, on a narrow screen


@dataclass(frozen=True)
class HeatRow:
    """One row: label of the span, its effect on the whole item, and the effects by token."""

    label: str
    total: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class HeatMap:
    """A drawn map with the content of the table below it.

    Attributes:
        title, unit: title of the figure, and unit of all values.
        columns: token texts, or numbers if there are many tokens.
        largest: absolute value that has the strongest color.
    """

    title: str
    unit: str
    columns: tuple[str, ...]
    rows: tuple[HeatRow, ...]
    largest: float
    svg: Markup


def draw_heat_map(
    rows: Sequence[HeatRow], columns: Sequence[str], *, title: str, unit: str
) -> HeatMap:
    """Draw effects by token.

    Args:
        rows: at least one row, each with one value per column.
        columns: texts of the tokens.
        title: title of the figure.
        unit: unit of the effects.

    Returns:
        The map as an svg element with `role="img"`, title and description.
    """
    values = [abs(value) for row in rows for value in row.values]
    largest = max(values, default=0.0)
    names = tuple(_visible(text) for text in columns)
    parts = [_header(names)]
    parts += [
        _row(row, _HEADER + index * _ROW, largest, len(names)) for index, row in enumerate(rows)
    ]
    svg = Markup(
        '<svg class="plot" role="img" width="100%" height="{}" focusable="false">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(
        _HEADER + len(rows) * _ROW,
        attribute(title),
        attribute(_describe(rows, names, unit)),
        Markup("").join(parts),
    )
    return HeatMap(title, unit, names, tuple(rows), largest, svg)


def _visible(text: str) -> str:
    """Strip white space around a token; a token of white space only becomes a visible mark."""
    return text.strip() or "\u2423"


def _header(names: Sequence[str]) -> Markup:
    letters = max(2, _LETTERS // len(names))
    cell = Markup('<text class="tick" x="{}" y="14" text-anchor="middle">{}</text>')
    return Markup("").join(
        cell.format(_x(index + 0.5, len(names)), attribute(_cut(name, letters)))
        for index, name in enumerate(names)
    )


def _row(row: HeatRow, top: int, largest: float, n: int) -> Markup:
    parts = [
        Markup(
            '<text class="label" x="0" y="{y}">{}</text>'
            '<text class="figure" x="100%" y="{y}" text-anchor="end">{}</text>'
        ).format(attribute(_cut(row.label, 36)), _signed(row.total), y=top + 15)
    ]
    for index, value in enumerate(row.values):
        level = _level(value, largest)
        kind = "raises" if value > 0 else "lowers"
        parts.append(
            Markup(
                '<rect class="cell {} s{}" x="{}" y="{}" width="{}" height="{}" data-value="{}"/>'
            ).format(
                kind, level, _x(index, n), top + 20, f"{100 / n:.3f}%", _CELL, json_number(value)
            )
        )
        said = _signed(value) if n <= _MOST_WITH_NUMBERS else _sign(value) if level > 1 else ""
        if said:
            parts.append(
                Markup('<text class="in" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    _x(index + 0.5, n), top + 34, said
                )
            )
    return Markup("").join(parts)


def _x(column: float, n: int) -> str:
    return f"{100 * column / n:.3f}%"


def _level(value: float, largest: float) -> int:
    """Return the strength of the color, 0 (none) to 5."""
    return math.ceil(_LEVELS * abs(value) / largest - 1e-9) if largest else 0


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{format_number(value)}"


def _sign(value: float) -> str:
    return "+" if value > 0 else "\u2212"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def _describe(rows: Sequence[HeatRow], names: Sequence[str], unit: str) -> str:
    """List the strongest token of every row, as a text description of the figure."""
    said = []
    for row in rows:
        at = max(range(len(row.values)), key=lambda index: abs(row.values[index]))
        said.append(f"{row.label}: {_signed(row.values[at])} on {names[at]}")
    return f"Strongest effect of each row, in {unit}: " + "; ".join(said) + "."


@dataclass(frozen=True)
class TokenEffects:
    """Heat map of one user's recommendation, and a sentence that names user and item."""

    figure: HeatMap
    lead: str


def build_token_effects(findings: Sequence[Finding]) -> TokenEffects | None:
    """Create the figure of a result; None if no finding has effects by token."""
    for finding in findings:
        stored = finding.parameters.get("by_token")
        if finding.metric == METRIC and isinstance(stored, dict):
            return _drawn(stored, finding.estimate.unit)
    return None


def _drawn(stored: Mapping[str, JsonValue], unit: str) -> TokenEffects | None:
    tokens, spans = _texts(stored.get("tokens")), _texts(stored.get("spans"))
    table, user, item = stored.get("effects"), stored.get("user"), stored.get("item")
    if not isinstance(table, list) or len(table) != len(spans):
        return None
    if not isinstance(user, str) or not isinstance(item, str):
        return None
    rows = []
    for label, row in zip(spans, table, strict=True):
        cells = row if isinstance(row, list) else []
        values = [value for value in map(known_number, cells) if value is not None]
        if len(values) != len(cells) or len(values) != len(tokens):
            return None
        rows.append(HeatRow(label, sum(values), tuple(values)))
    if not 0 < len(rows) <= _MOST_ROWS or not 0 < len(tokens) <= _MOST_COLUMNS:
        return None
    lead = f"Why user {user} got {item} first: the history items and the tokens that they changed."
    figure = draw_heat_map(rows, tokens, title="Effects by token", unit=unit)
    return TokenEffects(figure, lead)


def _texts(value: JsonValue | None) -> list[str]:
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, str)]
