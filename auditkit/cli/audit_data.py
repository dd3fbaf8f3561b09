"""`auditkit audit-data`: check the data that a recommender is trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auditkit.data_audit.check import DataCheck
    from auditkit.types import Estimate

__all__ = ["register"]

_EXIT_FLAGGED = 10


def register(app: typer.Typer) -> None:
    """Add the command `audit-data` to the application."""
    app.command("audit-data")(audit_data)


def audit_data(
    data: Annotated[str, typer.Argument(help="ml-100k, or the YAML file that describes your data")],
    *,
    texts: Annotated[
        Path | None,
        typer.Option(help='texts that the model learns to write: .jsonl with "text", "item_id"'),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="run folder of an audit of a model trained on the data; its metrics are shown "
            "next to the checks"
        ),
    ] = None,
    fail: Annotated[
        bool, typer.Option("--fail", help=f"exit {_EXIT_FLAGGED} if a check is above its limit")
    ] = False,
    seed: Annotated[int, typer.Option(help="seed of the sample of texts and of the hashes")] = 0,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="allow tables outside the folder of DATA")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
) -> None:
    """Check training data: leakage across the split, impossible values, balance, facts in texts."""
    from auditkit.catalog.datasets.user_tables import open_dataset
    from auditkit.cli.build_progress import build_progress
    from auditkit.cli.catalog_match import explanations
    from auditkit.data_audit.audit import audit_data as check_all
    from auditkit.data_audit.beside_model import beside_model
    from auditkit.data_audit.texts import TargetText
    from auditkit.types import AuditResult

    targets = [
        TargetText(str(row["text"]), None if row["item_id"] is None else str(row["item_id"]))
        for row in (explanations(texts) if texts else ())
    ]
    result = AuditResult.read(run) if run else None
    with build_progress(quiet=quiet) as progress:
        progress("reading the data", 0)
        dataset = open_dataset(data, allow_outside=allow_outside)
        checks = check_all(dataset, texts=targets, seed=seed, progress=progress)
    model = beside_model(checks, result) if result else {}
    flagged = [check.id for check in checks if check.flagged]
    if as_json:
        typer.echo(json.dumps(_as_json(checks, model, flagged)))
    else:
        _show(checks, model, flagged, notes=dataset.notes)
    if fail and flagged:
        raise typer.Exit(_EXIT_FLAGGED)


def _as_json(
    checks: Sequence[DataCheck], model: Mapping[str, Estimate], flagged: Sequence[str]
) -> dict[str, object]:
    rows = []
    for check in checks:
        row: dict[str, object] = {**check.as_json()}
        if check.id in model:
            found = model[check.id]
            row["model"] = {"metric": check.metric, "value": found.value, "low": found.low,
                            "high": found.high}  # fmt: skip
        rows.append(row)
    return {"flagged": list(flagged), "checks": rows}


def _show(
    checks: Sequence[DataCheck],
    model: Mapping[str, Estimate],
    flagged: Sequence[str],
    *,
    notes: Sequence[str],
) -> None:
    from auditkit.cli.tables import aligned
    from auditkit.security.escaping import format_number, terminal_text

    for note in notes:
        typer.echo(f"note: {terminal_text(note)}", err=True)
    rows = [("", "check", "value", "limit", "counted", "in the model")]
    for check in checks:
        value = format_number(check.value)
        if check.low is not None:
            value += f" [{format_number(check.low)}, {format_number(check.high)}]"
        of = "" if check.count is None else f"{check.count:,} of "
        beside = model.get(check.id)
        told = "" if beside is None else (
            f"{format_number(beside.value)} [{format_number(beside.low)}, "
            f"{format_number(beside.high)}]"
        )  # fmt: skip
        limit = "" if check.limit is None else format_number(check.limit)
        mark = "FLAG" if check.flagged else ""
        counted = check.reason or f"{of}{check.n:,} {check.unit}"
        rows.append((mark, terminal_text(check.id), value, limit, terminal_text(counted), told))
    typer.echo(aligned(rows))
    for check in checks:
        if check.flagged:
            typer.echo(f"\n{check.id}: {terminal_text(check.about, limit=300)}")
            for example in check.examples:
                typer.echo(f"  {terminal_text(example, limit=200)}")
    typer.echo(f"\n{len(flagged)} of {len(checks)} checks are above their limit.")
