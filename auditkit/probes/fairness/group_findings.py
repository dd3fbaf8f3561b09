"""Findings of group utility: one per sufficiently large group, and one per gap.

Groups that are too small get no finding; the notes of the gap list these groups, and their users
count as missing. For crossed groups only NDCG@10 is reported, to limit the size of the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.metrics.groups import GroupTable, group_table
from auditkit.probes.base import Context, User, finding, unit_of
from auditkit.probes.fairness.group_gaps import Gap, Grouping
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.stats.rates import rate
from auditkit.stats.resampled_estimate import ResampledEstimate, banded, undefined
from auditkit.types import Finding

__all__ = ["GAPS", "PREFIX", "Served", "utility_findings"]

PREFIX = "fairness.group_utility"
GAPS = {"hr@10": "hr_gap", "ndcg@10": "ndcg_gap", "recall@10": "recall_gap"}
_OF_CELLS = "ndcg@10"


@dataclass(frozen=True, kw_only=True)
class Served:
    """Utility of the lists of a run's users.

    Attributes:
        users: users with a response.
        utility: utility of these users by metric, [users] in [0, 1].
        lost: number of users without a response.
        min_group: minimum group size for an estimate.
        one_target: whether every user has one held-out item, so that recall@10 equals HR@10.
        design: settings of the probe, copied into the parameters of the findings.
        notes: notes on the sample of users, which are added to every finding.
    """

    users: Sequence[User]
    utility: Mapping[str, NDArray[np.float64]]
    lost: Sequence[User]
    min_group: int
    one_target: bool
    design: Mapping[str, JsonValue]
    notes: Sequence[str] = ()


def utility_findings(
    context: Context,
    served: Served,
    grouping: Grouping,
    gaps: Mapping[tuple[str, str, bool], Gap],
    *,
    notes: Sequence[str] = (),
) -> Iterator[Finding]:
    """Yield the utility of every large group of one grouping, and the gaps between groups.

    Args:
        context: context of the probe.
        served: utility of the users.
        grouping: the grouping.
        gaps: gaps by (name of the grouping, metric, whether stratified).
        notes: notes that are added to the gap in NDCG@10, the metric that policies judge.
    """
    labels = grouping.labels(served.users)
    for metric in GAPS:
        values = served.utility[metric]
        table = group_table(values.tolist(), labels.tolist(), min_size=served.min_group)
        if not grouping.crossed or metric == _OF_CELLS:
            yield from _groups(context, served, grouping, metric, labels, table)
        # With one held-out item, recall@10 equals HR@10, so the gap is tested only once.
        tested = "hr@10" if served.one_target and metric == "recall@10" else metric
        for stratified in (False, True):
            gap = gaps.get((grouping.name, tested, stratified))
            own = notes if metric == "ndcg@10" and not stratified else ()
            yield from _gap(
                context, served, grouping, metric, gap, table, stratified=stratified, notes=own
            )


def _groups(
    context: Context,
    served: Served,
    grouping: Grouping,
    metric: str,
    labels: NDArray[np.str_],
    table: GroupTable,
) -> Iterator[Finding]:
    """Yield one finding per sufficiently large group."""
    full = f"{PREFIX}.{metric}"
    unit, direction = unit_of(full)
    failed = Counter(map(str, grouping.labels(served.lost)))
    for row in table.rows:
        if row.mean is None:
            continue
        own, lost = served.utility[metric][labels == row.group], failed.get(row.group, 0)
        if metric == "hr@10":
            measured = rate(
                int(own.sum()), len(own), unit=unit, direction=direction, n_missing=lost
            )
        else:
            rng = context.rng("bootstrap", metric, row.group)
            measured = bootstrap_mean(
                own, rng=rng, unit=unit, direction=direction, n_missing=lost, limits=(0, 1)
            )
        yield finding(
            context,
            full,
            measured,
            group=row.group,
            parameters=served.design,
            notes=served.notes,
        )


def _gap(
    context: Context,
    served: Served,
    grouping: Grouping,
    metric: str,
    gap: Gap | None,
    table: GroupTable,
    *,
    stratified: bool,
    notes: Sequence[str],
) -> Iterator[Finding]:
    """Yield the finding on the largest gap.

    For raw NDCG@10, also yield the finding on the gap relative to the mean of all users.
    """
    small = [f"{row.group} ({row.n})" for row in table.rows if row.mean is None]
    said = []
    if small:
        said.append(
            f"groups with fewer than {served.min_group} users are omitted: {', '.join(small)}"
        )
    if gap and gap.n_incomparable:
        said.append(f"{gap.n_incomparable} pairs of groups have too few users in common strata")
    relative = gap.value / table.overall if gap and table.overall else None
    parameters = {
        **served.design,
        "p": gap.p if gap else None,
        "p_adjusted": gap.p_adjusted if gap else None,
        "mean": table.overall,
        "relative_gap": relative,
        **({} if stratified else {"ratio": table.ratio}),
    }
    names = [(f"{PREFIX}.{GAPS[metric]}" + "_stratified" * stratified, 1.0)]
    if metric == "ndcg@10" and not stratified:
        names.append((f"{PREFIX}.ndcg_relative_gap", table.overall or 0.0))
    for full, scale in names:
        yield finding(
            context,
            full,
            _measured(full, gap, scale, n_missing=len(served.lost)),
            group=grouping.name,
            parameters=parameters,
            notes=[*said, *notes, *served.notes],
        )


def _measured(metric: str, gap: Gap | None, scale: float, *, n_missing: int) -> ResampledEstimate:
    """Create the estimate of a gap, with value and bounds divided by `scale`."""
    unit, direction = unit_of(metric)
    if gap is None or not scale:
        reason = "fewer than two groups can be compared" if scale else "mean utility is 0"
        return undefined(unit, direction, reason=reason, n_missing=n_missing)
    return banded(
        gap.value / scale,
        (gap.bounds.low / scale, gap.bounds.high / scale) if gap.bounds else None,
        unit=unit,
        direction=direction,
        n=gap.n,
        n_missing=gap.n_left_out + n_missing,
        p_adjusted=gap.p_adjusted,
    )
