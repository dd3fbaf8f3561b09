"""`results.sarif` (SARIF 2.1.0): FAIL and INCONCLUSIVE rules as alerts on lines of the policy.

`kind` keeps its default, because any other kind forces level `none` and disappears in code
scanning; `properties.verdict` is the verdict. The file contains no model text.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from auditkit.policy.decision import Decision, RuleVerdict
from auditkit.policy.vocabulary import DECIDING
from auditkit.reporting.standards import references
from auditkit.security.escaping import visible
from auditkit.serialization.canonical_json import canonical_json

__all__ = ["render_sarif", "tool_version"]


def tool_version() -> str:
    """Installed version of auditkit."""
    try:
        return version("auditkit")
    except PackageNotFoundError:
        return "0.0.0"


def _location(source: str) -> str:
    """Path of the policy with forward slashes; only the file name if it is outside the working
    folder.
    """
    path = Path(source)
    if path.is_absolute():
        here = Path.cwd()
        path = path.relative_to(here) if path.is_relative_to(here) else Path(path.name)
    return str(PurePosixPath(path.name if ".." in path.parts else path.as_posix()))


def _level(rule: RuleVerdict) -> str:
    if rule.severity == "info":
        return "note"
    return "error" if rule.verdict == "fail" and rule.severity in DECIDING else "warning"


def _result(rule: RuleVerdict, uri: str) -> dict[str, Any]:
    identity = hashlib.sha256(f"{rule.rule}\0{rule.group}".encode("utf-8", "surrogatepass"))
    fingerprint = identity.hexdigest()[:32]
    result: dict[str, Any] = {
        "ruleId": rule.rule,
        "level": _level(rule),
        "message": {"text": visible(rule.sentence)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": rule.line},
                }
            }
        ],
        "partialFingerprints": {
            "primaryLocationLineHash": fingerprint,
            "auditkitRule/v1": fingerprint,
        },
        "properties": {
            "verdict": rule.verdict,
            "effect": rule.effect,
            "reason": rule.reason,
            "group": visible(rule.group),
            "decidedOnPointEstimate": rule.on_point,
        },
    }
    if rule.waiver:
        result["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": visible(rule.waiver.reason),
            }
        ]
    return result


def render_sarif(decision: Decision) -> str:
    """Render the decision as SARIF, one result per (rule, group) that failed or is inconclusive."""
    uri = _location(decision.policy_source)
    first = {rule.rule: rule for rule in reversed(decision.rules)}
    rules = [
        {
            "id": rule.rule,
            "shortDescription": {"text": f"{rule.metric} {rule.limit_text}"},
            "properties": {"severity": rule.severity, "standards": references(rule.dimension)},
        }
        for rule in reversed(first.values())
    ]
    run = {
        "tool": {"driver": {"name": "auditkit", "semanticVersion": tool_version(), "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "exitCode": decision.exit_code}],
        "results": [_result(rule, uri) for rule in decision.rules if rule.verdict != "pass"],
        "properties": {
            "verdict": decision.verdict,
            "runKey": decision.run_key,
            "evidenceRoot": decision.evidence_root,
            "policySha256": decision.policy_sha256,
        },
    }
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return canonical_json(document, indent=1) + "\n"
