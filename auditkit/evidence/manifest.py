"""`manifest.json`: hashes of a run folder, and their verification.

Every command that writes into a run folder verifies the files that it reads, and then seals only
the files that it wrote. The recorded hashes of all other files remain, so an alteration of such a
file is still detected.

The manifest is the only file of a run with clock times, all in its `volatile` block. It records the
root and length of the evidence chain and the SHA-256 of every output. The chain reveals accidents
and partial edits. It does not reveal a complete rewrite, unless the root was also stored elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from auditkit.errors import ConfigurationError, IntegrityError, InvalidArgument
from auditkit.evidence.evidence_file import evidence_path
from auditkit.evidence.run_log import Record, RunLog, read_chain, read_log
from auditkit.security.redaction import Redaction
from auditkit.serialization.atomic_files import sha256_file, write_atomically
from auditkit.serialization.canonical_json import canonical_json, read_json

__all__ = [
    "HONEST_LIMIT",
    "MANIFEST",
    "OUTPUTS",
    "OUTPUTS_OF",
    "Verification",
    "read_manifest",
    "read_verified",
    "seal_manifest",
    "verify_report",
    "verify_resumable",
    "verify_run",
]

MANIFEST = "manifest.json"
# Outputs by the command that writes them.
OUTPUTS_OF: Mapping[str, Sequence[str]] = {
    "audit": ("result.json",),
    "gate": ("junit.xml", "results.sarif", "verdict.json"),
    "report": ("findings.csv", "report.html", "summary.md"),
}
OUTPUTS = tuple(sorted(name for names in OUTPUTS_OF.values() for name in names))
HONEST_LIMIT = (
    "The hash chain reveals accidents and partial edits. It does not reveal a rewrite of all "
    "files, unless the evidence root was also stored elsewhere: pass the stored root with --root."
)
RunStatus = Literal["running", "complete", "interrupted", "partial"]
_REPORT_ID = re.compile(r'<meta name="auditkit-run" content="([^" ]*) ([^" ]*)">')


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Result of a successful verification."""

    run_key: str
    root: str
    n_records: int
    status: str
    outputs: Mapping[str, str] = field(default_factory=dict)


def read_manifest(run: Path) -> dict[str, Any]:
    """Read the manifest of a run folder.

    Raises:
        ConfigurationError: the folder has no manifest, so it is not a run folder.
        IntegrityError: the manifest is damaged.
    """
    path = run / MANIFEST
    try:
        loaded = read_json(path.read_text(encoding="utf-8"))
        if not isinstance(loaded["evidence"], dict) or not isinstance(loaded["outputs"], dict):
            raise TypeError("evidence and outputs must be objects")
        str(loaded["run_key"]), str(loaded["status"])
    except FileNotFoundError:
        raise ConfigurationError(
            f"{run} is not a run folder: it has no {MANIFEST}. Give the --out folder of an audit."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{path} is damaged ({type(error).__name__}). Restore the file or run the audit again."
        ) from None
    return dict(loaded)


def seal_manifest(
    run: Path,
    *,
    run_key: str | None = None,
    status: RunStatus | None = None,
    fingerprints: Mapping[str, JsonValue] | None = None,
    volatile: Mapping[str, JsonValue] | None = None,
    log: RunLog | None = None,
    written: Collection[str] = (),
) -> None:
    """Write the manifest: merge the arguments, then hash the files that were written.

    Length and root of the evidence chain come from the log that wrote the evidence. When gate or
    report write the manifest again, they do not change length, root and the hashes of other
    outputs, so a file that was altered in between is still detected.

    Args:
        run: the run folder.
        run_key: required once, for the first manifest of a run.
        status: status of the run.
        fingerprints: fingerprints of model, tokenizer, catalog, recipe and code; merged by key.
        volatile: times, durations, host and process; merged by key.
        log: log of the running audit; if None, the evidence is read once, at the first seal.
        written: the outputs that the caller wrote, whose hashes are recorded.

    Raises:
        InvalidArgument: no run key is given or recorded, or the two differ.
        IntegrityError: the evidence or the manifest itself is damaged.
    """
    before: Mapping[str, Any] = {}
    if (run / MANIFEST).exists():
        before = read_manifest(run)
    key = run_key or before.get("run_key")
    if not key or before.get("run_key", key) != key:
        raise InvalidArgument(
            f"{run / MANIFEST} has the run key {before.get('run_key')!r}, but the caller gave "
            f"{run_key!r}. Give the run key of this folder."
        )
    content = {
        "schema_version": "1.0",
        "run_key": key,
        "status": status or before.get("status", "running"),
        "fingerprints": {**before.get("fingerprints", {}), **(fingerprints or {})},
        "evidence": _evidence_of(log)
        if log
        else before.get("evidence") or _read_evidence(run, key),
        "outputs": {
            **before.get("outputs", {}),
            **{name: sha256_file(run / name) for name in written},
        },
        "volatile": {**before.get("volatile", {}), **(volatile or {})},
    }
    write_atomically(run / MANIFEST, canonical_json(Redaction().tree(content), indent=1) + "\n")


def _evidence_of(log: RunLog) -> dict[str, JsonValue]:
    return _described(log.path, len(log.records), log.root)


def _read_evidence(run: Path, run_key: str) -> dict[str, JsonValue]:
    bodies, root = read_log(run, run_key)
    return _described(evidence_path(run), len(bodies), root)


def _described(path: Path, n_records: int, root: str) -> dict[str, JsonValue]:
    """Describe the evidence for the manifest; the SHA-256 covers all bytes of the file."""
    digest = sha256_file(path) if path.exists() else None
    return {"file": path.name, "n_records": n_records, "root": root, "sha256": digest}


def verify_run(
    run: Path, *, root: str | None = None, replacing: Collection[str] = ()
) -> Verification:
    """Check a run folder as `read_verified` does, without returning the records."""
    return read_verified(run, root=root, replacing=replacing)[0]


def read_verified(
    run: Path, *, root: str | None = None, replacing: Collection[str] = ()
) -> tuple[Verification, list[Record]]:
    """Check hash chain, root, length, and the hash of every output; return result and records.

    Args:
        run: the run folder.
        root: evidence root that was stored elsewhere; None to skip this check.
        replacing: outputs that the caller is about to write again and does not read; they are not
            checked, so that a command that was killed while writing can be repeated.

    Raises:
        IntegrityError: a check failed; the message names the first mismatch.
    """
    manifest = read_manifest(run)
    key, evidence = str(manifest["run_key"]), manifest["evidence"]
    records = list(read_chain(run, key))
    found = records[-1].sha256 if records else key
    if len(records) != evidence.get("n_records"):
        killed = manifest["status"] == "running" and len(records) > int(evidence["n_records"])
        raise _altered(
            evidence_path(run),
            f"the file has {len(records)} records, but the manifest states "
            f"{evidence.get('n_records')}",
            hint="The audit was killed before it sealed the folder: run its command again to "
            "resume. " * killed,
        )
    if found != evidence.get("root"):
        raise _altered(
            evidence_path(run),
            f"the evidence root is {found}, but the manifest states {evidence.get('root')}",
        )
    path, sealed = evidence_path(run), evidence.get("sha256")
    if sealed is not None and (not path.exists() or sha256_file(path) != sealed):
        raise _altered(path, "its SHA-256 differs from the manifest")
    if root is not None and root.lower() != found:
        raise _altered(
            evidence_path(run), f"the evidence root is {found}, but the given root is {root}"
        )
    _check_outputs(run, manifest["outputs"], [n for n in OUTPUTS if n not in replacing])
    result = run / "result.json"
    if result.is_file() and _run_key_of(result) != key:
        raise _altered(result, f"its run key is not {key}")
    verification = Verification(
        run_key=key,
        root=found,
        n_records=len(records),
        status=str(manifest["status"]),
        outputs=dict(manifest["outputs"]),
    )
    return verification, records


def _check_outputs(run: Path, sealed: Mapping[str, Any], names: Collection[str]) -> None:
    """Check the hashes of the named outputs, and that the manifest lists no unknown output."""
    for name in names:
        path, expected = run / name, sealed.get(name)
        if expected is None and path.exists():
            raise _altered(path, "the manifest does not list it")
        if expected is not None and not path.is_file():
            raise _altered(path, "it is missing although the manifest lists it")
        if expected is not None and sha256_file(path) != expected:
            raise _altered(path, "its SHA-256 differs from the manifest")
    if unknown := sorted(set(sealed) - set(OUTPUTS)):
        raise _altered(run / MANIFEST, f"it lists the unknown output {unknown[0]!r}")


def verify_resumable(run: Path, log: RunLog) -> None:
    """Check a folder before an audit writes into it again.

    The evidence may have grown since the last seal, because a killed audit does not seal its
    folder, but the sealed part must be unchanged. If the end of the evidence was cut off, the
    missing requests are sent again. The outputs of audit and report may be incomplete after a kill
    and are written again, so only the outputs of the gate are checked.

    Raises:
        IntegrityError: the sealed part of the evidence or an output of the gate was altered.
    """
    if not (run / MANIFEST).exists():
        return
    manifest = read_manifest(run)
    n_sealed, root = manifest["evidence"].get("n_records"), manifest["evidence"].get("root")
    if not isinstance(n_sealed, int) or log.root_after(n_sealed) not in (None, root):
        raise _altered(
            evidence_path(run), f"the first {n_sealed} records do not have the root {root}"
        )
    _check_outputs(run, manifest["outputs"], OUTPUTS_OF["gate"])


def verify_report(report: Path, verification: Verification) -> None:
    """Check that a report stored outside its run folder was made from that run.

    Raises:
        IntegrityError: the file is not a report, belongs to another run, or was altered.
    """
    head = report.read_bytes()[:65536].decode("utf-8", "replace")
    match = _REPORT_ID.search(head)
    if match is None:
        raise IntegrityError(f"{report} is not an auditkit report. Give the report.html of a run.")
    if match.groups() != (verification.run_key, verification.root):
        raise _altered(
            report,
            f"its run key {match[1]} and evidence root {match[2]} differ from those of the "
            "run folder",
        )
    sealed = verification.outputs.get("report.html")
    if sealed is not None and sha256_file(report) != sealed:
        raise _altered(report, "its SHA-256 differs from the manifest")


def _run_key_of(result: Path) -> str | None:
    try:
        key = read_json(result.read_text(encoding="utf-8"))["run_key"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(key)


def _altered(path: Path, what: str, *, hint: str = "") -> IntegrityError:
    remedy = hint.strip() or "Restore the file or run the audit again."
    return IntegrityError(f"{path} was altered or damaged: {what}. {remedy}")
