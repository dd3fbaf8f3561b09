"""Reports for people and files for CI, created from a run folder only."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_report"]


def write_report(run: Path, *, out: Path | None = None) -> list[Path]:
    """Write `report.html`, `summary.md` and `findings.csv` into a run folder and seal its manifest.

    Args:
        run: run folder; evidence, result and verdict are verified first. The recommender is not
            called.
        out: additional path for the HTML page.

    Returns:
        Paths of the written files.

    Raises:
        ConfigurationError: the folder has no manifest.
        IntegrityError: result, evidence, manifest or verdict was altered. Existing report files
            then remain unchanged.
    """
    from auditkit.evidence.manifest import OUTPUTS_OF, seal_manifest
    from auditkit.reporting.findings_csv import render_findings_csv
    from auditkit.reporting.html import render_html
    from auditkit.reporting.run_reader import read_verified_source
    from auditkit.reporting.summary import render_summary
    from auditkit.serialization.atomic_files import write_atomically

    source = read_verified_source(run, replacing=OUTPUTS_OF["report"])
    contents = {
        "report.html": render_html(source),
        "summary.md": render_summary(source),
        "findings.csv": render_findings_csv(source.result),
    }
    for name, content in contents.items():
        write_atomically(run / name, content)
    seal_manifest(run, written=contents)
    written = [run / name for name in contents]
    if out is not None:
        write_atomically(out, contents["report.html"])
        written.append(out)
    return written
