"""`attestation.json`: an unsigned in-toto Statement v1 about the outputs of a run.

Subjects are the sealed outputs with their SHA-256; the predicate contains the evidence root, the
hash of the policy and the verdict. A statement that is signed with a tool of the reader's choice,
and stored elsewhere, reveals a complete rewrite of the run folder, which the hash chain alone does
not. The statement contains no clock time, so the same folder always gives the same bytes.

Source: in-toto Attestation Framework, Statement v1. The type of the predicate is a name, not an
address.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from auditkit.errors import ConfigurationError
from auditkit.evidence.manifest import Verification, verify_run
from auditkit.policy.decision import Decision
from auditkit.reporting.sarif import tool_version
from auditkit.security.escaping import visible
from auditkit.security.personal_data import mask
from auditkit.serialization.atomic_files import write_atomically
from auditkit.serialization.canonical_json import canonical_json
from auditkit.types import AuditResult

__all__ = ["ATTESTATION", "PREDICATE_TYPE", "STATEMENT_TYPE", "statement_of", "write_attestation"]

ATTESTATION = "attestation.json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:x-auditkit:audit-result:v1"


def write_attestation(run: Path) -> Path:
    """Verify a run folder, write the statement into it, and return the path of the statement.

    The manifest does not seal the statement, because the statement describes the sealed outputs.

    Raises:
        ConfigurationError: the folder has no manifest, or no sealed output.
        IntegrityError: the run was altered.
    """
    verification = verify_run(run)
    if not verification.outputs:
        raise ConfigurationError(
            f"{run} has no sealed output to attest, because its audit is not finished. Resume the "
            "audit and let it finish."
        )
    decision = Decision.read_about(run, verification.run_key, verification.root)
    statement = statement_of(verification, AuditResult.read(run), decision)
    path = run / ATTESTATION
    write_atomically(path, canonical_json(statement, indent=1) + "\n")
    return path


def statement_of(
    verification: Verification, result: AuditResult, decision: Decision | None
) -> dict[str, JsonValue]:
    """Create the statement as JSON.

    Args:
        verification: result of a successful verification of the folder.
        decision: the verdict on this state of the run; None if there is none.
    """
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest}}
            for name, digest in sorted(verification.outputs.items())
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "tool": {"name": "auditkit", "version": tool_version()},
            "runKey": verification.run_key,
            "evidence": {
                "root": verification.root,
                "records": verification.n_records,
                "status": verification.status,
            },
            "target": {
                "name": visible(mask(result.target.name)),
                "fingerprint": visible(mask(result.target.fingerprint)),
                "verified": result.target.verified,
            },
            "policy": None
            if decision is None
            else {"name": visible(decision.policy), "sha256": decision.policy_sha256},
            "verdict": None if decision is None else decision.verdict,
            "exitCode": None if decision is None else decision.exit_code,
        },
    }
