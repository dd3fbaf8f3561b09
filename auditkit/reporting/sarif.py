"""`results.sarif` (SARIF 2.1.0): FAIL and INCONCLUSIVE rules as alerts on lines of the policy.

`kind` keeps its default, because any other kind forces level `none` and disappears in code
scanning; `properties.verdict` is the verdict. The file contains no model text.

Programs that read SARIF use only a few fields. sarif-tools counts levels, ignores suppressions, and
compares runs by rule id and message; GitHub matches alerts by `primaryLocationLineHash` and rejects
a URI that is not percent-encoded; GitLab drops suppressed results. Therefore the message contains
no measured numbers, which are in the properties, and a failure covered by a waiver is a suppressed
note. A failure beyond the limit of its waiver is not covered, so it is not suppressed and keeps its
level.
"""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from auditkit.policy.decision import Decision, RuleVerdict
from auditkit.policy.vocabulary import DECIDING
from auditkit.reporting.standards import references
from auditkit.security.escaping import visible
from auditkit.security.personal_data import mask
from auditkit.serialization.canonical_json import canonical_json

__all__ = ["render_sarif", "tool_version"]


def tool_version() -> str:
    """Installed version of auditkit."""
    try:
        return version("auditkit")
    except PackageNotFoundError:
        return "0.0.0"


def _location(source: str) -> str:
    """Return the percent-encoded relative path of the policy.

    Outside of the working folder, only the file name is returned.
    """
    path = Path(source)
    if path.is_absolute():
        here = Path.cwd()
        path = path.relative_to(here) if path.is_relative_to(here) else Path(path.name)
    relative = PurePosixPath(path.name if ".." in path.parts else path.as_posix())
    return quote(os.fsencode(str(relative)))


def _is_reported(rule: RuleVerdict) -> bool:
    """Whether a rule did not pass, or passed only because of its waiver."""
    return rule.verdict != "pass" or (rule.waiver is not None and not rule.meets_own_limit)


def _is_covered(rule: RuleVerdict) -> bool:
    """Whether a waiver covers the failed or inconclusive verdict of a rule."""
    return rule.waiver is not None and rule.effect not in ("fails", "blocks")


def _level(rule: RuleVerdict) -> str:
    if rule.severity == "info" or _is_covered(rule):
        return "note"
    return "error" if rule.verdict == "fail" and rule.severity in DECIDING else "warning"


def _message(rule: RuleVerdict) -> str:
    """Write a sentence without measured numbers, so that it is equal in all runs."""
    subject = rule.metric if rule.group == "all" else f"{rule.metric} for {rule.group}"
    if _is_covered(rule):
        return f"{subject} does not meet its limit and is covered by a waiver."
    if rule.verdict == "fail":
        return f"{subject} does not meet its limit: {rule.limit_text}."
    why = f" ({rule.reason})" if rule.reason else ""
    return f"{subject} was not shown to meet the limit{why}: {rule.limit_text}."


def _result(rule: RuleVerdict, uri: str, index: int) -> dict[str, Any]:
    identity = hashlib.sha256(f"{rule.rule}\0{rule.group}".encode("utf-8", "surrogatepass"))
    fingerprint = identity.hexdigest()[:32]
    result: dict[str, Any] = {
        "ruleId": rule.rule,
        "ruleIndex": index,
        "level": _level(rule),
        "message": {"text": visible(mask(_message(rule)))},
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
            "group": visible(mask(rule.group)),
            "decidedOnPointEstimate": rule.on_point,
            "value": rule.value,
            "lower": rule.lower,
            "upper": rule.upper,
            "confidence": rule.confidence,
            "n": rule.n,
        },
    }
    if rule.waiver and _is_covered(rule):
        result["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": visible(rule.waiver.reason),
            }
        ]
    return result


def render_sarif(decision: Decision) -> str:
    """Render the decision as SARIF.

    There is one result per (rule, group) that failed, is inconclusive, or passed only because of
    its waiver.
    """
    uri = _location(decision.policy_source)
    first = {rule.rule: rule for rule in reversed(decision.rules)}
    rules: list[dict[str, Any]] = [
        {
            "id": rule.rule,
            "shortDescription": {"text": f"{rule.metric} {rule.limit_text}"},
            "properties": {"severity": rule.severity, "standards": references(rule.dimension)},
        }
        for rule in reversed(first.values())
    ]
    index = {rule["id"]: i for i, rule in enumerate(rules)}
    reported = [rule for rule in decision.rules if _is_reported(rule)]
    run = {
        "tool": {
            "driver": {
                "name": "auditkit",
                "version": tool_version(),
                "semanticVersion": tool_version(),
                "rules": rules,
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "exitCode": decision.exit_code}],
        "originalUriBaseIds": {
            "%SRCROOT%": {"description": {"text": "Working folder of the `auditkit gate` command."}}
        },
        "results": [_result(rule, uri, index[rule.rule]) for rule in reported],
        "properties": {
            "verdict": decision.verdict,
            "passesByConstruction": decision.counts["by_construction"],
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
