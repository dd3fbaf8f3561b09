"""Findings as an aligned text table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditkit.types import Estimate, Finding

__all__ = ["aligned", "fairness_table", "findings_table", "in_words"]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Pad every column to its longest cell, with two spaces between columns; return one line per
    row.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def in_words(estimate: Estimate) -> str:
    """Format an estimate as `0.1834 [0.1593, 0.2094]`; an estimate without a value gives its
    reason.
    """
    if estimate.value is None:
        return f"- ({estimate.reason})"
    ends = [estimate.low, estimate.high]
    interval = ", ".join("-" if end is None else f"{end:.4g}" for end in ends)
    return f"{estimate.value:.4g} [{interval}]"


def findings_table(findings: Iterable[Finding]) -> str:
    """Format findings as a table with metric, group, value with interval, n and number of missing
    units.
    """
    from auditkit.security.escaping import terminal_text

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


def fairness_table(findings: Sequence[Finding]) -> str:
    """Format SNSR of every attribute with noise floor, p-values and power; empty without SNSR
    findings.
    """
    from auditkit.reporting.fairness_section import build_fairness
    from auditkit.security.escaping import terminal_text

    found = build_fairness(findings)
    if found is None:
        return ""
    rows: list[tuple[str, ...]] = [
        ("attribute", "values", "n", "SNSR [95 % bounds]", "noise floor", "its 95 %", "p",
         "adjusted", "steering p", "beyond placebo", "detects", "probes to pass"),
    ]  # fmt: skip
    for row in found.attributes:
        numbers = (row.noise_floor, row.noise_floor_95, row.p, row.p_adjusted, row.steer_p)
        needed = row.probes_to_pass
        rows.append(
            (
                terminal_text(row.name),
                str(row.n_values),
                str(row.snsr.n),
                in_words(row.snsr),
                *map(_short, numbers),
                in_words(row.placebo) if row.placebo else "-",
                _short(row.detectable),
                "-" if needed is None else f"{needed} ({_short(row.margin)})",
            )
        )
    return "\n".join([aligned(rows), *map(terminal_text, found.setting)])


def _short(number: float | None) -> str:
    return "-" if number is None else f"{number:.3g}"
