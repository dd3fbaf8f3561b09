"""A comparison of two runs as text for a terminal; untrusted text is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditkit.comparison.answers import Answer
    from auditkit.comparison.diff import RunDiff
    from auditkit.comparison.failures import Change
    from auditkit.comparison.metric_changes import MetricChange
    from auditkit.comparison.recorded_run import RecordedRun
    from auditkit.types import Estimate

__all__ = ["diff_lines", "print_diff"]

_STYLES: Mapping[str, str] = {"worse": "red", "better": "green", "not compared": "yellow"}
_MAX_TITLES = 5
_MAX_CELL = 60

# A line with the style in which a terminal shows it; empty for the usual one.
Line = tuple[str, str]


def print_diff(diff: RunDiff, *, every: bool = False) -> None:
    """Print a comparison on stdout, in color on a terminal.

    Args:
        every: whether unchanged metrics and probes are listed too.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    for text, style in diff_lines(diff, every=every):
        console.print(Text(text, style=style), soft_wrap=True)


def diff_lines(diff: RunDiff, *, every: bool = False) -> Iterator[Line]:
    """Return the lines of a comparison, each with its text style."""
    for name, run in (("baseline ", diff.baseline), ("candidate", diff.candidate)):
        yield _run_line(name, run), ""
    if diff.obstacles:
        word = "computed all the same" if diff.allowed else "not computed"
        conditions = ", ".join(diff.obstacles)
        yield (
            f"measured under different conditions ({conditions}); differences are {word}",
            "yellow",
        )
    yield from _headed("settings that differ", _settings(diff))
    yield from _headed("headline metrics", _metrics(diff.headlines))
    rest = [row for row in diff.metrics if not row.headline]
    shown = rest if every else [row for row in rest if row.moved or row.disjoint]
    yield from _headed("other metrics" if every else "other metrics that moved", _metrics(shown))
    yield from _headed("responses to equal requests", _answers(diff))
    yield from _headed("newly failing and newly fixed", _failures(diff))
    yield from _headed("coverage", _coverage(diff, every=every))
    yield from _headed("rules with another verdict", _rules(diff))
    yield "", ""
    yield diff.caution, ""


def _headed(title: str, lines: Iterator[Line]) -> Iterator[Line]:
    """A heading and its lines; nothing if there are none."""
    found = list(lines)
    if found:
        yield "", ""
        yield title, "bold"
        yield from found


def _run_line(name: str, run: RecordedRun) -> str:
    from auditkit.security.escaping import terminal_text

    verdict = "not judged" if run.decision is None else run.decision.verdict.upper()
    target = terminal_text(run.result.target.name, _MAX_CELL)
    return (
        f"{name}  {terminal_text(run.name, _MAX_CELL)}: {target}, {run.n_records} records, "
        f"{terminal_text(run.status)}, {verdict}, root {run.root}"
    )


def _cells(rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> Iterator[Line]:
    """Aligned rows, the first of them a header."""
    from auditkit.cli.tables import aligned

    for number, line in enumerate(aligned(rows).splitlines()):
        yield f"  {line}", "dim" if number == 0 else styles[number - 1] if styles else ""


def _settings(diff: RunDiff) -> Iterator[Line]:
    from auditkit.security.escaping import terminal_text

    if not diff.settings:
        return
    rows = [["setting", "baseline", "candidate"]]
    rows += [
        [terminal_text(text, _MAX_CELL) for text in (row.name, row.baseline, row.candidate)]
        for row in diff.settings
    ]
    yield from _cells(rows, ["" if row.comparable else "yellow" for row in diff.settings])


def _metrics(changes: Sequence[MetricChange]) -> Iterator[Line]:
    from auditkit.security.escaping import terminal_text

    if not changes:
        return
    rows = [("metric", "baseline", "candidate", "difference [95 %]", "pairs", "change")]
    rows += [
        (
            terminal_text(row.label, _MAX_CELL),
            _estimate(row.baseline),
            _estimate(row.candidate),
            _difference(row),
            str(row.n_pairs or "-"),
            f"{row.word}: {terminal_text(row.reason)}" if row.reason else row.word,
        )
        for row in changes
    ]
    yield from _cells(rows, [_STYLES.get(row.word, "") for row in changes])


def _estimate(estimate: Estimate | None) -> str:
    from auditkit.cli.tables import in_words
    from auditkit.security.escaping import terminal_text

    return "-" if estimate is None else terminal_text(in_words(estimate), _MAX_CELL)


def _difference(row: MetricChange) -> str:
    if row.difference is None:
        return "-"
    return f"{row.difference:+.4g} [{row.low:+.4g}, {row.high:+.4g}]"


def _answers(diff: RunDiff) -> Iterator[Line]:
    from auditkit.security.escaping import terminal_text

    found = diff.answers
    yield (
        f"  {found.shared} in both runs, {found.equal} with equal responses, "
        f"{found.only_baseline} only in the baseline, {found.only_candidate} only in the candidate",
        "",
    )
    yield (
        (
            f"  {found.newly_failed} no longer have status ok, {found.newly_answered} newly have "
            "status ok"
        ),
        "",
    )
    for (before, after, count), example in zip(found.transitions, found.examples, strict=True):
        words = f"{terminal_text(before)} to {terminal_text(after)}"
        yield f"  {count} from {words}, such as request {terminal_text(example)}", ""


def _failures(diff: RunDiff) -> Iterator[Line]:
    from auditkit.security.escaping import terminal_text

    for row in diff.failures:
        name = row.metric if row.group == "all" else f"{row.metric} [{row.group}]"
        yield (
            f"  {terminal_text(name)}: {row.newly_failing} newly failing and {row.newly_fixed} "
            f"newly fixed of {row.n_units} units; cases: {row.cases_new} new, {row.cases_fixed} "
            f"fixed, {row.cases_open} open",
            "",
        )
        for word, change in (("newly failing", row.failing), ("newly fixed", row.fixed)):
            if change is not None:
                yield from _example(word, change)


def _example(word: str, change: Change) -> Iterator[Line]:
    from auditkit.security.escaping import terminal_text

    what = f": {terminal_text(change.what)}" if change.what else ""
    yield f"    {word}, unit {terminal_text(change.unit) or '-'}{what}", ""
    for pair in change.pairs:
        yield f"      request {terminal_text(pair.request_id)}", "dim"
        yield f"        baseline   {_titles(pair.baseline)}", ""
        yield f"        candidate  {_titles(pair.candidate)}", ""


def _titles(answer: Answer | None) -> str:
    """Status and the first titles; a title that is not in the catalog has an asterisk."""
    from auditkit.security.escaping import terminal_text

    if answer is None:
        return "not asked"
    titles = [
        f"'{terminal_text(title, _MAX_CELL)}'{'' if known else '*'}"
        for title, known in answer.items
    ]
    more = f" and {len(titles) - _MAX_TITLES} more" if len(titles) > _MAX_TITLES else ""
    listed = ", ".join(titles[:_MAX_TITLES]) or f"'{terminal_text(answer.text, _MAX_CELL)}'"
    return f"{terminal_text(answer.status)}: {listed}{more}"


def _coverage(diff: RunDiff, *, every: bool) -> Iterator[Line]:
    from auditkit.security.escaping import terminal_text

    changed = [row for row in diff.coverage if every or row.changed]
    if not changed:
        return
    rows = [("probe", "baseline", "ok of planned", "candidate", "ok of planned")]
    rows += [
        (
            terminal_text(row.probe),
            row.status[0],
            f"{row.ok[0]} of {row.planned[0]}",
            row.status[1],
            f"{row.ok[1]} of {row.planned[1]}",
        )
        for row in changed
    ]
    yield from _cells(rows)


def _rules(diff: RunDiff) -> Iterator[Line]:
    from auditkit.security.escaping import terminal_text

    if not diff.rules:
        return
    rows = [("rule", "baseline", "candidate")]
    rows += [(terminal_text(row.rule), row.baseline, row.candidate) for row in diff.rules]
    yield from _cells(rows)
