"""`auditkit verify`: check that a run folder was not altered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from auditkit.run.options import AuditOptions

__all__ = ["register"]

_MOST_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command `verify` to the application."""
    app.command()(verify)


def verify(
    target: Annotated[Path, typer.Argument(help="run folder, or a report.html")],
    run: Annotated[
        Path | None,
        typer.Argument(help="run folder of the report; default: the folder of report.html"),
    ] = None,
    root: Annotated[
        str | None, typer.Option(help="evidence root that was stored elsewhere")
    ] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="compute the metrics again from the evidence")
    ] = False,
    audited: Annotated[
        str | None,
        typer.Option("--target", help="the audited recommender, if it was moved; with --recompute"),
    ] = None,
    catalog: Annotated[
        str | None, typer.Option(help="the audit's --catalog, if it was moved; with --recompute")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="the audit's --prompts, if it was moved; with --recompute")
    ] = None,
    target_card: Annotated[
        Path | None,
        typer.Option(help="the audit's --target-card, if it was moved; with --recompute"),
    ] = None,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="allow a python: target; with --recompute")
    ] = False,
    allow_outside: Annotated[
        bool,
        typer.Option(
            "--allow-outside", help="same as --allow-outside of the audit; with --recompute"
        ),
    ] = False,
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
    shown: dict[str, object] = asdict(verification)
    if recompute:
        from auditkit.run.options import AuditOptions

        options = AuditOptions(
            catalog=catalog,
            prompts=prompts,
            target_card=target_card,
            allow_code=allow_code,
            allow_outside=allow_outside,
        )
        shown["recomputed"] = _recompute(folder, audited, options)
    if as_json:
        typer.echo(json.dumps(shown, sort_keys=True))
    else:
        typer.echo(
            f"verified: {verification.n_records} records, {len(verification.outputs)} outputs, "
            f"status {verification.status}, root {verification.root}"
        )
        if recompute:
            typer.echo(f"recomputed from the evidence: {shown['recomputed']} findings agree")
    typer.echo(HONEST_LIMIT, err=True)


def _recompute(folder: Path, target: str | None, options: AuditOptions) -> int:
    """Compute the metrics again; return how many findings agree. Raises: IntegrityError:
    result.json differs from the recomputed metrics.
    """
    from auditkit.errors import IntegrityError
    from auditkit.run.recompute import recompute_run
    from auditkit.security.escaping import terminal_text

    recomputed = recompute_run(folder, target=target, options=options)
    for probe in recomputed.left_out:
        typer.echo(
            f"{probe} is not recomputed, because the embeddings are not in the evidence", err=True
        )
    if recomputed.differences:
        shown = recomputed.differences[:_MOST_SHOWN]
        listed = "\n".join(f"  {terminal_text(difference)}" for difference in shown)
        raise IntegrityError(
            f"{folder / 'result.json'} differs from the metrics recomputed from the evidence in "
            f"{len(recomputed.differences)} places; run the audit again:\n{listed}"
        )
    return recomputed.n_findings
