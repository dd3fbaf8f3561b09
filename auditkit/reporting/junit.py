"""`junit.xml`: every (rule, group) as a test case, so that any CI shows the verdict.

It contains no model text and no times, so its bytes depend only on the decision.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from auditkit.policy.decision import Decision, RuleVerdict
from auditkit.security.escaping import visible
from auditkit.security.personal_data import mask

__all__ = ["render_junit"]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    """Replace characters that XML 1.0 does not allow with visible escapes."""
    return _NOT_XML.sub(lambda match: f"\\u{ord(match[0]):04x}", visible(mask(text)))


def _attribute(text: str) -> str:
    return quoteattr(_xml(text).replace("\n", " "))


def _kind(rule: RuleVerdict) -> str:
    """JUnit category of a rule: `failures`, `errors` or `skipped`; empty for a pass.

    A tolerated rule is `skipped`, because an error fails the build in most CI systems.
    """
    if rule.effect in ("shown", "tolerated") or rule.severity == "info":
        return "" if rule.verdict == "pass" else "skipped"
    return {"fail": "failures", "inconclusive": "errors"}.get(rule.verdict, "")


def _case(rule: RuleVerdict) -> list[str]:
    start = f"    <testcase classname={_attribute(rule.dimension)} name={_attribute(rule.name)}"
    message = _attribute(rule.sentence)
    body = {
        "failures": f'      <failure message={message} type="FAIL"/>',
        "errors": f"      <error message={message} type={_attribute(rule.reason or '')}/>",
        "skipped": f"      <skipped message={message}/>",
    }.get(_kind(rule))
    notes = [f"decided with a waiver that expires on {rule.waiver.expires}"] if rule.waiver else []
    notes += ["decided on a point estimate"] if rule.on_point else []
    notes += [f"passes by construction: {rule.detail}"] if rule.passes_by_construction else []
    lines = [body] if body else []
    if notes:
        lines.append(f"      <system-out>{escape(_xml('; '.join(notes)))}</system-out>")
    return [start + ">", *lines, "    </testcase>"] if lines else [start + "/>"]


def _totals(rules: Sequence[RuleVerdict]) -> str:
    kinds = [_kind(rule) for rule in rules]
    counts = " ".join(f'{kind}="{kinds.count(kind)}"' for kind in ("failures", "errors", "skipped"))
    return f'tests="{len(rules)}" {counts}'


def render_junit(decision: Decision) -> str:
    """Render the decision as JUnit XML with one suite per dimension and consistent counts."""
    properties = {
        "run_key": decision.run_key,
        "evidence_root": decision.evidence_root or "not verified",
        "verdict": decision.verdict,
        "exit_code": str(decision.exit_code),
        "policy": decision.policy,
        "policy_sha256": decision.policy_sha256,
    }
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuites name="auditkit" {_totals(decision.rules)}>')
    for dimension in dict.fromkeys(rule.dimension for rule in decision.rules):
        rules = [rule for rule in decision.rules if rule.dimension == dimension]
        lines.append(f"  <testsuite name={_attribute(dimension)} {_totals(rules)}>")
        lines.append("    <properties>")
        for name, value in properties.items():
            lines.append(f"      <property name={_attribute(name)} value={_attribute(value)}/>")
        fixed = sum(rule.passes_by_construction for rule in rules)
        lines.append(f'      <property name="passes_by_construction" value="{fixed}"/>')
        lines.append("    </properties>")
        for rule in rules:
            lines += _case(rule)
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])
