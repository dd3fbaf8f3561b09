"""Units and requests that newly fail or are newly fixed, finding by finding.

A unit fails if its rate is above 0 where lower is better, and if it is 0 where higher is better;
the units of a finding are complete, so this count is exact. The evidence of a finding contains only
its worst cases. A case that only one run cites is therefore counted as new or fixed only if the
other run shows that it did not fail there: its unit was scored and did not fail, or, without units,
the list of cases is complete and the responses to the case were scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.comparison.answers import Answer, answer_of
from auditkit.comparison.headline_metrics import is_reference
from auditkit.security.personal_data import mask
from auditkit.types import AuditResult, Evidence, Finding

__all__ = ["Change", "FailureChanges", "Pair", "failure_changes"]

Records = Mapping[str, Mapping[str, Any]]
_MAX_REQUESTS = 2


@dataclass(frozen=True)
class Pair:
    """One request with the response of each run; None if the run did not send the request."""

    request_id: str
    prompt: str
    baseline: Answer | None
    candidate: Answer | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One example of a change: the unit, the finding's description of the case, and the responses
    of both runs.
    """

    unit: str
    what: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, kw_only=True)
class FailureChanges:
    """Units and cases of one finding that changed between the runs.

    Attributes:
        n_units: number of units in both runs. newly_failing, newly_fixed: how many of these units
            changed.
        cases_new, cases_fixed: number of cases that only the candidate or only the baseline cites,
            and that do not fail in the other run.
        cases_open: number of cases that one run cites and about which the other run has no data.
        failing, fixed: one example each; None if there is none.
    """

    metric: str
    group: str
    n_units: int
    newly_failing: int
    newly_fixed: int
    cases_new: int
    cases_fixed: int
    cases_open: int
    failing: Change | None
    fixed: Change | None


@dataclass(frozen=True)
class _Side:
    """A finding of one run with the records of the run."""

    finding: Finding
    records: Records

    @property
    def failing(self) -> dict[str, bool]:
        """Whether each unit fails."""
        higher = self.finding.estimate.direction == "higher"
        return {unit: (x <= 0) == higher for unit, x, n in self.finding.units if n > 0}

    def fails(self, case: Evidence, unit: str) -> bool | None:
        """Whether a case that this run does not cite fails in this run; None if its data do not
        show that.
        """
        if self.finding.units:
            return self.failing.get(unit)
        stated = self.finding.n_cases
        complete = stated is None or stated == len(self.finding.evidence)
        answered = all(self.records[request].get("status") == "ok" for request in case.requests)
        return False if complete and answered else None

    def unit_of(self, case: Evidence) -> str:
        """Unit of the last request of a case, which is the changed request."""
        body = self.records.get(case.requests[-1], {}) if case.requests else {}
        return str(body.get("unit", ""))


def failure_changes(
    baseline: AuditResult,
    candidate: AuditResult,
    records: tuple[Records, Records],
) -> tuple[FailureChanges, ...]:
    """Find newly failing and newly fixed units and cases of every finding in both runs.

    Args:
        records: records of the baseline and of the candidate by request id.

    Returns:
        One row per finding with a change. Findings that are undefined in a run, or that have no
        better direction, are left out.
    """
    theirs = {(f.metric, f.group): f for f in baseline.findings}
    rows = []
    for finding in candidate.findings:
        old = theirs.get((finding.metric, finding.group))
        if old is None or finding.estimate.direction == "neutral" or is_reference(finding):
            continue
        if old.estimate.value is None or finding.estimate.value is None:
            continue  # no case of an undefined metric was scored
        row = _changes(_Side(old, records[0]), _Side(finding, records[1]))
        if row.newly_failing or row.newly_fixed or row.cases_new or row.cases_fixed:
            rows.append(row)
    return tuple(rows)


def _changes(old: _Side, new: _Side) -> FailureChanges:
    before, after = old.failing, new.failing
    shared = [unit for unit in after if unit in before]
    broken = [unit for unit in shared if after[unit] and not before[unit]]
    mended = [unit for unit in shared if before[unit] and not after[unit]]
    cases_new, open_new = _told(new, old)
    cases_fixed, open_fixed = _told(old, new)
    return FailureChanges(
        metric=new.finding.metric,
        group=new.finding.group,
        n_units=len(shared),
        newly_failing=len(broken),
        newly_fixed=len(mended),
        cases_new=len(cases_new),
        cases_fixed=len(cases_fixed),
        cases_open=open_new + open_fixed,
        failing=_example(new, cases_new, broken, old, new),
        fixed=_example(old, cases_fixed, mended, old, new),
    )


def _told(citing: _Side, other: _Side) -> tuple[list[Evidence], int]:
    """Cases that one run cites and that did not fail in the other run, and the number of cases
    about which the other run has no data.
    """
    cited = {case.requests for case in other.finding.evidence}
    found, unknown = [], 0
    for case in citing.finding.evidence:
        if case.requests in cited or not all(r in other.records for r in case.requests):
            continue
        fails = other.fails(case, citing.unit_of(case))
        if fails is None:
            unknown += 1
        elif not fails:
            found.append(case)
    return found, unknown


def _example(
    citing: _Side, cases: Sequence[Evidence], units: Sequence[str], old: _Side, new: _Side
) -> Change | None:
    """A cited case of a changed unit if there is one, else any cited case, else the unit alone."""
    chosen = next((c for c in cases if citing.unit_of(c) in units), next(iter(cases), None))
    if chosen is not None:
        pairs = tuple(_pair(r, old, new) for r in chosen.requests[-_MAX_REQUESTS:])
        return Change(unit=citing.unit_of(chosen), what=mask(chosen.what), pairs=pairs)
    if not units:
        return None
    asked = list(_requests_of(units[0], citing))
    best = sorted(asked, key=lambda r: r not in old.records or r not in new.records)
    return Change(
        unit=units[0], what="", pairs=tuple(_pair(request, old, new) for request in best[:1])
    )


def _requests_of(unit: str, side: _Side) -> Iterator[str]:
    """Requests that a finding's probe asked about a unit."""
    for request, body in side.records.items():
        if body.get("unit") == unit and body.get("probe") == side.finding.probe:
            yield request


def _pair(request: str, old: _Side, new: _Side) -> Pair:
    bodies = [side.records.get(request) for side in (old, new)]
    known = next((body for body in bodies if body is not None), {})
    asked = known.get("request")
    prompt = asked.get("prompt") if isinstance(asked, dict) else ""
    return Pair(
        request_id=request,
        prompt=mask(prompt) if isinstance(prompt, str) else "",
        baseline=None if bodies[0] is None else answer_of(bodies[0]),
        candidate=None if bodies[1] is None else answer_of(bodies[1]),
    )
