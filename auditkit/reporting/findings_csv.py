"""`findings.csv`: one line per finding, escaped against spreadsheet formula injection."""

from __future__ import annotations

import csv
import io
import re

from auditkit.reporting.evidence_cards import n_cases
from auditkit.security.escaping import visible
from auditkit.security.personal_data import mask
from auditkit.types import AuditResult

__all__ = ["render_findings_csv", "spreadsheet_text"]

_HEADER = (
    "metric", "group", "value", "low", "high", "level", "n", "n_missing", "unit", "direction",
    "status", "reason", "law", "metric_version", "n_evidence", "n_cases", "notes",
)  # fmt: skip
_BLANK = re.compile(r"^[\s\u00a0\u200b-\u200f\u2028-\u202f\u2060-\u2064\ufeff]*")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def spreadsheet_text(text: str) -> str:
    """Escape text so that spreadsheets do not evaluate it, and make hidden characters visible."""
    text = mask(text)
    bare = _BLANK.sub("", text)
    shown = visible(text).replace("\n", " ").replace("\t", " ")
    return f"'{shown}" if bare.startswith(_FORMULA) or text[:1] in _FORMULA else shown


def render_findings_csv(result: AuditResult) -> str:
    """Render findings as CSV (UTF-8, LF), with numbers as in `result.json`; missing numbers are
    empty.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_HEADER)
    for finding in result.findings:
        estimate = finding.estimate
        numbers = [estimate.value, estimate.low, estimate.high, estimate.level]
        writer.writerow(
            [
                spreadsheet_text(finding.metric),
                spreadsheet_text(finding.group),
                *("" if number is None else repr(number) for number in numbers),
                estimate.n,
                estimate.n_missing,
                spreadsheet_text(estimate.unit),
                estimate.direction,
                estimate.status,
                spreadsheet_text(estimate.reason or ""),
                finding.law.kind,
                finding.metric_version,
                len(finding.evidence),
                n_cases(finding),
                spreadsheet_text("; ".join(finding.notes)),
            ]
        )
    return stream.getvalue()
