"""`auditkit gate`: the verdict over a run folder."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from auditkit.policy import Policy
    from auditkit.types import AuditResult

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command()(gate)


def gate(
    policy: Annotated[Path, typer.Option(help="policy YAML")],
    run: Annotated[Path | None, typer.Argument(help="run folder of an audit")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="run folder or result.json to compare with")
    ] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="day on which waivers are judged")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="every doubt blocks")] = False,
    check: Annotated[bool, typer.Option("--check", help="only check the policy")] = False,
    needed_n: Annotated[
        bool, typer.Option("--needed-n", help="print how many units each limit needs")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Exit 0 if the audit meets the policy, 10 if it breaks it, 11 if it cannot tell."""
    from auditkit.policy import Policy, decide
    from auditkit.run_manifest import seal_manifest, verify_run
    from auditkit.types import AuditResult

    judged = Policy.read(policy)
    if check or needed_n:
        _inspect(judged, check=check, as_json=as_json)
        return
    if run is None:
        raise typer.BadParameter("give the run folder; only --check and --needed-n do without")
    verification = verify_run(run)
    reference = _read_baseline(baseline or judged.baseline_path())
    decision = decide(
        AuditResult.read(run),
        judged,
        baseline=reference,
        verification=verification,
        as_of=as_of.date() if as_of else None,
        strict=strict,
    )
    from auditkit.report.junit import render_junit
    from auditkit.report.sarif import render_sarif

    junit, sarif = render_junit(decision), render_sarif(decision)
    from auditkit.canonical import write_atomically

    decision.write(run)
    write_atomically(run / "junit.xml", junit)
    write_atomically(run / "results.sarif", sarif)
    seal_manifest(run)
    typer.echo(decision.to_json() if as_json else decision.as_text(), nl=not as_json)
    typer.echo(
        f"evidence root {verification.root}; run `auditkit report` to put the verdict into the "
        "report",
        err=True,
    )
    raise typer.Exit(decision.exit_code)


def _inspect(policy: Policy, *, check: bool, as_json: bool) -> None:
    """Print what the policy cannot show, or the sample sizes that it needs."""
    import json

    from auditkit.policy_lint import lint, needed_n
    from auditkit.visible import terminal_text

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


def _read_baseline(path: Path | None) -> AuditResult | None:
    """A baseline run (verified) or a bare result.json (checked against its pinned hash)."""
    from auditkit.canonical import sha256_file
    from auditkit.errors import ConfigurationError, IntegrityError
    from auditkit.run_manifest import MANIFEST, verify_run
    from auditkit.types import AuditResult

    if path is None:
        return None
    if path.is_dir():
        if (path / MANIFEST).exists():
            verify_run(path)
        return AuditResult.read(path)
    if not path.is_file():
        raise ConfigurationError(f"baseline {path} does not exist. Give a run folder or a file.")
    pin = path.with_name(f"{path.name}.sha256")
    if pin.is_file() and pin.read_text(encoding="utf-8").split()[:1] != [sha256_file(path)]:
        raise IntegrityError(f"{path} is not the file pinned in {pin.name}. Restore it.")
    return AuditResult.from_json(path.read_text(encoding="utf-8"), source=str(path))
