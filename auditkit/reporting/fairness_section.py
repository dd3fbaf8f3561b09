"""Tables of the fairness section by attribute value: list shift, outcomes, similarity and genres.

The data are read from the parameters of the findings. Parameters of an unexpected type are ignored,
because the result file may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from auditkit.reporting.interval_plots import Figure, Row, draw
from auditkit.reporting.parameters import number, pair
from auditkit.types import Estimate, Finding

__all__ = ["PROBE", "AttributeRow", "Fairness", "HeatMap", "build_fairness"]

PROBE = "fairness.counterfactual"
_FATES = ("usable", "short", "refused", "unparsed", "failed", "repeated", "linked")
_SHADES = 6


@dataclass(frozen=True)
class AttributeRow:
    """One attribute of the main table; missing numbers are None.

    Attributes:
        disturbed: text about pairs of values that differ.
    """

    name: str
    n_values: int
    snsr: Estimate
    noise_floor: float | None
    noise_floor_95: float | None
    snsv_corrected: float | None
    p: float | None
    p_adjusted: float | None
    detectable: float | None
    probes_to_pass: int | None
    margin: float | None
    steer: Estimate | None
    steered: str
    steer_p: float | None
    placebo: Estimate | None
    placebo_p: float | None
    missing_gap: Estimate | None
    disturbed: tuple[str, ...]


@dataclass(frozen=True)
class HeatMap:
    """Shares of item groups by value; the shade of a cell, 0 to 6, depends on its share."""

    attribute: str
    groups: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[float, int], ...]], ...]
    widest: str
    significant: bool


@dataclass(frozen=True)
class Fairness:
    """Results of the counterfactual probe, for the template.

    Attributes:
        setting: sentences about the requests.
        attributes: rows of the main table.
        fates: outcomes of responses as (attribute, value, phrase, shares in the order of
            `fate_names`).
        figures: similarity to the neutral list by value, for comparison also of the repeated
            request and of the placebo.
    """

    setting: tuple[str, ...]
    attributes: tuple[AttributeRow, ...]
    fate_names: tuple[str, ...]
    fates: tuple[tuple[str, str, str, tuple[float, ...]], ...]
    figures: tuple[Figure, ...]
    heat_maps: tuple[HeatMap, ...]


def build_fairness(findings: Sequence[Finding]) -> Fairness | None:
    """Create the tables of a result; None if the probe measured nothing."""
    own = {(_name(f), f.group): f for f in findings if f.probe == PROBE}
    measured = [group for name, group in own if name == "snsr"]
    if not measured:
        return None
    usable = own.get(("usable_rate", "all"))
    return Fairness(
        setting=_setting(usable) if usable else (),
        attributes=tuple(_row(group, own) for group in measured),
        fate_names=_FATES,
        fates=tuple(fate for group in measured for fate in _fates(own["snsr", group])),
        figures=tuple(f for group in measured if (f := _figure(group, own)) is not None),
        heat_maps=tuple(h for group in measured if (h := _heat_map(group, own)) is not None),
    )


_Own = Mapping[tuple[str, str], Finding]


def _name(finding: Finding) -> str:
    return finding.metric.removeprefix(f"{PROBE}.")


def _setting(usable: Finding) -> tuple[str, ...]:
    """Describe the requests: kind, list length, candidates, calls and neutral phrases."""
    p = usable.parameters
    about = {"titles": "one liked title each", "histories": "a user's real history each"}
    said = [
        f"{usable.estimate.n} probes with {about.get(str(p.get('anchors')), 'an anchor each')}, "
        f"{p.get('calls')} calls",
        f"lists of k = {p.get('k')}"
        + (f" out of {p.get('candidates')} candidates" if p.get("candidates") else "")
        + f", temperature {p.get('temperature')}",
        "similarities: normalized variants",
    ]
    neutral = p.get("neutral")
    if isinstance(neutral, list):
        said.append("neutral phrases: " + ", ".join(f"\u201c{one}\u201d" for one in neutral))
    return tuple(said)


def _row(group: str, own: _Own) -> AttributeRow:
    snsr, p = own["snsr", group], own["snsr", group].parameters
    snsv, steer = own.get(("snsv", group)), own.get(("steer", group))
    placebo, missing = own.get(("placebo_shift", group)), own.get(("missing_gap", group))
    values, widest = p.get("values"), steer.parameters.get("widest") if steer else None
    steered = ""
    if isinstance(widest, list) and len(widest) == 3:
        steered = f"{widest[0]}: more for {widest[1]} than for {widest[2]}"
    needed = number(p, "probes_to_pass")
    return AttributeRow(
        name=group,
        n_values=len(values) if isinstance(values, list) else 0,
        snsr=snsr.estimate,
        noise_floor=number(p, "noise_floor"),
        noise_floor_95=number(p, "noise_floor_95"),
        snsv_corrected=number(snsv.parameters, "corrected") if snsv else None,
        p=number(p, "p"),
        p_adjusted=number(p, "p_adjusted"),
        detectable=number(p, "detectable_difference"),
        probes_to_pass=None if needed is None else int(needed),
        margin=number(p, "margin"),
        steer=steer.estimate if steer else None,
        steered=steered,
        steer_p=number(steer.parameters, "p_adjusted") if steer else None,
        placebo=placebo.estimate if placebo else None,
        placebo_p=number(placebo.parameters, "p_adjusted") if placebo else None,
        missing_gap=missing.estimate if missing else None,
        disturbed=_disturbed(p.get("pairs")),
    )


def _disturbed(pairs: JsonValue) -> tuple[str, ...]:
    """Describe the pairs of values that differ; the probe reports only pairs with p below .05."""
    found = []
    for row in pairs if isinstance(pairs, list) else []:
        match row:
            case [str() as low, str() as high, gap, p]:
                size, chance = pair([gap, p])
                if size is not None:
                    by = f"by {size:.3f} (p = {chance:.4f})"
                    said = f"lists shift more for {low} than for {high} {by}"
                    found.append(said)
    return tuple(found)


def _fates(snsr: Finding) -> list[tuple[str, str, str, tuple[float, ...]]]:
    answers, phrases = snsr.parameters.get("answers"), snsr.parameters.get("phrases")
    if not isinstance(answers, dict):
        return []
    said = [str(one) for one in phrases] if isinstance(phrases, list) else []
    found = []
    values = snsr.parameters.get("values")
    order = [str(v) for v in values] if isinstance(values, list) else list(answers)
    for place, value in enumerate(order):
        shares = answers.get(value)
        if isinstance(shares, dict):
            row = tuple(number(shares, fate) or 0.0 for fate in _FATES)
            phrase = said[place] if place < len(said) else ""
            found.append((snsr.group, value, phrase, row))
    return found


def _figure(group: str, own: _Own) -> Figure | None:
    """Draw the mean similarity to the neutral list by value, with simultaneous intervals."""
    snsr = own["snsr", group]
    means, bars = snsr.parameters.get("mean_similarity"), snsr.parameters.get("mean_bars")
    if not isinstance(means, dict):
        return None
    ends = bars if isinstance(bars, dict) else {}
    rows = []
    for value in means:
        low, high = pair(ends.get(value))
        rows.append(
            Row(label=value, value=number(means, value), low=low, high=high, n=snsr.estimate.n)
        )
    again = own.get(("self_similarity", "all"))
    if again is not None:
        e = again.estimate
        rows.append(
            Row(
                label="neutral request repeated", value=e.value, low=e.low, high=e.high, n=e.n,
                n_missing=e.n_missing, reference=True,
            )
        )  # fmt: skip
    placebo = own.get(("placebo_shift", group))
    mean = number(placebo.parameters, "placebo_mean_similarity") if placebo else None
    if placebo is not None and mean is not None:
        rows.append(
            Row(
                label="irrelevant phrases", value=mean, low=None, high=None,
                n=placebo.estimate.n, reference=True,
            )
        )  # fmt: skip
    return draw(rows, title=f"similarity to the neutral list: {group}", unit="mean Jaccard")


def _heat_map(group: str, own: _Own) -> HeatMap | None:
    steer = own.get(("steer", group))
    if steer is None:
        return None
    shares, groups = steer.parameters.get("shares"), steer.parameters.get("groups")
    if not isinstance(shares, dict) or not isinstance(groups, list):
        return None
    names = tuple(str(name) for name in groups)
    table = [
        (value, [number(row, name) or 0.0 for name in names])
        for value, row in shares.items()
        if isinstance(row, dict)
    ]
    top = max((share for _, row in table for share in row), default=0.0)
    rows = tuple(
        (value, tuple((share, round(_SHADES * share / top) if top else 0) for share in row))
        for value, row in table
    )
    widest, p = steer.parameters.get("widest"), number(steer.parameters, "p_adjusted")
    named = str(widest[0]) if isinstance(widest, list) and widest else ""
    return HeatMap(group, names, rows, named, p is not None and p < 0.05)
