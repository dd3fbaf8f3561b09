"""`auditkit diff`: compare a candidate run with a baseline run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command `diff` to the application."""
    app.command()(diff)


def diff(
    baseline: Annotated[Path, typer.Argument(help="run folder of the earlier audit")],
    candidate: Annotated[Path, typer.Argument(help="run folder of the later audit")],
    html: Annotated[Path | None, typer.Option("--html", help="also write a page")] = None,
    allow_incomparable: Annotated[
        bool,
        typer.Option(
            "--allow-incomparable",
            help="compute differences even if data, seed or recipe differ",
        ),
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="list unchanged metrics and probes too")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Compare two runs: responses are paired by request, metrics by user or other unit. The exit
    code is 0 whatever differs.
    """
    import json

    from auditkit.cli.display import busy
    from auditkit.cli.runs.diff_text import print_diff
    from auditkit.comparison.diff import diff_runs

    with busy("verifying and comparing two runs"):
        found = diff_runs(baseline, candidate, allow_incomparable=allow_incomparable)
    if html is not None:
        from auditkit.reporting.pages.diff_page import render_diff
        from auditkit.serialization.atomic_files import write_atomically

        write_atomically(html, render_diff(found))
    if as_json:
        typer.echo(json.dumps(found.as_json(), sort_keys=True))
    else:
        print_diff(found, every=every)
    if html is not None:
        typer.echo(str(html), err=True)
