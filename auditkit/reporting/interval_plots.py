"""Figures as inline SVG: intervals as dots (forest plot) or bars, with limits and references.

Horizontal positions are percentages and text has a fixed size in pixels, so a figure fits phones,
screens and paper without a script. The table below a figure uses the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from auditkit.reporting.html_escaping import attribute, format_number, json_number

__all__ = ["Figure", "Row", "draw", "nice_ticks"]

_ROW_HEIGHT = 46
_AXIS_HEIGHT = 30
_LEFT, _RIGHT = 1.5, 98.5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One estimate, which is a row of a figure and of the table below the figure.

    `state` determines the color of the mark and is also shown as text; `reference` rows are hollow.
    """

    label: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    n_missing: int = 0
    level: float = 0.95
    low_limit: float | None = None
    high_limit: float | None = None
    baseline: float | None = None
    state: Literal["pass", "fail", "inconclusive", "none"] = "none"
    reference: bool = False
    reason: str | None = None
    notes: tuple[str, ...] = ()
    group: str = "all"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """An SVG figure with its title, unit and rows."""

    title: str
    unit: str
    description: str
    svg: Markup
    rows: tuple[Row, ...]

    @property
    def row_notes(self) -> list[tuple[str, str]]:
        """Distinct notes of the rows, each with the labels of the rows that have the note."""
        about: dict[str, list[str]] = {}
        for row in self.rows:
            for note in row.notes:
                about.setdefault(note, []).append(row.label)
        every = len(self.rows)
        return [
            (note, "all rows" if len(labels) == every > 1 else ", ".join(labels))
            for note, labels in about.items()
        ]


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    def at(self, value: float) -> str:
        """Horizontal position of a value as a percentage, clipped to the figure."""
        share = (value - self.low) / (self.high - self.low)
        return f"{_LEFT + (_RIGHT - _LEFT) * min(1.0, max(0.0, share)):.3f}%"

    def span(self, start: float, end: float) -> str:
        """Width between two values as a percentage."""
        left, right = float(self.at(start)[:-1]), float(self.at(end)[:-1])
        return f"{max(0.0, right - left):.3f}%"


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return about `count` round numbers that cover [low, high]."""
    # Ticks have 12 decimals and floats 16 digits, so smaller differences are drawn as one value.
    least = 1e-9 * max(1.0, abs(low), abs(high))
    span = next((size for size in (high - low, abs(high)) if size > least), 1.0)
    raw = span / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if first == last:
        last = first + 1
    return [round(i * step, 12) for i in range(first, last + 1)]


def draw(
    rows: Sequence[Row],
    *,
    title: str,
    unit: str,
    kind: Literal["forest", "bars"] = "forest",
    origin: float | None = None,
) -> Figure:
    """Draw estimates with their intervals and limits.

    Args:
        rows: at least one row; a row without a value gets a label but no mark.
        title: title of the figure.
        unit: unit of all rows.
        kind: `forest` draws dots, `bars` draws bars from the origin, both with whiskers.
        origin: value that the axis must include, such as 0, or 0.5 for an AUC; None for none.

    Returns:
        The figure as an svg element with `role="img"`, title and description.
    """
    ticks = _ticks(rows, kind, origin)
    scale = _Scale(ticks[0], ticks[-1])
    height = len(rows) * _ROW_HEIGHT + _AXIS_HEIGHT
    description = _describe(rows, unit)
    parts = [_axis(ticks, scale, height, origin)]
    for index, row in enumerate(rows):
        parts.append(_row(row, scale, index * _ROW_HEIGHT, kind, 0.0 if origin is None else origin))
    svg = Markup(
        '<svg class="plot" role="img" width="100%" height="{}" focusable="false">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(height, attribute(title), attribute(description), Markup("").join(parts))
    return Figure(title=title, unit=unit, description=description, svg=svg, rows=tuple(rows))


def _ticks(rows: Sequence[Row], kind: str, origin: float | None) -> list[float]:
    values = [
        value
        for row in rows
        for value in (row.value, row.low, row.high, row.low_limit, row.high_limit, row.baseline)
        if value is not None
    ]
    values += [] if origin is None else [origin]
    values += [0.0] if kind == "bars" or not values else []
    return nice_ticks(min(values), max(values))


def _axis(ticks: Sequence[float], scale: _Scale, height: int, origin: float | None) -> Markup:
    bottom = height - _AXIS_HEIGHT + 6
    parts = []
    for index, tick in enumerate(ticks):
        anchor = "start" if index == 0 else "end" if index == len(ticks) - 1 else "middle"
        strong = " zero" if origin is not None and tick == origin else ""
        parts.append(
            Markup(
                '<line class="grid{}" x1="{x}" x2="{x}" y1="0" y2="{}"/>'
                '<text class="tick" x="{x}" y="{}" text-anchor="{}">{}</text>'
            ).format(strong, bottom, bottom + 16, anchor, format_number(tick), x=scale.at(tick))
        )
    return Markup("").join(parts)


def _row(row: Row, scale: _Scale, top: int, kind: str, origin: float) -> Markup:
    middle = top + 30
    figure = format_number(row.value) if row.value is not None else "no value"
    state = {"pass": "within", "fail": "beyond", "inconclusive": "unclear"}.get(row.state, "")
    parts = [
        _limits(row, scale, top),
        Markup(
            '<text class="label" x="0" y="{y}">{}</text>'
            '<text class="figure" x="100%" y="{y}" text-anchor="end">{}{}</text>'
        ).format(
            attribute(_short(row.label)), figure, f" \u00b7 {state}" if state else "", y=top + 15
        ),
    ]
    css = f"{row.state}{' ref' if row.reference else ''}"
    if row.value is not None and kind == "bars":
        start, end = sorted((origin, row.value))
        parts.append(
            Markup(
                '<rect class="bar {}" x="{}" y="{}" width="{}" height="12" data-value="{}"/>'
            ).format(
                css, scale.at(start), middle - 6, scale.span(start, end), json_number(row.value)
            )
        )
    if row.low is not None and row.high is not None:
        parts.append(
            Markup(
                '<line class="whisker {c}" x1="{a}" x2="{b}" y1="{y}" y2="{y}"/>'
                '<line class="whisker {c}" x1="{a}" x2="{a}" y1="{t}" y2="{u}"/>'
                '<line class="whisker {c}" x1="{b}" x2="{b}" y1="{t}" y2="{u}"/>'
            ).format(
                c=css, a=scale.at(row.low), b=scale.at(row.high), y=middle, t=middle - 4,
                u=middle + 4,
            )
        )  # fmt: skip
    if row.baseline is not None:
        parts.append(
            Markup('<circle class="base" cx="{}" cy="{}" r="4" data-value="{}"/>').format(
                scale.at(row.baseline), middle, json_number(row.baseline)
            )
        )
    if row.value is not None and kind == "forest":
        parts.append(
            Markup('<circle class="dot {}" cx="{}" cy="{}" r="5.5" data-value="{}"/>').format(
                css, scale.at(row.value), middle, json_number(row.value)
            )
        )
    return Markup("").join(parts)


def _limits(row: Row, scale: _Scale, top: int) -> Markup:
    """Draw a dashed line for each limit and shade the forbidden side."""
    parts = []
    for limit, start, end in (
        (row.high_limit, row.high_limit, scale.high),
        (row.low_limit, scale.low, row.low_limit),
    ):
        if limit is None or start is None or end is None:
            continue
        parts.append(
            Markup(
                '<rect class="beyond" x="{}" y="{t}" width="{}" height="20"/>'
                '<line class="limit" x1="{x}" x2="{x}" y1="{t}" y2="{b}" data-value="{}"/>'
            ).format(
                scale.at(start), scale.span(start, end), json_number(limit), x=scale.at(limit),
                t=top + 20, b=top + 40,
            )
        )  # fmt: skip
    return Markup("").join(parts)


def _short(label: str, limit: int = 36) -> str:
    return label if len(label) <= limit else label[: limit - 1] + "\u2026"


def _describe(rows: Sequence[Row], unit: str) -> str:
    """List the numbers of the rows, as a text description of the figure."""
    said = []
    for row in rows:
        if row.value is None:
            said.append(f"{row.label}: no value ({row.reason or 'unknown'})")
            continue
        low, high = format_number(row.low), format_number(row.high)
        interval = f" ({low} to {high})" if row.low is not None else ""
        limit = f", limit at most {format_number(row.high_limit)}"
        limit = limit if row.high_limit is not None else ""
        if row.low_limit is not None:
            limit += f", limit at least {format_number(row.low_limit)}"
        said.append(f"{row.label}: {format_number(row.value)}{interval}{limit}")
    return f"In {unit}: " + "; ".join(said) + "."
