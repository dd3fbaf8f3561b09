"""`auditkit report`: render the report of a run again, without its recommender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command()(report)


def report(
    run: Annotated[Path, typer.Argument(help="run folder of an audit")],
    out: Annotated[Path | None, typer.Option(help="write the HTML page here as well")] = None,
    model_card: Annotated[
        bool, typer.Option("--model-card", help="write model-card.md for the Hugging Face Hub")
    ] = False,
    comment: Annotated[
        Path | None, typer.Option(help="write the body of a pull request comment here")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="run folder with which the comment compares")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Write report.html, summary.md and findings.csv of a run folder. The target is not asked."""
    import json

    from auditkit.reporting import write_report
    from auditkit.reporting.exports.comment import write_comment
    from auditkit.reporting.exports.model_card import write_model_card

    if base is not None and comment is None:
        raise typer.BadParameter("--base is for the comment; name its file with --comment")
    written = write_report(run, out=out)
    if comment is not None:
        written.append(write_comment(run, comment, base=base))
    if model_card:
        written.append(write_model_card(run))
    if as_json:
        typer.echo(json.dumps([str(path) for path in written]))
    else:
        for path in written:
            typer.echo(str(path))
