"""Section of the report on the stages of a pipeline: where held-out items are lost, which items a
stage adds, and what it does to the order.

Every row is one step of the chain with its share and interval, so that the rows of held-out items
add up to all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditkit.reporting.parameters import count
from auditkit.types import Estimate, Finding

__all__ = ["PROBE", "StageRow", "Stages", "build_stages"]

PROBE = "utility.stages"
_PREFIX = "stage="
_Key = tuple[str, str]


@dataclass(frozen=True)
class StageRow:
    """One number of one stage.

    Attributes:
        stage: its name. what: what the number is a share of, in words. n_cases: number of items or
            users that it counts, in words; empty if it counts none.
    """

    stage: str
    what: str
    estimate: Estimate
    n_cases: str = ""


@dataclass(frozen=True)
class Stages:
    """Tables for the template.

    Attributes:
        names: of the stages, in order. lead: the result in a sentence.
        lost: what became of the held-out items. added: items outside the candidates. order: NDCG.
        told: (metric, group) of every finding that the tables already show.
    """

    names: tuple[str, ...]
    lead: str
    lost: tuple[StageRow, ...]
    added: tuple[StageRow, ...]
    order: tuple[StageRow, ...]
    told: frozenset[_Key]


def build_stages(findings: Sequence[Finding]) -> Stages | None:
    """Create the tables of a result; None if the probe measured nothing."""
    own = {
        (f.metric.removeprefix(f"{PROBE}."), f.group.removeprefix(_PREFIX)): f
        for f in findings
        if f.probe == PROBE
    }
    names = tuple(dict.fromkeys(stage for metric, stage in own if metric == "lost_rate"))
    if not names:
        return None
    return Stages(
        names=names,
        lead=_lead(own, names),
        lost=tuple(_lost(own, names)),
        added=tuple(_added(own, names)),
        order=tuple(_order(own, names)),
        told=frozenset((finding.metric, finding.group) for finding in own.values()),
    )


def _lost(own: Mapping[_Key, Finding], names: Sequence[str]) -> Iterator[StageRow]:
    """Recall of the candidates, then the losses of each stage; the last stage's in two parts."""
    for stage in names:
        if found := own.get(("candidate_recall", stage)):
            n = count(found.parameters, "n")
            what = f"held-out items among its {n:,} candidates (recall@{n})"
            yield StageRow(stage, what, found.estimate)
    for stage in names:
        yield StageRow(stage, "held-out items that it lost", own["lost_rate", stage].estimate)
        if gain := own.get(("query_gain", stage)):
            what = "recall of its query minus that of the titles of the history, paired by user"
            worse = f"worse for {count(gain.parameters, 'n_worse'):,} users"
            yield StageRow(stage, what, gain.estimate, worse)
    parts = {
        "left_out_rate": "of these: among its candidates, not in its list",
        "below_k_rate": "of these: in its list, below the top 10",
    }
    for metric, what in parts.items():
        if found := own.get((metric, names[-1])):
            yield StageRow(names[-1], what, found.estimate, _cases(found, "users"))


def _added(own: Mapping[_Key, Finding], names: Sequence[str]) -> Iterator[StageRow]:
    words = {
        "left_candidates_rate": "items that were not among its candidates",
        "out_of_candidates_rate": "of these: in the catalog",
        "out_of_catalog_rate": "of these: not in the catalog (invented, near misses, wrong years)",
    }
    for stage in names:
        for metric, what in words.items():
            if found := own.get((metric, stage)):
                first = ("left_candidates_rate", stage) not in own
                n = f"{count(found.parameters, 'n_added'):,} items"
                said = "items that are not in the catalog" if first else what
                yield StageRow(stage, said, found.estimate, n)


def _order(own: Mapping[_Key, Finding], names: Sequence[str]) -> Iterator[StageRow]:
    for stage in names:
        if found := own.get(("ndcg@10", stage)):
            yield StageRow(stage, "NDCG@10 in its order", found.estimate)
        if found := own.get(("ndcg_change", stage)):
            what = "change against the order that it got, paired by user"
            worse = f"worse for {count(found.parameters, 'n_worse'):,} users"
            yield StageRow(stage, what, found.estimate, worse)


def _cases(found: Finding, unit: str) -> str:
    return f"{found.n_cases or 0:,} {unit}"


def _lead(own: Mapping[_Key, Finding], names: Sequence[str]) -> str:
    """Which stage loses most, and whether the last stage improves the order."""
    losses = {stage: own["lost_rate", stage].estimate.value for stage in names}
    known = {stage: loss for stage, loss in losses.items() if loss is not None}
    if not known:
        return ""
    said = ", ".join(f"{stage} loses {known[stage]:.1%}" for stage in names if stage in known)
    hits = max(0.0, 1 - sum(known.values()))
    text = f"Of the held-out items, {said}, and {hits:.1%} reach the top 10."
    change = own.get(("ndcg_change", names[-1]))
    if change is None or change.estimate.low is None or change.estimate.high is None:
        return text
    low, high = change.estimate.low, change.estimate.high
    effect = (
        f"{names[-1]} improves the order that it gets"
        if low > 0
        else f"{names[-1]} spoils the order that it gets"
        if high < 0
        else f"whether {names[-1]} improves the order that it gets cannot be told"
    )
    return f"{text} In NDCG@10, {effect} ({low:+.3f} to {high:+.3f})."
