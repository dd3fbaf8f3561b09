"""`auditkit audit`: measure a recommender into a run folder, with a policy also judge it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["default_run_folder", "register"]


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command()(audit)


def default_run_folder(target: str, recipe: str) -> Path:
    """`reports/TARGET-RECIPE`, so that the same command finds its own run again."""
    words = [Path(target).name if "/" in target else target, recipe]
    return Path("reports") / "-".join(
        "".join(c if c.isalnum() or c in "._-" else "-" for c in word) for word in words
    )


def audit(
    target: Annotated[
        str,
        typer.Argument(help="model folder, baseline:NAME, replay:FILE.jsonl or python:MODULE:NAME"),
    ],
    recipe: Annotated[str, typer.Option(help="quick, standard, or a YAML file")] = "quick",
    out: Annotated[
        Path | None, typer.Option(help="run folder; default reports/TARGET-RECIPE")
    ] = None,
    catalog: Annotated[str | None, typer.Option(help="catalog that judges the answers")] = None,
    only: Annotated[
        str | None, typer.Option(help="dimensions or probe ids, separated by commas")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="also gate: release, or a policy YAML")] = None,
    resume: Annotated[bool, typer.Option(help="go on with an interrupted run")] = True,
    cache: Annotated[
        Path | None, typer.Option(help="folder of answers that outlive the run")
    ] = None,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="let python: targets run")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print result.json")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
) -> None:
    """Ask, measure, record, report. Without a policy nothing is judged."""
    from auditkit.cli.display import audit_progress
    from auditkit.cli.tables import findings_table
    from auditkit.gating import gate_run
    from auditkit.policy_schema import Policy
    from auditkit.recipe import find_recipe, read_recipe
    from auditkit.report import write_report
    from auditkit.runner import run_audit
    from auditkit.visible import terminal_text

    if not target.strip():
        raise typer.BadParameter(
            "TARGET is empty. Give a model folder, baseline:NAME, replay:FILE.jsonl or "
            "python:MODULE:NAME."
        )

    chosen = read_recipe(find_recipe(recipe, kind="audit"))
    if only:
        chosen = chosen.only(only.split(","))
    judged = Policy.read(find_recipe(policy, kind="policy")) if policy else None
    run = out or default_run_folder(target, chosen.name)
    try:
        with audit_progress(quiet=quiet) as progress:
            result = run_audit(
                target,
                chosen,
                run,
                catalog=catalog,
                allow_code=allow_code,
                resume=resume,
                cache=cache,
                progress=progress,
            )
    except KeyboardInterrupt:
        typer.echo(f"interrupted; the same command goes on from {run}", err=True)
        raise typer.Exit(130) from None
    decision = gate_run(run, judged) if judged else None
    write_report(run)
    for outcome in result.outcomes:
        if outcome.status != "ran":
            reason = terminal_text(outcome.reason or "")
            typer.echo(f"{outcome.probe}: {outcome.status}: {reason}", err=True)
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        typer.echo(decision.as_text() if decision else findings_table(result.findings))
        typer.echo(str(run / "report.html"))
    if decision:
        raise typer.Exit(decision.exit_code)
    typer.echo("not judged: no policy", err=True)
    if any(outcome.status == "error" for outcome in result.outcomes):
        raise typer.Exit(11)
