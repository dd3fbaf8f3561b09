"""Comparison of a candidate run with a baseline run, paired by request and by unit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import JsonValue

from auditkit.comparison.answers import AnswerChanges, answer_changes, by_request
from auditkit.comparison.configuration import Changed, changed_settings
from auditkit.comparison.failures import FailureChanges, failure_changes
from auditkit.comparison.headline_metrics import dimensions_of
from auditkit.comparison.metric_changes import LEVEL, MetricChange, metric_changes
from auditkit.comparison.recorded_run import RecordedRun, read_pair
from auditkit.comparison.rule_changes import RuleChange, rule_changes
from auditkit.types import Outcome

__all__ = ["Coverage", "RunDiff", "diff_runs"]


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """One probe in both runs: its outcome, and its numbers of planned requests and of responses
    with status `ok`.

    `status` is the status of the outcome, or `not planned`.
    """

    probe: str
    status: tuple[str, str]
    planned: tuple[int, int]
    ok: tuple[int, int]
    reason: tuple[str, str]

    @property
    def changed(self) -> bool:
        """Whether anything other than the reason differs."""
        return any(a != b for a, b in (self.status, self.planned, self.ok))


@dataclass(frozen=True, kw_only=True)
class RunDiff:
    """All differences between two verified runs, a baseline and a candidate.

    Attributes:
        settings: configuration and fingerprints. metrics: every metric of both runs.
        answers: responses to equal requests. failures: newly failing and newly fixed units, by
            finding.
        coverage: every probe. rules: rules whose verdict changed; empty if a run has no verdict.
        allowed: whether differences were computed although the conditions differ.
    """

    baseline: RecordedRun
    candidate: RecordedRun
    settings: tuple[Changed, ...]
    metrics: tuple[MetricChange, ...]
    answers: AnswerChanges
    failures: tuple[FailureChanges, ...]
    coverage: tuple[Coverage, ...]
    rules: tuple[RuleChange, ...]
    allowed: bool = False

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Names of the conditions that differ and make the runs incomparable."""
        return tuple(row.name for row in self.settings if not row.comparable)

    @property
    def headlines(self) -> tuple[MetricChange, ...]:
        """Change of the headline metric of each dimension that the candidate measured, in the order
        of the report.
        """
        order = dimensions_of(self.candidate.result.findings)
        found = [row for row in self.metrics if row.headline]
        return tuple(sorted(found, key=lambda row: order.index(row.dimension)))

    @property
    def n_compared(self) -> int:
        """Number of metrics with a paired difference."""
        return sum(row.difference is not None for row in self.metrics)

    @property
    def n_moved(self) -> int:
        """Number of metrics whose interval of the difference excludes 0."""
        return sum(row.moved for row in self.metrics)

    @property
    def caution(self) -> str:
        """A sentence on how many intervals exclude 0, and how many are expected to by chance."""
        if not self.n_compared:
            return "No metric has a paired difference, so it is unknown whether metrics changed."
        expected = (1 - LEVEL) * self.n_compared
        return (
            f"{self.n_moved} of {self.n_compared} paired differences have a {LEVEL:.0%} interval "
            f"that excludes 0; if nothing had changed, about {expected:.1f} would exclude 0 by "
            "chance. This comparison does not decide anything; use a baseline rule of a policy "
            "to decide."
        )

    def as_json(self) -> dict[str, JsonValue]:
        """The comparison as JSON."""
        return {
            "baseline": _described(self.baseline),
            "candidate": _described(self.candidate),
            "comparable": not self.obstacles,
            "settings": [row._asdict() for row in self.settings],
            "metrics": [asdict(row) for row in self.metrics],
            "answers": asdict(self.answers),
            "failures": [asdict(row) for row in self.failures],
            "coverage": [asdict(row) for row in self.coverage],
            "rules": [asdict(row) for row in self.rules],
            "note": self.caution,
        }


def diff_runs(baseline: Path, candidate: Path, *, allow_incomparable: bool = False) -> RunDiff:
    """Verify two run folders and compare them.

    Args:
        baseline, candidate: run folders; a difference is candidate - baseline.
        allow_incomparable: whether to compute differences even if data, seed or recipe differ.

    Raises:
        ConfigurationError: a folder has no manifest, or the schema versions differ.
        IntegrityError: the evidence, result, manifest or verdict of a run was altered.
    """
    old, new = read_pair(baseline, candidate)
    records = by_request(old.records), by_request(new.records)
    return RunDiff(
        baseline=old,
        candidate=new,
        settings=changed_settings(old, new),
        metrics=metric_changes(old.result, new.result, allow_incomparable=allow_incomparable),
        answers=answer_changes(*records),
        failures=failure_changes(old.result, new.result, records),
        coverage=_coverage(old, new),
        rules=_rules(old, new),
        allowed=allow_incomparable,
    )


def _coverage(old: RecordedRun, new: RecordedRun) -> tuple[Coverage, ...]:
    before, after = ({o.probe: o for o in run.result.outcomes} for run in (old, new))
    return tuple(
        _covered(probe, before.get(probe), after.get(probe))
        for probe in dict.fromkeys([*after, *before])
    )


def _covered(probe: str, old: Outcome | None, new: Outcome | None) -> Coverage:
    pair = (old, new)
    status = [o.status if o else "not planned" for o in pair]
    planned = [o.planned if o else 0 for o in pair]
    ok = [o.counts.get("ok", 0) if o else 0 for o in pair]
    reason = [(o.reason or "") if o else "" for o in pair]
    return Coverage(
        probe=probe,
        status=(status[0], status[1]),
        planned=(planned[0], planned[1]),
        ok=(ok[0], ok[1]),
        reason=(reason[0], reason[1]),
    )


def _rules(old: RecordedRun, new: RecordedRun) -> tuple[RuleChange, ...]:
    if old.decision is None or new.decision is None:
        return ()
    return rule_changes(old.decision, new.decision)[0]


def _described(run: RecordedRun) -> dict[str, JsonValue]:
    decision = run.decision
    return {
        "folder": str(run.path),
        "target": run.result.target.name,
        "fingerprint": run.result.target.fingerprint,
        "run_key": run.result.run_key,
        "evidence_root": run.root,
        "records": run.n_records,
        "status": run.status,
        "finished": run.finished,
        "verdict": decision.verdict if decision else None,
        "policy": decision.policy if decision else None,
    }
