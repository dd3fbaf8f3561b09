"""Exposure figures of the fairness section: Lorenz curve, and exposure of groups of items.

The data are read from the parameters of the findings. Parameters of an unexpected type are ignored,
because the result file may come from anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from pydantic import JsonValue

from auditkit.reporting.interval_plots import Figure, Row, draw
from auditkit.reporting.lorenz_curve import draw_lorenz
from auditkit.reporting.parameters import count, number
from auditkit.types import Estimate, Finding

__all__ = ["PROBE", "Concentration", "Exposure", "GroupShare", "Groups", "build_exposure"]

PROBE = "fairness.exposure"
_COLUMNS = ("gini", "coverage@10", "tail_share", "hhi")
_WORDS = {"popularity": "popularity (decile 1 is the most popular)"}
_LONG = 12


@dataclass(frozen=True)
class Concentration:
    """Concentration measures of items or providers, each with its value for the users' histories.

    Missing values are None.
    """

    name: str
    cells: tuple[tuple[Estimate, float | None] | None, ...]


@dataclass(frozen=True)
class GroupShare:
    """One group of items: share of lists, share of histories, and difference.

    The intervals of the differences hold jointly over all groups.
    """

    name: str
    shown: float
    history: float
    utility: float
    low: float
    high: float


@dataclass(frozen=True)
class Groups:
    """One grouping of items, with the rows of its figure.

    Attributes:
        sentence: text about the groups whose share rises and falls most.
        reason: why there is no figure; empty if there is one.
        n_groups: total number of groups; `rows` may contain only the largest.
        without: share of the exposure that goes to items without a known group.
    """

    name: str
    sentence: str
    dgu: Estimate
    mgu: Estimate | None
    rows: tuple[GroupShare, ...]
    figure: Figure | None
    n_groups: int
    without: float | None

    @property
    def long(self) -> bool:
        """Whether the figure is so long that the page shows it collapsed."""
        return len(self.rows) > _LONG


@dataclass(frozen=True)
class Exposure:
    """Results of the exposure probe, for the template.

    Attributes:
        told: (metric, group) of every finding that these tables already show.
    """

    setting: str
    columns: tuple[str, ...]
    concentration: tuple[Concentration, ...]
    lorenz: Markup | None
    lift: Estimate | None
    groups: tuple[Groups, ...]
    told: frozenset[tuple[str, str]]


def build_exposure(findings: Sequence[Finding]) -> Exposure | None:
    """Create the figures of a result; None if the probe measured nothing."""
    own = {(f.metric.removeprefix(f"{PROBE}."), f.group): f for f in findings if f.probe == PROBE}
    if not own:
        return None
    whole = own.get(("gini", "all"))
    concentrated = [group for name, group in own if name == "gini"]
    grouped = [group for name, group in own if name == "dgu"]
    lift = own.get(("popularity_lift", "all"))
    told = {(n, g) for n, g in own if n in _COLUMNS and g in concentrated}
    told |= {(n, g) for n, g in own if n in ("mgu", "dgu") and g in grouped}
    told |= {("popularity_lift", "all")} & own.keys()
    return Exposure(
        setting=_setting(whole) if whole else "",
        columns=("Gini", "coverage@10", "tail share", "HHI"),
        concentration=tuple(_concentration(group, own) for group in concentrated),
        lorenz=draw_lorenz(whole.parameters) if whole else None,
        lift=lift.estimate if lift else None,
        groups=tuple(_groups(group, own) for group in grouped),
        told=frozenset((own[key].metric, key[1]) for key in told),
    )


_Own = Mapping[tuple[str, str], Finding]


def _setting(whole: Finding) -> str:
    """Describe the lists that were counted."""
    p = whole.parameters
    weights = (
        "positions weighted by 1/log2(rank + 1)" if p.get("discount") is True else "unweighted"
    )
    missing = whole.estimate.n_missing
    lists = f"{whole.estimate.n} lists of at most {count(p, 'k')}, {weights}"
    return f"{lists}, over {count(p, 'n_items')} items" + f"; {missing} missing" * bool(missing)


def _name(group: str) -> str:
    """Return the name of a grouping: `by=production_company` becomes "production company"."""
    return group.removeprefix("by=").replace("_", " ")


def _concentration(group: str, own: _Own) -> Concentration:
    found = [own.get((name, group)) for name in _COLUMNS]
    cells = tuple(
        None if f is None else (f.estimate, number(f.parameters, "of_history")) for f in found
    )
    return Concentration("items" if group == "all" else f"by {_name(group)}", cells)


# --- groups of items


def _groups(group: str, own: _Own) -> Groups:
    dgu, mgu = own["dgu", group], own.get(("mgu", group))
    stated = dgu.parameters.get("groups")
    name, rows = _name(group), _rows(stated if isinstance(stated, dict) else {})
    n_groups = max(count(dgu.parameters, "n_groups"), len(rows))
    title = _WORDS.get(name, name)
    figure = None
    if rows:
        figure = draw(
            [
                Row(label=r.name, value=r.utility, low=r.low, high=r.high, n=dgu.estimate.n)
                for r in rows
            ],
            title=title,
            unit="share of exposure minus share of histories",
            kind="bars",
            origin=0.0,
        )
    return Groups(
        name=title,
        sentence=_sentence(rows, n_groups),
        dgu=dgu.estimate,
        mgu=mgu.estimate if mgu else None,
        rows=rows,
        figure=figure,
        n_groups=n_groups,
        without=number(dgu.parameters, "share_without_group"),
    )


def _rows(stated: Mapping[str, JsonValue]) -> tuple[GroupShare, ...]:
    """Return rows of groups: deciles and decades in order, other groups by decreasing
    difference.
    """
    found = []
    for name, numbers in stated.items():
        if not isinstance(numbers, dict):
            continue
        shares = [number(numbers, key) for key in ("shown", "history", "utility", "low", "high")]
        known = [share for share in shares if share is not None and -2 <= share <= 2]
        if len(known) == len(shares):
            found.append(GroupShare(name, *known))
    if all(re.fullmatch(r"(decile )?\d{1,4}s?", row.name) for row in found):
        return tuple(sorted(found, key=lambda row: int(re.sub(r"\D", "", row.name))))
    return tuple(sorted(found, key=lambda row: -row.utility))


def _sentence(rows: Sequence[GroupShare], n_groups: int) -> str:
    """Write a sentence about the groups that gain and lose most compared with the histories."""
    if len(rows) < 2:
        return ""
    gains, loses = max(rows, key=lambda r: r.utility), min(rows, key=lambda r: r.utility)
    among = f"Of the {len(rows)} largest of {n_groups:,} groups, " if n_groups > len(rows) else ""
    said = [
        _change(gains, "gains most", gains.low > 0),
        _change(loses, "loses most", loses.high < 0),
    ]
    return f"{among}{said[0]}; {said[1]}."


def _change(row: GroupShare, verb: str, sure: bool) -> str:
    doubt = "" if sure else ", which may be due to chance"
    return (
        f"\u201c{row.name}\u201d {verb}: {row.shown:.1%} of the lists and {row.history:.1%} "
        f"of the histories ({100 * row.utility:+.1f} points, {100 * row.low:+.1f} to "
        f"{100 * row.high:+.1f}{doubt})"
    )


# --- parameters of any type
