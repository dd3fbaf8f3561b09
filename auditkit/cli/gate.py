"""`auditkit gate`: judge a run folder by a policy."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from auditkit.policy.schema import Policy

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command `gate` to the application."""
    app.command()(gate)


def gate(
    policy: Annotated[str, typer.Option(help="policy YAML, or a shipped name such as release")],
    run: Annotated[Path | None, typer.Argument(help="run folder of an audit")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="run folder or result.json to compare with")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="day for which expiry dates of waivers are checked"
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="every inconclusive rule blocks")
    ] = False,
    allow_incomparable: Annotated[
        bool,
        typer.Option(
            "--allow-incomparable",
            help="compare with a baseline of another version, recipe or data; the verdict is then "
            "never pass",
        ),
    ] = False,
    allow_outside: Annotated[
        bool,
        typer.Option("--allow-outside", help="let the policy name a baseline outside its folder"),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="only check the policy")] = False,
    needed_n: Annotated[
        bool,
        typer.Option(
            "--needed-n", help="print how many units without a violation each limit needs"
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Exit 0 if the audit meets the policy, 10 if not, 11 if inconclusive."""
    from auditkit.gating import gate_run
    from auditkit.policy.schema import Policy
    from auditkit.shipped_recipes import find_recipe

    judged = Policy.read(find_recipe(policy, kind="policy"), allow_outside=allow_outside)
    if check or needed_n:
        _inspect(judged, check=check, as_json=as_json)
        return
    if run is None:
        raise typer.BadParameter(
            "give the run folder; only --check and --needed-n work without one"
        )
    decision = gate_run(
        run,
        judged,
        baseline=baseline,
        as_of=as_of.date() if as_of else None,
        strict=strict,
        allow_incomparable=allow_incomparable,
    )
    typer.echo(decision.to_json() if as_json else decision.as_text(), nl=not as_json)
    typer.echo("run `auditkit report` to show this verdict in the report", err=True)
    raise typer.Exit(decision.exit_code)


def _inspect(policy: Policy, *, check: bool, as_json: bool) -> None:
    """Print warnings about the policy, or the sample sizes that it needs."""
    import json

    from auditkit.policy.lint import lint, needed_n
    from auditkit.security.escaping import terminal_text

    if check:
        doubts = lint(policy)
        if as_json:
            typer.echo(json.dumps([doubt._asdict() for doubt in doubts]))
        for doubt in () if as_json else doubts:
            typer.echo(
                f"{policy.source}:{doubt.line}: {doubt.rule}: {terminal_text(doubt.message)}"
            )
        n_rules = len(policy.file.rules)
        typer.echo(f"{policy.source}: {n_rules} rules, {len(doubts)} warnings", err=True)
        return
    rows = needed_n(policy)
    if as_json:
        typer.echo(json.dumps([row._asdict() for row in rows]))
    for row in () if as_json else rows:
        typer.echo(f"{row.n if row.n is not None else '-':>6}  {row.rule}  {row.metric}")
