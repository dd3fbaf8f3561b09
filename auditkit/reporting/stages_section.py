"""Section of the report on the stages of a pipeline: lost held-out items, added items, and order.

The rows divide the held-out items by the stage that loses them, so that their shares add up to 1.
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
        stage: name of the stage.
        what: text that says which items the share counts.
        n_cases: number of counted items or users, as text; empty if there is no count.
    """

    stage: str
    what: str
    estimate: Estimate
    n_cases: str = ""


@dataclass(frozen=True)
class Stages:
    """Tables for the template.

    Attributes:
        names: names of the stages, in order.
        lead: the result in a sentence.
        lost: rows on lost held-out items.
        added: rows on items outside of the candidates.
        order: rows on NDCG.
        told: (metric, group) of every finding that these tables already show.
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
    """Yield the recall of the candidates, then each stage's losses, in two parts for the last
    stage.
    """
    for stage in names:
        if found := own.get(("candidate_recall", stage)):
            n = count(found.parameters, "n")
            what = (
                f"held-out items among the {n:,} candidates that the stage returns (recall@{n:,})"
            )
            yield StageRow(stage, what, found.estimate)
    for stage in names:
        yield StageRow(
            stage, "held-out items that the stage lost", own["lost_rate", stage].estimate
        )
        if gain := own.get(("query_gain", stage)):
            what = (
                "recall with its query minus recall with the titles of the history, paired by user"
            )
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
        "left_candidates_rate": "listed items that were not among its candidates",
        "out_of_candidates_rate": "of these: in the catalog",
        "out_of_catalog_rate": "of these: not in the catalog (invented, near misses, wrong years)",
    }
    for stage in names:
        for metric, what in words.items():
            if found := own.get((metric, stage)):
                first = ("left_candidates_rate", stage) not in own
                n = f"{count(found.parameters, 'n_added'):,} items"
                said = "listed items that are not in the catalog" if first else what
                yield StageRow(stage, said, found.estimate, n)


def _order(own: Mapping[_Key, Finding], names: Sequence[str]) -> Iterator[StageRow]:
    for stage in names:
        if found := own.get(("ndcg@10", stage)):
            yield StageRow(stage, "NDCG@10 of its order", found.estimate)
        if found := own.get(("ndcg_change", stage)):
            what = "change of NDCG@10 from its input order, paired by user"
            worse = f"worse for {count(found.parameters, 'n_worse'):,} users"
            yield StageRow(stage, what, found.estimate, worse)


def _cases(found: Finding, unit: str) -> str:
    return f"{found.n_cases or 0:,} {unit}"


def _lead(own: Mapping[_Key, Finding], names: Sequence[str]) -> str:
    """Say what share each stage loses, and whether the last stage improves the order."""
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
        f"{names[-1]} improves its input order"
        if low > 0
        else f"{names[-1]} worsens its input order"
        if high < 0
        else f"it is undecided whether {names[-1]} improves its input order"
    )
    return f"{text} In NDCG@10, {effect} ({low:+.3f} to {high:+.3f})."
