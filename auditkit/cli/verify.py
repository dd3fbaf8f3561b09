"""`auditkit verify`: check that a run folder was not altered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command()(verify)


def verify(
    target: Annotated[Path, typer.Argument(help="run folder, or a report.html")],
    run: Annotated[
        Path | None, typer.Argument(help="run folder of the report; its own folder by default")
    ] = None,
    root: Annotated[str | None, typer.Option(help="evidence root that was kept elsewhere")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Check the evidence and the outputs of a run folder. Exit 13 if anything was altered."""
    import json
    from dataclasses import asdict

    from auditkit.evidence.manifest import HONEST_LIMIT, verify_report, verify_run

    is_report = target.is_file()
    folder = (run or target.parent) if is_report else target
    verification = verify_run(folder, root=root)
    if is_report:
        verify_report(target, verification)
    if as_json:
        typer.echo(json.dumps(asdict(verification), sort_keys=True))
    else:
        typer.echo(
            f"verified: {verification.n_records} records, {len(verification.outputs)} outputs, "
            f"status {verification.status}, root {verification.root}"
        )
    typer.echo(HONEST_LIMIT, err=True)
