"""Judge a run folder and write the verdict as JSON, JUnit and SARIF.

The verdict is decided once, before any output is written. This module never calls the recommender
and opens no socket.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from auditkit.errors import ConfigurationError, IntegrityError
from auditkit.evidence.manifest import MANIFEST, OUTPUTS_OF, seal_manifest, verify_run
from auditkit.policy.decide import decide
from auditkit.policy.decision import Decision
from auditkit.policy.schema import Policy
from auditkit.reporting.junit import render_junit
from auditkit.reporting.sarif import render_sarif
from auditkit.serialization.atomic_files import sha256_file, write_atomically
from auditkit.types import AuditResult

__all__ = ["gate_run", "read_baseline"]


def gate_run(
    run: Path,
    policy: Policy,
    *,
    baseline: Path | None = None,
    as_of: datetime.date | None = None,
    strict: bool = False,
    allow_incomparable: bool = False,
) -> Decision:
    """Verify a run, decide, and write `verdict.json`, `junit.xml` and `results.sarif`.

    Args:
        run: run folder to judge.
        policy: the policy.
        baseline: run folder or result.json; if None, the baseline that the policy names.
        as_of: day on which expiry dates of waivers are checked; if None, today (UTC).
        strict: whether every inconclusive rule blocks a release.
        allow_incomparable: whether to compare even with an incomparable baseline; the verdict is
            then never pass.

    Raises:
        IntegrityError: the run or the baseline was altered.
    """
    verification = verify_run(run, replacing=OUTPUTS_OF["gate"])
    decision = decide(
        AuditResult.read(run),
        policy,
        baseline=read_baseline(baseline or policy.baseline_path()),
        verification=verification,
        as_of=as_of,
        strict=strict,
        allow_incomparable=allow_incomparable,
    )
    junit, sarif = render_junit(decision), render_sarif(decision)
    decision.write(run)
    write_atomically(run / "junit.xml", junit)
    write_atomically(run / "results.sarif", sarif)
    seal_manifest(run, written=OUTPUTS_OF["gate"])
    return decision


def read_baseline(path: Path | None) -> AuditResult | None:
    """Read a baseline from a run folder or from a separate result file.

    A run folder, or a `result.json` inside a run folder, is verified. A separate file is compared
    with the hash in `NAME.sha256` beside it, if that file exists.

    Raises:
        ConfigurationError: the file does not exist, or the folder is not a run folder.
        IntegrityError: the baseline was altered.
    """
    if path is None:
        return None
    run = path.parent if path.name == "result.json" and (path.parent / MANIFEST).exists() else path
    if run.is_dir():
        verify_run(run)
        return AuditResult.read(run)
    if not path.is_file():
        raise ConfigurationError(
            f"baseline {path} does not exist. Give a run folder or a result.json."
        )
    pin = path.with_name(f"{path.name}.sha256")
    if pin.is_file() and pin.read_text(encoding="utf-8").split()[:1] != [sha256_file(path)]:
        raise IntegrityError(
            f"the SHA-256 of baseline {path} differs from the hash in {pin.name}. Restore the file."
        )
    return AuditResult.from_json(path.read_text(encoding="utf-8"), source=str(path))
