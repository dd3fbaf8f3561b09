"""`auditkit demo`: download, train, audit and gate on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command()(demo)


def demo(
    model: Annotated[
        Path | None, typer.Option(help="audit this model folder instead of training one")
    ] = None,
    out: Annotated[Path, typer.Option(help="run folder")] = Path("reports/demo"),
    models: Annotated[Path, typer.Option(help="folder of the trained model")] = Path("models"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
) -> None:
    """Get MovieLens-100k, train p5-mini, audit and gate it. Exit 0 whatever the verdict."""
    from auditkit.catalog.datasets.download import get_dataset
    from auditkit.cli.display import audit_progress
    from auditkit.cli.signals import exit_code_of, handled_signals
    from auditkit.cli.train import train_folder
    from auditkit.gating import gate_run
    from auditkit.policy.schema import Policy
    from auditkit.reporting import write_report
    from auditkit.run.identity import set_aside_other_run
    from auditkit.run.options import AuditOptions
    from auditkit.run.recipe import read_recipe
    from auditkit.run.runner import run_audit
    from auditkit.shipped_recipes import find_recipe
    from auditkit.training.recipe_checks import read_training_recipe

    try:
        typer.echo(f"1/4 data: {get_dataset('ml-100k')}", err=True)
        if model is None:
            recipe = read_training_recipe(find_recipe("p5-mini", kind="train"))
            typer.echo(f"2/4 model: {models / recipe.name}", err=True)
            model = train_folder(recipe, models / recipe.name, quiet=quiet, set_aside=True)
        audit = read_recipe(find_recipe("quick", kind="audit"))
        if (kept := set_aside_other_run(str(model), audit, out)) is not None:
            typer.echo(f"an older run of another model or version is kept in {kept}", err=True)
        typer.echo(f"3/4 audit: {out}", err=True)
        with handled_signals() as signals, audit_progress(quiet=quiet) as progress:
            options = AuditOptions(defer_signals=signals.deferred)
            run_audit(str(model), audit, out, options=options, progress=progress)
        typer.echo("4/4 gate and report", err=True)
        decision = gate_run(out, Policy.read(find_recipe("release", kind="policy")))
        write_report(out)
    except KeyboardInterrupt as interrupt:
        typer.echo("interrupted; the same command resumes where it stopped", err=True)
        raise typer.Exit(exit_code_of(interrupt)) from None
    typer.echo(decision.as_text())
    typer.echo(
        f"a CI job would get exit code {decision.exit_code}; the demo itself exits 0", err=True
    )
    typer.echo(str((out / "report.html").resolve()))
