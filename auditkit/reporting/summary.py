"""`summary.md`: a summary of at most 60 lines for pull requests and CI, without model text."""

from __future__ import annotations

from auditkit.reporting.run_reader import ReportSource
from auditkit.reporting.statements.first_screen import statement, weight
from auditkit.reporting.statements.suspicion import suspicion
from auditkit.security.escaping import format_number, visible
from auditkit.security.personal_data import mask
from auditkit.types import Finding

__all__ = ["markdown_text", "render_summary"]

_MAX_ROWS = 30
_MAX_REASONS = 3
_MAX_ERROR = 300
_MAX_WARNING = 500
_SPECIAL = frozenset("|\\`<>&@[]!*_")


def markdown_text(text: str, *, limit: int = 120) -> str:
    """Escape a name so that Markdown shows it literally on one line."""
    line = " ".join(visible(mask(text)).split())
    line = line if len(line) <= limit else line[: limit - 1] + "\u2026"
    return "".join(f"&#{ord(c)};" if c in _SPECIAL else c for c in line)


def render_summary(source: ReportSource) -> str:
    """Render the verdict, the rules that do not pass, and the probes that did not run."""
    result, decision = source.result, source.decision
    lines = ["# auditkit report", ""]
    if decision is None:
        lines.append("**NOT JUDGED**: no policy was applied. This is not a release decision.")
    else:
        lines.append(
            f"**{decision.verdict.upper()}** (exit {decision.exit_code}) by policy "
            f"{markdown_text(decision.policy)}: {decision.summary}"
        )
        against = [r for r in decision.rules if r.effect in ("fails", "blocks")]
        for rule in sorted(against, key=weight)[:_MAX_REASONS]:
            told = statement(rule, result)
            lines += ["", f"- {markdown_text(f'{told.sentence} {told.facts}', limit=_MAX_ERROR)}"]
    if warning := suspicion(result.findings):
        lines += ["", markdown_text(warning, limit=_MAX_WARNING)]
    lines += ["", f"Target: {markdown_text(result.target.name)}", ""]
    lines += _rule_rows(source) if decision else _finding_rows(result.findings)
    lines += ["", "## Not tested", ""]
    not_run = [outcome for outcome in result.outcomes if outcome.status != "ran"]
    for outcome in not_run[:10]:
        reason = markdown_text(outcome.reason or "no reason recorded")
        lines.append(f"- {markdown_text(outcome.probe)}: {outcome.status}, {reason}")
    if len(not_run) > 10:
        lines.append(f"- and {len(not_run) - 10} more, see report.html")
    if not not_run:
        lines.append("- every planned probe ran")
    if source.error:
        lines.append(f"- {markdown_text(source.error, limit=_MAX_ERROR)}")
    if source.status != "complete":
        lines.append(f"- the run is {markdown_text(source.status)}")
    lines += [
        "",
        f"Evidence root: {markdown_text(source.root)}",
        f"Run key: {markdown_text(result.run_key)}",
        "",
    ]
    return "\n".join(lines)


def _rule_rows(source: ReportSource) -> list[str]:
    assert source.decision is not None
    order = {"fails": 0, "blocks": 1, "tolerated": 2, "shown": 3, "passes": 4}
    rules = sorted(source.decision.rules, key=lambda rule: order[rule.effect])
    lines = ["| rule | verdict | value | bounds | limit | reason |", "|---|---|---|---|---|---|"]
    for rule in rules[:_MAX_ROWS]:
        bounds = f"{format_number(rule.lower)} to {format_number(rule.upper)}"
        verdict = rule.verdict.upper() + (" (waived)" if rule.waiver else "")
        lines.append(
            f"| {markdown_text(rule.name)} | {verdict} | {format_number(rule.value)} | {bounds} | "
            f"{rule.limit_text} | {markdown_text(rule.reason or '')} |"
        )
    if len(rules) > _MAX_ROWS:
        lines += ["", f"{_MAX_ROWS} of {len(rules)} rule checks shown."]
    return lines


def _finding_rows(findings: tuple[Finding, ...]) -> list[str]:
    lines = ["| metric | group | value | interval | n |", "|---|---|---|---|---|"]
    for finding in findings[:_MAX_ROWS]:
        estimate = finding.estimate
        lines.append(
            f"| {markdown_text(finding.metric)} | {markdown_text(finding.group)} | "
            f"{format_number(estimate.value)} | {format_number(estimate.low)} to "
            f"{format_number(estimate.high)} | {estimate.n} |"
        )
    if len(findings) > _MAX_ROWS:
        lines += ["", f"{_MAX_ROWS} of {len(findings)} findings shown."]
    return lines
