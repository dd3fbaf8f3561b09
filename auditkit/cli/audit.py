"""`auditkit audit`: measure a recommender into a run folder, and judge it if a policy is given."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from auditkit.cli import audit_options as opt
from auditkit.cli.plan import pilot_table, plan_table
from auditkit.cli.signals import exit_code_of, handled_signals

if TYPE_CHECKING:
    from auditkit.policy.decision import Decision
    from auditkit.recommenders.execution.stop_rule import StopRule
    from auditkit.recommenders.loading.target_card import Price
    from auditkit.run.dry_run import Plan
    from auditkit.run.options import AuditOptions
    from auditkit.run.pilot import PilotRun
    from auditkit.run.recipe import AuditRecipe
    from auditkit.types import AuditResult

__all__ = ["default_run_folder", "register"]

_BREAKER_OPENED = 12


class Sent(NamedTuple):
    """Results of the requests that a dry run sends: timed calls, their price, and the fairness
    pilot.
    """

    n_timed: int
    price: Price | None
    pilot: bool


def register(app: typer.Typer) -> None:
    """Add the command `audit` to the application."""
    app.command()(audit)


def default_run_folder(target: str, recipe: str) -> Path:
    """Default run folder `reports/TARGET-RECIPE`, with which a repeated command resumes its run."""
    words = [Path(target).name if "/" in target else target, recipe]
    return Path("reports") / "-".join(
        "".join(c if c.isalnum() or c in "._-" else "-" for c in word) for word in words
    )


def audit(
    context: typer.Context,
    target: opt.TargetName,
    recipe: opt.RecipeName = "quick",
    out: opt.Out = None,
    data: opt.Data = None,
    catalog: opt.Catalog = None,
    reference_catalog: opt.ReferenceCatalog = None,
    prompts: opt.Prompts = None,
    target_card: opt.TargetCard = None,
    domain: opt.Domain = None,
    only: opt.Only = None,
    forget: opt.Forget = None,
    retrained: opt.Retrained = None,
    policy: opt.PolicyName = None,
    resume: opt.Resume = True,
    retry_errors: opt.RetryErrors = False,
    cache: opt.Cache = None,
    dry_run: opt.DryRun = False,
    plan: opt.PlanFile = None,
    pilot: opt.Pilot = False,
    time_calls: opt.TimeCalls = 0,
    price_in: opt.PriceIn = None,
    price_out: opt.PriceOut = None,
    limit: opt.Limit = None,
    max_calls: opt.MaxCalls = None,
    max_tokens: opt.MaxTokens = None,
    max_minutes: opt.MaxMinutes = None,
    max_error_rate: opt.MaxErrorRate = 0.05,
    call_seconds: opt.CallSeconds = 120,
    workers: opt.Workers = None,
    cluster: opt.Cluster = None,
    online: opt.Online = False,
    allow_code: opt.AllowCode = False,
    allow_outside: opt.AllowOutside = False,
    keep_raw: opt.KeepRaw = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Measure a recommender and write the report. Without a policy nothing is judged."""
    from auditkit.recommenders.execution.stop_rule import Budget, StopRule
    from auditkit.run.options import AuditOptions
    from auditkit.run.recipe import read_recipe, with_reference
    from auditkit.shipped_recipes import find_recipe

    opt.check_combination(
        target, dry_run=dry_run, plan=plan, pilot=pilot, cluster=cluster, workers=workers
    )
    opt.check_cost_options(time_calls, price_in, price_out, dry_run=dry_run)
    chosen = read_recipe(find_recipe(recipe, kind="audit"), allow_outside=allow_outside)
    if data:
        chosen = chosen.model_copy(update={"data": data})
    if only:
        chosen = chosen.only(only.split(","))
    chosen = with_reference(chosen, reference_catalog)
    chosen = opt.with_forgetting(chosen, forget, retrained)
    options = AuditOptions(
        catalog=catalog,
        prompts=prompts,
        target_card=target_card,
        domain=domain,
        allow_code=allow_code,
        allow_outside=allow_outside,
        online=online,
        resume=resume,
        retry_errors=retry_errors,
        cache=cache,
        stop=StopRule(
            Budget(calls=max_calls, tokens=max_tokens, minutes=max_minutes),
            max_error_rate=max_error_rate,
        ),
        limit=limit,
        call_seconds=call_seconds,
        workers=workers,
        cluster=cluster,
        keep_raw=keep_raw,
    )
    price = _price(price_in, price_out, target_card)
    if dry_run:
        sent = Sent(time_calls, price, pilot)
        _plan(target, chosen, options, file=plan, sent=sent, as_json=as_json, quiet=quiet)
        return
    run = out or default_run_folder(target, chosen.name)
    command = context.obj or ["audit", target]
    code = _measure(
        target, chosen, run, options, policy, command, price=price, as_json=as_json, quiet=quiet
    )
    raise typer.Exit(code)


def _price(price_in: float | None, price_out: float | None, card: Path | None) -> Price | None:
    """Price from the options or else from the target card; None if neither states a price."""
    from auditkit.recommenders.loading.target_card import Price, TargetCard

    if price_in is not None and price_out is not None:
        return Price(input=price_in, output=price_out)
    return None if card is None else TargetCard.read(card).price


def _plan(
    target: str,
    recipe: AuditRecipe,
    options: AuditOptions,
    *,
    file: Path | None,
    sent: Sent,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print the plan of an audit, its cost, and with a pilot how many fairness probes it needs."""
    from auditkit.cli.display import audit_progress
    from auditkit.run.dry_run import plan_audit
    from auditkit.run.pilot import run_pilot

    with audit_progress(quiet=quiet or not (sent.pilot or sent.n_timed)) as progress:
        planned = plan_audit(
            target,
            recipe,
            options=options,
            progress=progress,
            n_timed=sent.n_timed,
            price=sent.price,
        )
        piloted = (
            run_pilot(target, recipe, options=options, progress=progress) if sent.pilot else None
        )
    _show_plan(planned, file, as_json=as_json, pilot=piloted)


def _measure(
    target: str,
    recipe: AuditRecipe,
    run: Path,
    options: AuditOptions,
    policy: str | None,
    command: Sequence[str],
    *,
    price: Price | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run, judge and report; returns the exit code."""
    from dataclasses import replace

    from auditkit.cli.display import audit_progress
    from auditkit.cli.step_progress import money_spent
    from auditkit.gating import gate_run
    from auditkit.policy.schema import Policy
    from auditkit.policy.stated_checks import require_stated_checks
    from auditkit.reporting import write_report
    from auditkit.run.runner import run_audit
    from auditkit.shipped_recipes import find_recipe

    judged = None
    if policy:
        path = find_recipe(policy, kind="policy")
        judged = Policy.read(path, allow_outside=options.allow_outside)
    if judged is not None:
        require_stated_checks(judged.file, dict(recipe.probes))  # before requests are sent
    try:
        shown = audit_progress(quiet=quiet, stop=options.stop, price=price)
        with handled_signals() as signals, shown as progress:
            deferring = replace(options, defer_signals=signals.deferred)
            result = run_audit(target, recipe, run, options=deferring, progress=progress)
    except KeyboardInterrupt as interrupt:
        typer.echo(f"interrupted; {run} contains the responses so far. Continue with:", err=True)
        typer.echo(f"  {shlex.join(['auditkit', *command])}", err=True)
        return exit_code_of(interrupt)
    decision = gate_run(run, judged) if judged else None
    write_report(run)
    _show(result, decision, run, as_json=as_json)
    if options.stop is not None and price is not None:
        typer.echo(f"spent {money_spent(options.stop.tokens, price)}", err=True)
    return _exit_code(result, decision, options.stop)


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


def _exit_code(result: AuditResult, decision: Decision | None, stop: StopRule | None) -> int:
    if stop is not None and stop.stopped == "breaker":
        return _BREAKER_OPENED
    if decision is not None:
        return decision.exit_code
    return 11 if any(outcome.status == "error" for outcome in result.outcomes) else 0
