"""Slope chart of one metric in two runs, as inline SVG: two dots with intervals and a line.

Each chart has its own vertical axis, because metrics of different units must not share one. The
table below the charts uses the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditkit.reporting.html_escaping import attribute, format_number, json_number
from auditkit.reporting.interval_plots import nice_ticks

__all__ = ["End", "SlopeChart", "draw_slope"]

_HEIGHT, _TOP, _BOTTOM = 190, 16, 158
_X = ("38%", "72%")
_LABEL_X = (("35%", "end"), ("75%", "start"))
_DOTS = ("base", "dot none")


@dataclass(frozen=True)
class End:
    """One end of the line: name of the run, value, and ends of the interval of the value."""

    name: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class SlopeChart:
    """A drawn chart with its title and unit."""

    title: str
    unit: str
    svg: Markup


def draw_slope(title: str, unit: str, baseline: End, candidate: End) -> SlopeChart:
    """Draw the change of one metric from the baseline to the candidate.

    Args:
        title: metric that the chart shows.
        unit: unit of both values.
        baseline, candidate: left and right end of the line.

    Returns:
        The chart as an svg element with `role="img"`, title and description.
    """
    ends = (baseline, candidate)
    numbers = [x for end in ends for x in (end.value, end.low, end.high) if x is not None]
    ticks = nice_ticks(min(numbers), max(numbers), count=3)
    parts = [_axis(ticks)]
    line = Markup('<line class="curve" x1="{}" x2="{}" y1="{}" y2="{}"/>')
    parts.append(line.format(*_X, *(_y(end.value, ticks) for end in ends)))
    parts += [_end(end, index, ticks) for index, end in enumerate(ends)]
    said = "; ".join(_words(end) for end in ends)
    svg = Markup(
        '<svg class="plot" role="img" width="100%" height="{}" focusable="false">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(_HEIGHT, attribute(title), attribute(f"In {unit}: {said}."), Markup("").join(parts))
    return SlopeChart(title=title, unit=unit, svg=svg)


def _y(value: float, ticks: Sequence[float]) -> str:
    """Return the vertical position of a value in pixels."""
    share = (value - ticks[0]) / (ticks[-1] - ticks[0])
    return f"{_BOTTOM - (_BOTTOM - _TOP) * min(1.0, max(0.0, share)):.2f}"


def _axis(ticks: Sequence[float]) -> Markup:
    row = Markup(
        '<line class="grid" x1="0%" x2="100%" y1="{y}" y2="{y}"/>'
        '<text class="tick" x="0" y="{t}">{}</text>'
    )
    return Markup("").join(
        row.format(format_number(tick), y=_y(tick, ticks), t=f"{float(_y(tick, ticks)) - 3:.2f}")
        for tick in ticks
    )


def _end(end: End, index: int, ticks: Sequence[float]) -> Markup:
    """Draw whisker, dot, value and name of one end."""
    x, y, (label_x, anchor) = _X[index], _y(end.value, ticks), _LABEL_X[index]
    parts = []
    if end.low is not None and end.high is not None:
        parts.append(
            Markup('<line class="whisker none" x1="{x}" x2="{x}" y1="{}" y2="{}"/>').format(
                _y(end.low, ticks), _y(end.high, ticks), x=x
            )
        )
    parts.append(
        Markup('<circle class="{}" cx="{}" cy="{}" r="5" data-value="{}"/>').format(
            _DOTS[index], x, y, json_number(end.value)
        )
    )
    parts.append(
        Markup(
            '<text class="figure" x="{}" y="{}" text-anchor="{}">{}</text>'
            '<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>'
        ).format(
            label_x, f"{float(y) + 4:.2f}", anchor, format_number(end.value), x, _HEIGHT - 8,
            attribute(end.name),
        )
    )  # fmt: skip
    return Markup("").join(parts)


def _words(end: End) -> str:
    if end.low is None or end.high is None:
        return f"{end.name}: {format_number(end.value)}"
    interval = f"{format_number(end.low)} to {format_number(end.high)}"
    return f"{end.name}: {format_number(end.value)} ({interval})"
