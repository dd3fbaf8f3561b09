"""Findings as an aligned text table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditkit.types import Estimate, Finding

__all__ = ["aligned", "findings_table", "in_words"]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their longest cell, two blanks between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def in_words(estimate: Estimate) -> str:
    """`0.1834 [0.1593, 0.2094]`, or why there is no number."""
    if estimate.value is None:
        return f"- ({estimate.reason})"
    ends = [estimate.low, estimate.high]
    interval = ", ".join("-" if end is None else f"{end:.4g}" for end in ends)
    return f"{estimate.value:.4g} [{interval}]"


def findings_table(findings: Iterable[Finding]) -> str:
    """One line per finding: metric, group, value with interval, n, missing."""
    from auditkit.visible import terminal_text

    rows = [("metric", "group", "value [95 % interval]", "n", "missing")]
    rows += [
        (
            finding.metric,
            terminal_text(finding.group),
            in_words(finding.estimate),
            str(finding.estimate.n),
            str(finding.estimate.n_missing),
        )
        for finding in findings
    ]
    return aligned(rows)
