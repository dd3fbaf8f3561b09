"""Change of every measured metric between two runs, paired by unit where both runs have units.

Each difference has its own 95 % interval, without a correction for the number of metrics, so the
comparison only describes; a rule with `baseline:` in a policy decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from auditkit.comparison.headline_metrics import dimension_of, headline_of, is_reference
from auditkit.policy.baseline import MIN_PAIRS, compare, differences
from auditkit.stats.paired import PairedComparison
from auditkit.types import AuditResult, Direction, Estimate, Finding

__all__ = ["LEVEL", "MOVED", "MetricChange", "Word", "disjoint", "metric_changes"]

LEVEL = 0.95
_ONE_SIDED = 1 - (1 - LEVEL) / 2
_DRAWS = 2_000  # of the bootstrap; the ends of the interval are then known to about 2 %
Word = Literal["worse", "better", "higher", "lower", "no clear change", "not compared"]
# What a change says, by the direction that is better and whether the value rose.
MOVED: Mapping[tuple[Direction, bool], Word] = {
    ("lower", True): "worse",
    ("lower", False): "better",
    ("higher", True): "better",
    ("higher", False): "worse",
    ("neutral", True): "higher",
    ("neutral", False): "lower",
}


@dataclass(frozen=True, kw_only=True)
class MetricChange:
    """One metric of one group in both runs.

    Attributes:
        baseline, candidate: the estimates; None if the run did not measure the metric.
        difference: candidate - baseline over shared units, in the unit of the metric; `low` and
            `high` are the ends of its 95 % interval. None if the difference cannot be computed.
        word: direction of the change by the interval of the difference; `no clear change` if the
            interval includes 0.
        reason: why `difference` is None; otherwise empty.
        disjoint: whether the intervals of the two estimates do not overlap.
        headline: whether the metric represents its dimension.
    """

    metric: str
    group: str
    direction: Direction
    unit: str
    baseline: Estimate | None
    candidate: Estimate | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n_pairs: int = 0
    word: Word = "not compared"
    reason: str = ""
    disjoint: bool = False
    headline: bool = False

    @property
    def moved(self) -> bool:
        """Whether the interval of the paired difference excludes 0; False without a difference."""
        return self.word not in ("no clear change", "not compared")

    @property
    def dimension(self) -> str:
        """The word before the first dot of the metric."""
        return dimension_of(self.metric)

    @property
    def label(self) -> str:
        """Metric and group as one text."""
        return self.metric if self.group == "all" else f"{self.metric} [{self.group}]"


def metric_changes(
    baseline: AuditResult, candidate: AuditResult, *, allow_incomparable: bool = False
) -> tuple[MetricChange, ...]:
    """Compare every metric and group that at least one of two runs measured.

    Args:
        allow_incomparable: whether to compute differences even if the runs were measured under
            different conditions, such as different seeds.

    Returns:
        One row per metric and group, in the order of the candidate; rows that only the baseline has
        are last. Findings on reference recommenders are left out, because they do not depend on the
        model.
    """
    ours, theirs = _by_key(candidate), _by_key(baseline)
    shared = {id(headline_of(candidate.findings, d)) for d in {dimension_of(m) for m, _ in ours}}
    of_run = bool(differences(candidate, baseline, ()))
    rows = []
    for key in dict.fromkeys([*ours, *theirs]):
        new, old = ours.get(key), theirs.get(key)
        fault = ""
        if new is not None and old is not None and not allow_incomparable:
            fault = _fault(candidate, baseline, new, old, of_run)
        rows.append(_change(key, new, old, fault, run=candidate, headline=id(new) in shared))
    return tuple(rows)


def disjoint(before: Estimate, after: Estimate) -> bool:
    """Whether the intervals of two estimates do not overlap; False if an estimate has no
    interval.
    """
    ends = (before.low, before.high, after.low, after.high)
    if any(end is None for end in ends):
        return False
    low_before, high_before, low_after, high_after = (float(end) for end in ends if end is not None)
    return high_before < low_after or high_after < low_before


def _by_key(result: AuditResult) -> dict[tuple[str, str], Finding]:
    return {(f.metric, f.group): f for f in result.findings if not is_reference(f)}


def _fault(
    candidate: AuditResult,
    baseline: AuditResult,
    new: Finding,
    old: Finding,
    of_run: bool,
) -> str:
    """Names of the conditions that differ for this metric; empty if it can be compared."""
    names = [found.name for found in differences(candidate, baseline, [(new, old)])]
    if not names:
        return ""
    where = "the runs" if of_run else "this metric"
    return f"not comparable, because the conditions of {where} differ: {', '.join(names)}"


def _change(
    key: tuple[str, str],
    new: Finding | None,
    old: Finding | None,
    fault: str,
    *,
    run: AuditResult,
    headline: bool,
) -> MetricChange:
    known = new or old
    assert known is not None  # a key comes from one of the two runs
    row = MetricChange(
        metric=key[0],
        group=key[1],
        direction=known.estimate.direction,
        unit=known.estimate.unit,
        baseline=old.estimate if old else None,
        candidate=new.estimate if new else None,
        disjoint=bool(new and old and disjoint(old.estimate, new.estimate)),
        headline=headline,
    )
    if new is None or old is None:
        return _without(row, f"only in the {'baseline' if new is None else 'candidate'}")
    if new.estimate.value is None or old.estimate.value is None:
        return _without(row, "a value is undefined")
    if not new.units or not old.units:
        how = "do not overlap" if row.disjoint else "overlap"
        return _without(row, f"the runs have no recorded units of this metric; the intervals {how}")
    return _without(row, fault) if fault else _paired(row, new, old, run)


def _paired(row: MetricChange, new: Finding, old: Finding, run: AuditResult) -> MetricChange:
    after, before = ({u: (x, n) for u, x, n in f.units if n > 0} for f in (new, old))
    shared = [unit for unit in after if unit in before]
    equal = all(after[unit] == before[unit] for unit in shared)
    binary = all(rows[unit] in ((0, 1), (1, 1)) for unit in shared for rows in (after, before))
    if equal and not binary and MIN_PAIRS <= len(shared) == len(after):
        return _with(row, 0.0, 0.0, 0.0, len(shared))  # what every resample would give
    found = compare(new, old, margin=0.0, confidence=_ONE_SIDED, run=run, draws=_DRAWS)
    if not isinstance(found, PairedComparison):
        return _without(row, ": ".join(found))
    worse = -1.0 if row.direction == "higher" else 1.0  # `compare` counts a loss as positive
    low, high = sorted((worse * found.lower, worse * found.upper))
    difference = _ratio([after[u] for u in shared]) - _ratio([before[u] for u in shared])
    return _with(row, difference, low, high, len(shared))


def _ratio(rows: Sequence[tuple[float, float]]) -> float:
    return math.fsum(x for x, _ in rows) / math.fsum(n for _, n in rows)


def _with(
    row: MetricChange, difference: float, low: float, high: float, n_pairs: int
) -> MetricChange:
    moved = low > 0 or high < 0
    word: Word = MOVED[row.direction, low > 0] if moved else "no clear change"
    return replace(
        row, difference=difference, low=low, high=high, n_pairs=n_pairs, word=word, reason=""
    )


def _without(row: MetricChange, reason: str) -> MetricChange:
    return replace(row, reason=reason)
