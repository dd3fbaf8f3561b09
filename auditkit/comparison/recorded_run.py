"""A verified run folder as the comparison reads it: result, verdict, manifest and evidence.

Only verified runs are compared. A verdict on another result or evidence root is left out, as in the
report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkit.errors import ConfigurationError, IntegrityError
from auditkit.evidence.manifest import MANIFEST, Verification, read_manifest, read_verified
from auditkit.evidence.run_log import Record
from auditkit.policy.decision import Decision
from auditkit.serialization.canonical_json import read_json
from auditkit.types import AuditResult

__all__ = ["RecordedRun", "find_runs", "read_pair", "read_run"]

_MAX_DEPTH = 2


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """One verified run.

    Attributes:
        path: the folder. root: evidence root. n_records: number of records of the evidence.
        decision: the verdict on exactly this result and evidence; None if there is none.
        records: bodies of the evidence records in order; empty if the evidence was not requested.
    """

    path: Path
    result: AuditResult
    manifest: Mapping[str, Any]
    root: str
    n_records: int
    decision: Decision | None = None
    records: Sequence[Mapping[str, Any]] = ()

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def status(self) -> str:
        """`complete`, `partial`, `interrupted` or `running`."""
        return str(self.manifest.get("status", ""))

    @property
    def finished(self) -> str:
        """Time at which the audit ended, UTC as `2026-06-01T10:00:00Z`; empty if not recorded."""
        return str(self.manifest.get("volatile", {}).get("finished", ""))

    @property
    def verdict(self) -> str:
        """`pass`, `fail`, `inconclusive`, or `none` if no policy was applied."""
        return self.decision.verdict if self.decision else "none"


def read_run(run: Path, *, with_records: bool = False) -> RecordedRun:
    """Verify and read a run folder.

    Args:
        with_records: whether to load the evidence records into memory.

    Raises:
        ConfigurationError: the folder has no manifest.
        IntegrityError: the evidence, result, manifest or verdict was altered.
    """
    verification, records = read_verified(run)
    return _read(run, verification, records if with_records else ())


def _read(run: Path, verification: Verification, records: Sequence[Record]) -> RecordedRun:
    return RecordedRun(
        path=run,
        result=AuditResult.read(run),
        manifest=read_manifest(run),
        root=verification.root,
        n_records=verification.n_records,
        decision=Decision.read_about(run, verification.run_key, verification.root),
        records=tuple(record.body for record in records),
    )


def read_pair(baseline: Path, candidate: Path) -> tuple[RecordedRun, RecordedRun]:
    """Verify and read two run folders with their evidence.

    Raises:
        ConfigurationError: a folder has no manifest, or the results have different major versions
            of the schema.
        IntegrityError: the evidence, result, manifest or verdict of a run was altered.
    """
    verified = [read_verified(run) for run in (baseline, candidate)]
    versions = [_schema_version(run) for run in (baseline, candidate)]
    if versions[0].split(".")[0] != versions[1].split(".")[0]:
        raise ConfigurationError(
            f"{baseline} has schema version {versions[0]} and {candidate} has {versions[1]}, so "
            "their numbers cannot be compared. Run both audits with the same version of auditkit."
        )
    return _read(baseline, *verified[0]), _read(candidate, *verified[1])


def _schema_version(run: Path) -> str:
    path = run / "result.json"
    try:
        return str(read_json(path.read_text(encoding="utf-8"))["schema_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{path} cannot be read ({type(error).__name__}). Finish the audit of this folder, or "
            "run it again."
        ) from None


def find_runs(folder: Path) -> list[Path]:
    """Find run folders in a folder and its subfolders, sorted by path; links are not followed.

    Raises:
        ConfigurationError: the folder does not exist, or it contains no run.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder. Give a folder that contains runs.")
    found = sorted(_runs_below(folder, _MAX_DEPTH))
    if not found:
        raise ConfigurationError(
            f"{folder} contains no run folder within {_MAX_DEPTH} levels: no folder has a "
            f"{MANIFEST}. Give the folder that contains the --out folders of audits."
        )
    return found


def _runs_below(folder: Path, depth: int) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink() or not path.is_dir():
            continue
        if (path / MANIFEST).is_file():
            yield path
        elif depth > 1:
            yield from _runs_below(path, depth - 1)
