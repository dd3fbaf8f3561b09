"""`auditkit report`: render the report of a run again, without its recommender, or the history of
many runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

_INDEX = "index"
_INTEGRITY = 13


def register(app: typer.Typer) -> None:
    """Add the command `report` to the application."""
    app.command()(report)


def report(
    run: Annotated[
        Path,
        typer.Argument(help="run folder of an audit; or the literal `index`, followed by RUNS_DIR"),
    ],
    runs_dir: Annotated[
        Path | None,
        typer.Argument(
            help="only after `index`: folder that contains run folders, up to two levels deep"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="also write the HTML page to this file; after `index`, write it only to this file"
        ),
    ] = None,
    model_card: Annotated[
        bool, typer.Option("--model-card", help="write model-card.md for the Hugging Face Hub")
    ] = False,
    comment: Annotated[
        Path | None, typer.Option(help="file for the body of a pull request comment")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="run folder of the baseline in the comment")
    ] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="also write report.pdf with an installed Chromium")
    ] = False,
    chromium: Annotated[
        Path | None, typer.Option(help="browser for --pdf; default: the first Chromium on PATH")
    ] = None,
    attest: Annotated[
        bool,
        typer.Option("--attest", help="also write attestation.json, an in-toto statement to sign"),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Write report.html, summary.md and findings.csv of a run folder. The target is not called.

    `report index RUNS_DIR` writes one page about all runs of a folder. Exit 13 if a run was
    altered; the page then names this run.
    """
    import json

    if base is not None and comment is None:
        raise typer.BadParameter("--base needs --comment; give both options")
    if chromium is not None and not pdf:
        raise typer.BadParameter("--chromium needs --pdf; give both options")
    if runs_dir is not None:
        if str(run) != _INDEX:
            raise typer.BadParameter(
                "give one run folder; only `auditkit report index RUNS_DIR` takes a second path"
            )
        if attest or model_card or comment or pdf:
            raise typer.BadParameter(
                "--attest, --model-card, --comment and --pdf apply to a single run. Leave these "
                "options out after index."
            )
        written, code = _write_index(runs_dir, out)
    else:
        from auditkit.reporting import write_report

        written, code = write_report(run, out=out), 0
        if comment is not None:
            from auditkit.reporting.exports.comment import write_comment

            written.append(write_comment(run, comment, base=base))
        if model_card:
            from auditkit.reporting.exports.model_card import write_model_card

            written.append(write_model_card(run))
        if pdf:
            from auditkit.reporting.exports.pdf import write_pdf

            written.append(write_pdf(run, chromium=chromium))
        if attest:
            from auditkit.reporting.attestation import write_attestation

            written.append(write_attestation(run))
    if as_json:
        typer.echo(json.dumps([str(path) for path in written]))
    else:
        for path in written:
            typer.echo(str(path))
    if code:
        raise typer.Exit(code)


def _write_index(folder: Path, out: Path | None) -> tuple[list[Path], int]:
    """Write the history of a folder; returns the page and the exit code."""
    from auditkit.comparison.history import read_history
    from auditkit.reporting.pages.history_page import render_history
    from auditkit.security.escaping import terminal_text
    from auditkit.serialization.atomic_files import write_atomically

    page = out or folder / "index.html"
    with _reading() as progress:
        history = read_history(folder, progress=progress)
    write_atomically(page, render_history(history, page))
    for fault in history.faults:
        typer.echo(f"not shown: {terminal_text(fault.message, 500)}", err=True)
    return [page], _INTEGRITY if history.faults else 0


@contextmanager
def _reading() -> Iterator[Callable[[int, int], None] | None]:
    """Yield a callback that shows how many runs were verified, or None if stderr is not a
    terminal.
    """
    import sys

    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("verifying runs", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
