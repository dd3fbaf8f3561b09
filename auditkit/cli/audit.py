"""`auditkit audit`: measure a recommender into a run folder, with a policy also judge it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditkit.cli.plan import pilot_table, plan_table
from auditkit.cli.signals import exit_code_of, handled_signals

if TYPE_CHECKING:
    from auditkit.policy.decision import Decision
    from auditkit.recommenders.execution.stop_rule import StopRule
    from auditkit.run.dry_run import Plan
    from auditkit.run.pilot import PilotRun
    from auditkit.types import AuditResult

__all__ = ["default_run_folder", "register"]

_BREAKER_OPENED = 12


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
    context: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            help="model folder, openai:BASE_URL#MODEL, baseline:NAME, replay:FILE.jsonl, "
            "scores:FILE.npz or python:MODULE:NAME; neutralized:, instructed: or "
            "reranked:LAMBDA: in front of it audits a repair"
        ),
    ],
    recipe: Annotated[str, typer.Option(help="quick, standard, or a YAML file")] = "quick",
    out: Annotated[
        Path | None, typer.Option(help="run folder; default reports/TARGET-RECIPE")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="ml-100k, or the YAML file that describes your own data")
    ] = None,
    catalog: Annotated[str | None, typer.Option(help="catalog that judges the answers")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="template file for a target that brings none")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="dimensions or probe ids, separated by commas")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="also gate: release, or a policy YAML")] = None,
    resume: Annotated[bool, typer.Option(help="go on with an interrupted run")] = True,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="ask again what ended as an error or timeout")
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="folder of answers that outlive the run")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="ask nothing; print what would be asked")
    ] = False,
    plan: Annotated[
        Path | None, typer.Option(help="with --dry-run: write every request as JSONL")
    ] = None,
    pilot: Annotated[
        bool,
        typer.Option(
            "--pilot", help="with --dry-run: ask 20 fairness probes; print how many are needed"
        ),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="at most N users or items per probe: a sample")
    ] = None,
    max_calls: Annotated[
        int | None, typer.Option(min=1, help="stop after N requests of this run")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="stop after N tokens reported as used")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="stop after so many minutes")
    ] = None,
    max_error_rate: Annotated[
        float, typer.Option(min=0, max=1, help="stop at more errors, as a fraction of requests")
    ] = 0.05,
    call_seconds: Annotated[
        float, typer.Option(min=0.001, help="deadline of one call of a python: target")
    ] = 120,
    workers: Annotated[
        int | None, typer.Option(min=1, help="answer on N Ray actors, a recommender in each")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="address of a running Ray cluster; default starts one here")
    ] = None,
    online: Annotated[
        bool,
        typer.Option("--online/--offline", help="let a local recommender's code use the network"),
    ] = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="let python: targets run")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print result.json")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
) -> None:
    """Ask, measure, record, report. Without a policy nothing is judged."""
    from auditkit.cli.display import audit_progress
    from auditkit.gating import gate_run
    from auditkit.policy.schema import Policy
    from auditkit.recommenders.execution.stop_rule import Budget, StopRule
    from auditkit.report import write_report
    from auditkit.run.recipe import read_recipe
    from auditkit.run.runner import Asking, run_audit
    from auditkit.shipped_recipes import find_recipe

    if not target.strip():
        raise typer.BadParameter(
            "TARGET is empty. Give a model folder, baseline:NAME, replay:FILE.jsonl or "
            "python:MODULE:NAME."
        )
    if plan and not dry_run:
        raise typer.BadParameter("--plan writes what --dry-run would ask. Give both.")
    if pilot and not dry_run:
        raise typer.BadParameter("--pilot belongs to a plan. Give --dry-run too.")
    if cluster and workers is None:
        raise typer.BadParameter("--cluster says where --workers run. Give both.")

    chosen = read_recipe(find_recipe(recipe, kind="audit"))
    if data:
        chosen = chosen.model_copy(update={"data": data})
    if only:
        chosen = chosen.only(only.split(","))
    if dry_run:
        from auditkit.run.dry_run import plan_audit

        planned = plan_audit(
            target,
            chosen,
            catalog=catalog,
            prompts=prompts,
            allow_code=allow_code,
            limit=limit,
            online=online,
        )
        piloted = None
        if pilot:
            from auditkit.run.pilot import run_pilot

            piloted = run_pilot(
                target,
                chosen,
                catalog=catalog,
                prompts=prompts,
                allow_code=allow_code,
                cache=cache,
                online=online,
            )
        _show_plan(planned, plan, as_json=as_json, pilot=piloted)
        return
    judged = Policy.read(find_recipe(policy, kind="policy")) if policy else None
    run = out or default_run_folder(target, chosen.name)
    stop = StopRule(
        Budget(calls=max_calls, tokens=max_tokens, minutes=max_minutes),
        max_error_rate=max_error_rate,
    )
    try:
        with handled_signals() as signals, audit_progress(quiet=quiet) as progress:
            result = run_audit(
                target,
                chosen,
                run,
                catalog=catalog,
                prompts=prompts,
                allow_code=allow_code,
                resume=resume,
                cache=cache,
                asking=Asking(
                    stop=stop,
                    limit=limit,
                    retry_errors=retry_errors,
                    call_seconds=call_seconds,
                    workers=workers,
                    cluster=cluster,
                    online=online,
                    patience=signals.patience,
                ),
                progress=progress,
            )
    except KeyboardInterrupt as interrupt:
        typer.echo(f"interrupted; {run} keeps what was answered. Go on with:", err=True)
        typer.echo(f"  {shlex.join(['auditkit', *(context.obj or ['audit', target])])}", err=True)
        raise typer.Exit(exit_code_of(interrupt)) from None
    decision = gate_run(run, judged) if judged else None
    write_report(run)
    _show(result, decision, run, as_json=as_json)
    raise typer.Exit(_exit_code(result, decision, stop))


def _show_plan(planned: Plan, file: Path | None, *, as_json: bool, pilot: PilotRun | None) -> None:
    import json

    if file:
        planned.write(file)
    if as_json:
        stated = {"pilot": pilot.as_json()} if pilot else {}
        typer.echo(json.dumps({**planned.as_json(), **stated}))
    else:
        typer.echo(plan_table(planned))
        if pilot:
            typer.echo(pilot_table(pilot))
    if file:
        typer.echo(f"{planned.calls} requests written to {file}", err=True)


def _show(result: AuditResult, decision: Decision | None, run: Path, *, as_json: bool) -> None:
    from auditkit.cli.tables import fairness_table, findings_table
    from auditkit.security.escaping import terminal_text

    for outcome in result.outcomes:
        if outcome.status != "ran" or outcome.reason:
            reason = terminal_text(outcome.reason or "")
            typer.echo(f"{outcome.probe}: {outcome.status}: {reason}", err=True)
    for note in result.notes:
        typer.echo(f"note: {terminal_text(note)}", err=True)
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        typer.echo(decision.as_text() if decision else findings_table(result.findings))
        if table := fairness_table(result.findings):
            typer.echo(f"\n{table}")
        typer.echo(str(run / "report.html"))
    if decision is None:
        typer.echo("not judged: no policy", err=True)


def _exit_code(result: AuditResult, decision: Decision | None, stop: StopRule) -> int:
    if stop.stopped == "breaker":
        return _BREAKER_OPENED
    if decision is not None:
        return decision.exit_code
    return 11 if any(outcome.status == "error" for outcome in result.outcomes) else 0
