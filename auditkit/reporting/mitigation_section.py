"""Table of recommenders with and without mitigations, and the risk-coverage curve.

The table has one column per variant and one row per measure. Below each number is the difference
from the variant without mitigation, paired by request. The points of the curve come from the
result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from auditkit.registry import metrics
from auditkit.reporting.html_escaping import attribute, format_number, json_number
from auditkit.reporting.interval_plots import nice_ticks
from auditkit.types import Estimate, Finding

__all__ = ["PROBE", "Cell", "Curves", "Measure", "Mitigations", "build_mitigations"]

PROBE = "hallucination.mitigation"
_CHANGES = {
    "answered_share": "answered_change",
    "recall@10": "recall@10_change",
    "ndcg@10": "ndcg@10_change",
}
_WORDS = {
    "free": "no mitigation",
    "candidates": "candidates in the prompt",
    "candidate_facts": "candidates and facts",
    "grounding": "grounding",
    "grounding_asked_again": "grounding with repeated request",
    "trie": "catalog trie",
    "trie_filtered": "catalog trie, filtered",
    "vote": "vote of sampled lists",
    "agreement": "abstention by agreement of samples",
    "refused": "not in the catalog",
    "not_relevant": "not among the user's next items",
}
_LOG_PROBABILITY = "mean log-probability of a title's tokens"
_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 6.0, 98.5, 10, 200, 240


@dataclass(frozen=True)
class Cell:
    """The value of one measure for one variant.

    `change` is the difference from the variant without mitigation.
    """

    estimate: Estimate
    change: Estimate | None
    fixed: bool


@dataclass(frozen=True)
class Measure:
    """One row of the table; a cell is None if the metric was not measured for the variant."""

    name: str
    about: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Curves:
    """Risk-coverage figure, summary numbers as (error, measure, estimate), and measure of
    confidence.
    """

    confidence: str
    svg: Markup
    rows: tuple[tuple[str, str, Estimate], ...]


@dataclass(frozen=True)
class Mitigations:
    """Results of the mitigation probe, for the template.

    `agreement` contains the curves for which confidence is the agreement of samples.
    """

    variants: tuple[str, ...]
    measures: tuple[Measure, ...]
    not_tested: tuple[tuple[str, str], ...]
    curves: Curves | None
    agreement: Curves | None = None


def build_mitigations(findings: Sequence[Finding]) -> Mitigations | None:
    """Create the table and the curve of a result; None if the probe measured nothing."""
    own = [finding for finding in findings if finding.probe == PROBE]
    found = {
        (_name(f), f.group.partition("=")[2]): f for f in own if f.group.startswith("variant=")
    }
    if not found:
        return None
    variants = tuple(dict.fromkeys(variant for _, variant in found))
    names = [name for name in dict.fromkeys(name for name, _ in found) if not _is_change(name)]
    measures = tuple(
        Measure(
            _variant_name(name),
            metrics()[f"{PROBE}.{name}"].about if f"{PROBE}.{name}" in metrics() else "",
            tuple(_cell(found, name, variant) for variant in variants),
        )
        for name in names
    )
    stated = next((f.parameters["not_tested"] for f in own if "not_tested" in f.parameters), {})
    reasons = stated if isinstance(stated, dict) else {}
    return Mitigations(
        tuple(_WORDS.get(variant, variant) for variant in variants),
        measures,
        tuple((_WORDS.get(name, name), str(why)) for name, why in sorted(reasons.items())),
        *(_curves([f for f in own if _is_curve(f, method)]) for method in ("", "agreement")),
    )


def _name(finding: Finding) -> str:
    return finding.metric.removeprefix(f"{PROBE}.")


def _is_change(name: str) -> bool:
    return name.endswith("_change")


def _variant_name(name: str) -> str:
    return name.removesuffix("_rate").removesuffix("_share").replace("_", " ")


def _cell(found: Mapping[tuple[str, str], Finding], name: str, variant: str) -> Cell | None:
    own = found.get((name, variant))
    if own is None:
        return None
    change = found.get((_CHANGES.get(name, f"{name.removesuffix('_rate')}_change"), variant))
    fixed = own.by_construction is not None
    return Cell(own.estimate, change.estimate if change else None, fixed)


# --- the curve


def _is_curve(finding: Finding, method: str) -> bool:
    """Whether a finding belongs to the curve of a confidence method; "" means log-probabilities."""
    first, _, rest = finding.group.partition("&")
    return first.startswith("error=") and rest.removeprefix("confidence=") == method


def _error(finding: Finding) -> str:
    error = finding.group.partition("&")[0].partition("=")[2]
    return _WORDS.get(error, error)


def _curves(findings: Sequence[Finding]) -> Curves | None:
    drawn = {
        _error(finding): points
        for finding in findings
        if (points := _points(finding)) and _error(finding)
    }
    if not drawn:
        return None
    rows = tuple(
        (_error(finding), _name(finding).replace("_", " "), finding.estimate)
        for finding in findings
    )
    stated = str(findings[0].parameters.get("confidence", ""))
    words = stated if stated.startswith("agreement") else _LOG_PROBABILITY
    return Curves(words, _draw(drawn), rows)


def _points(finding: Finding) -> list[tuple[float, float]]:
    """Return the points (coverage, risk) of a finding; empty if any value is invalid."""
    stated = finding.parameters.get("curve")
    found = []
    for pair in stated if isinstance(stated, list) else []:
        match pair:
            case [int() | float() as coverage, int() | float() as risk]:
                found.append((float(coverage), float(risk)))
    return found


def _draw(curves: Mapping[str, Sequence[tuple[float, float]]]) -> Markup:
    ticks = nice_ticks(0.0, max(0.05, *(risk for points in curves.values() for _, risk in points)))
    parts = [_grid(ticks)]
    said = []
    for number, (name, points) in enumerate(curves.items()):
        style = f"curve c{number % 2}"
        places = [(_x(coverage), _y(risk, ticks[-1])) for coverage, risk in points]
        for (x1, y1), (x2, y2) in pairwise(places):
            parts.append(
                Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
                    style, x1, y1, x2, y2
                )
            )
        x, y = places[-1]
        above = points[-1][1] > 0.15 * ticks[-1]
        parts.append(
            Markup(
                '<circle class="curve c{}" cx="{x}" cy="{y}" r="3.5" data-value="{}"/>'
                '<text class="label" x="{x}" y="{}" text-anchor="end">{}</text>'
            ).format(
                number % 2,
                json_number(points[-1][1]),
                f"{float(y) + (16 if above else -8):.1f}",
                attribute(name),
                x=x,
                y=y,
            )
        )
        said.append(f"{name}: {format_number(points[-1][1])} of all")
    description = (
        f"In fractions of items: risk over coverage, most confident items first. {'; '.join(said)}."
    )
    return Markup(
        '<svg class="plot" role="img" width="100%" height="{}" focusable="false">'
        "<title>Risk over coverage</title><desc>{}</desc>{}</svg>"
    ).format(_HEIGHT, attribute(description), Markup("").join(parts))


def _grid(ticks: Sequence[float]) -> Markup:
    parts = []
    for tick in ticks:
        y = _y(tick, ticks[-1])
        parts.append(
            Markup(
                '<line class="grid" x1="{}%" x2="{}%" y1="{y}" y2="{y}"/>'
                '<text class="tick" x="0" y="{}">{}</text>'
            ).format(_LEFT, _RIGHT, f"{float(y) + 4:.1f}", format_number(tick), y=y)
        )
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
                _x(share), _BOTTOM + 18, anchor, format_number(share)
            )
        )
    parts.append(
        Markup('<text class="tick" x="50%" y="{}" text-anchor="middle">{}</text>').format(
            _BOTTOM + 36, "coverage: share of recommended items, most confident first"
        )
    )
    return Markup("").join(parts)


def _x(share: float) -> str:
    return f"{_LEFT + (_RIGHT - _LEFT) * share:.2f}%"


def _y(risk: float, top: float) -> str:
    return f"{_BOTTOM - (_BOTTOM - _TOP) * min(1.0, max(0.0, risk / top)):.1f}"
