"""Reader of a run folder, which verifies and reads the folder once for a report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkit.evidence.failures import commonest_error
from auditkit.evidence.manifest import MANIFEST, read_manifest, read_verified
from auditkit.evidence.run_log import Record, read_chain
from auditkit.policy.decision import Decision
from auditkit.types import AuditResult

__all__ = ["Record", "ReportSource", "read_source", "read_verified_source"]


@dataclass(frozen=True)
class ReportSource:
    """Content of a run folder for the report; `error` is the most common error of the requests."""

    result: AuditResult
    manifest: Mapping[str, Any]
    decision: Decision | None
    records: Mapping[str, Record]
    n_records: int
    root: str
    notes: tuple[str, ...] = ()
    error: str | None = None

    @property
    def status(self) -> str:
        """`complete`, `partial`, `interrupted` or `running`; `unsealed` for a folder without a
        manifest.
        """
        return str(self.manifest.get("status", "unsealed"))


def read_verified_source(run: Path, *, replacing: Collection[str] = ()) -> ReportSource:
    """Verify a whole run folder and read it, with the arguments and errors of `verify_run`."""
    _, records = read_verified(run, replacing=replacing)
    return read_source(run, records)


def read_source(run: Path, log: Sequence[Record] | None = None) -> ReportSource:
    """Read a run folder, and verify its evidence unless verified records are given.

    Only records that findings cite are loaded. A verdict on another result or evidence root is
    ignored, and a note says so.

    Args:
        run: the run folder.
        log: the verified records; None to read and verify them.

    Raises:
        IntegrityError: result, evidence, manifest or verdict is damaged.
    """
    result = AuditResult.read(run)
    log = list(read_chain(run, result.run_key)) if log is None else log
    root = log[-1].sha256 if log else result.run_key
    manifest = read_manifest(run) if (run / MANIFEST).exists() else {}
    decision, notes = Decision.read(run), list(result.notes)
    if decision is not None and not decision.is_about(result.run_key, root):
        decision = None
        notes.append(
            "verdict.json was decided for another state of this run and is not shown; run "
            "`auditkit gate` again"
        )
    wanted = {i for f in result.findings for e in f.evidence for i in e.requests}
    return ReportSource(
        result=result,
        manifest=manifest,
        decision=decision,
        # A later record of a request replaces earlier ones.
        records={r.body["request_id"]: r for r in log if r.body.get("request_id") in wanted},
        n_records=len(log),
        root=root,
        notes=tuple(notes),
        error=commonest_error([record.body for record in log]),
    )
