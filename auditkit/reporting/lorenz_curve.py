"""Lorenz curve of exposure as inline SVG, with the curve of users' histories and the diagonal.

Horizontal positions are percentages, as in every figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from markupsafe import Markup
from pydantic import JsonValue

from auditkit.reporting.html_escaping import attribute, format_number

__all__ = ["draw_lorenz"]

_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 6.0, 98.5, 10, 200, 240


def draw_lorenz(parameters: Mapping[str, JsonValue]) -> Markup | None:
    """Draw the Lorenz curves of the lists and of the histories.

    Returns None if there are no valid points.
    """
    curves = {
        name: points
        for name, key in (("lists", "lorenz"), ("histories", "lorenz_of_history"))
        if (points := _points(parameters.get(key)))
    }
    if "lists" not in curves:
        return None
    parts, said = [_axes()], []
    for number, (name, points) in enumerate(curves.items()):
        for (x1, y1), (x2, y2) in pairwise(points):
            parts.append(
                Markup('<line class="curve c{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
                    number, _x(x1), _y(y1), _x(x2), _y(y2)
                )
            )
        half = max((y for x, y in points if x <= 0.5), default=0.0)
        said.append(f"{name}: {format_number(half)}")
    description = f"Share of exposure of the least exposed half of all items, {', '.join(said)}."
    return Markup(
        '<svg class="plot" role="img" width="100%" height="{}" focusable="false">'
        "<title>Lorenz curve of exposure</title><desc>{}</desc>{}</svg>"
    ).format(_HEIGHT, attribute(description), Markup("").join(parts))


def _points(stated: JsonValue) -> list[tuple[float, float]]:
    """Points (share of items, share of exposure) in [0, 1]; empty if any value is invalid."""
    found = []
    for pair in stated if isinstance(stated, list) else []:
        match pair:
            case [int() | float() as x, int() | float() as y] if 0 <= x <= 1 and 0 <= y <= 1:
                found.append((float(x), float(y)))
    return sorted(found) if len(found) > 1 else []


def _axes() -> Markup:
    parts = [
        Markup('<line class="diagonal" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            _x(0), _y(0), _x(1), _y(1)
        ),
        Markup('<text class="tick" x="50%" y="{}" text-anchor="middle">{}</text>').format(
            _BOTTOM + 36, "share of items, least exposed first"
        ),
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        parts.append(
            Markup(
                '<line class="grid" x1="{}%" x2="{}%" y1="{y}" y2="{y}"/>'
                '<text class="tick" x="0" y="{}">{n}</text>'
                '<text class="tick" x="{}" y="{}" text-anchor="{}">{n}</text>'
            ).format(
                _LEFT, _RIGHT, f"{float(_y(share)) + 4:.1f}", _x(share), _BOTTOM + 18, anchor,
                n=format_number(share), y=_y(share),
            )
        )  # fmt: skip
    return Markup("").join(parts)


def _x(share: float) -> str:
    return f"{_LEFT + (_RIGHT - _LEFT) * share:.2f}%"


def _y(share: float) -> str:
    return f"{_BOTTOM - (_BOTTOM - _TOP) * share:.1f}"
