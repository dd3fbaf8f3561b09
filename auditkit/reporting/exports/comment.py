"""`comment.md`: the body of a pull-request comment, with the changes since a base run.

The first line is a marker by which a CI job finds its earlier comment. The comment contains no
model text, and names are escaped as in `summary.md`. Only verdicts are compared, not numbers: to
test whether a difference of two values exceeds chance, use a rule with `baseline`, which pairs the
users.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from auditkit.comparison.rule_changes import ABSENT, rule_changes
from auditkit.policy.baseline import incomparable
from auditkit.policy.decision import Decision
from auditkit.reporting.run_reader import ReportSource, read_verified_source
from auditkit.reporting.summary import markdown_text, render_summary
from auditkit.security.escaping import format_number
from auditkit.serialization.atomic_files import write_atomically

__all__ = ["MARKER", "render_comment", "write_comment"]

MARKER = "<!-- auditkit -->"
_MOST_ROWS = 30
_MOST_DIFFERENCES = 5


def write_comment(run: Path, path: Path, *, base: Path | None = None) -> Path:
    """Write the comment of a run.

    Args:
        run: run folder with a verdict.
        path: file to write, replaced if it exists.
        base: run folder to compare with, such as that of the target branch.

    Raises:
        IntegrityError: a run folder was altered.
    """
    before = None if base is None else read_verified_source(base)
    write_atomically(path, render_comment(read_verified_source(run), before))
    return path


def render_comment(source: ReportSource, base: ReportSource | None = None) -> str:
    """Render the summary and, given a base run, the rules whose verdict changed."""
    lines = [MARKER, render_summary(source).rstrip("\n"), ""]
    if base is not None:
        lines += ["## What changed since the base run", "", *_changes(source, base), ""]
    return "\n".join(lines)


def _changes(source: ReportSource, base: ReportSource) -> Iterator[str]:
    differences = incomparable(source.result, base.result, [])
    for line in differences[:_MOST_DIFFERENCES]:
        yield f"- not comparable: {markdown_text(line, limit=200)}"
    if base.decision is None or source.decision is None:
        which = "base run" if base.decision is None else "run"
        yield f"- the {which} has no verdict; run `auditkit gate` on it to compare verdicts"
        return
    if base.decision.policy_sha256 != source.decision.policy_sha256:
        yield "- the base run was judged by another policy or another version of it"
    words = [one.verdict.upper() for one in (base.decision, source.decision)]
    yield f"- verdict: {words[0]} before, {words[1]} now"
    yield from _rule_changes(base.decision, source.decision)


def _rule_changes(before: Decision, now: Decision) -> Iterator[str]:
    changed, n = rule_changes(before, now)
    yield f"- {n - len(changed)} of {n} rule checks have the same verdict"
    if not changed:
        return
    yield ""
    yield "| rule | before | now | value before | value now |"
    yield "|---|---|---|---|---|"
    for row in changed[:_MOST_ROWS]:
        words = [_marked(row.baseline), _marked(row.candidate)]
        values = [format_number(row.baseline_value), format_number(row.candidate_value)]
        yield f"| {markdown_text(row.rule)} | {' | '.join([*words, *values])} |"
    if len(changed) > _MOST_ROWS:
        yield ""
        yield f"{_MOST_ROWS} of {len(changed)} changed rule checks shown."


def _marked(word: str) -> str:
    """Write a verdict in capitals, because a Markdown table has no colors."""
    verdict, space, rest = word.partition(" ")
    return word if word == ABSENT else f"{verdict.upper()}{space}{rest}"
