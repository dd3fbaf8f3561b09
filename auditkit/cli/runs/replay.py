"""`auditkit replay`: send one recorded request or all recorded requests again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditkit.cli import audit_options as opt
from auditkit.cli.signals import exit_code_of, handled_signals

if TYPE_CHECKING:
    from auditkit.comparison.answers import Answer
    from auditkit.run.options import AuditOptions
    from auditkit.run.replay.all_requests import ReplayedRun
    from auditkit.run.replay.one_request import ReplayedRequest

__all__ = ["register"]

_TARGET_FAILED = 12


def register(app: typer.Typer) -> None:
    """Add the command `replay` to the application."""
    app.command()(replay)


def replay(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="run folder of an audit")],
    request_id: Annotated[
        str | None, typer.Option("--id", help="id of one request, or the beginning of the id")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", help="recommender that gets the requests; default: the audited recommender"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="without --id: file for all responses, which replay:FILE can audit"
        ),
    ] = None,
    catalog: opt.Catalog = None,
    prompts: opt.Prompts = None,
    target_card: opt.TargetCard = None,
    call_seconds: opt.CallSeconds = 120,
    online: opt.Online = False,
    allow_code: opt.AllowCode = False,
    allow_outside: opt.AllowOutside = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Send recorded requests of a run again. Exit 12 if the recommender fails.

    With --id, one request is sent and both responses are shown. With --out, all requests for lists
    are sent, except those that depend on earlier responses.
    """
    from auditkit.cli.display import busy
    from auditkit.run.options import AuditOptions
    from auditkit.run.replay.one_request import replay_request

    if (request_id is None) == (out is None):
        raise typer.BadParameter(
            "give --id REQUEST_ID to send one request, or --out FILE to send all requests"
        )
    options = AuditOptions(
        catalog=catalog,
        prompts=prompts,
        target_card=target_card,
        call_seconds=call_seconds,
        online=online,
        allow_code=allow_code,
        allow_outside=allow_outside,
    )
    if out is not None:
        command = context.obj or ["replay", str(run)]
        code = _replay_all(run, out, target, options, command, as_json=as_json, quiet=quiet)
        raise typer.Exit(code)
    with busy("loading the target and sending the request", quiet=quiet):
        found = replay_request(run, str(request_id), target=target, options=options)
    typer.echo(_as_json(found) if as_json else "\n".join(_lines(found)))
    raise typer.Exit(_TARGET_FAILED if found.failed else 0)


def _replay_all(
    run: Path,
    out: Path,
    target: str | None,
    options: AuditOptions,
    command: Sequence[str],
    *,
    as_json: bool,
    quiet: bool,
) -> int:
    """Send all requests, print the counts, and return the exit code."""
    from dataclasses import asdict, replace

    from auditkit.cli.display import audit_progress
    from auditkit.run.replay.all_requests import replay_run

    try:
        with handled_signals() as signals, audit_progress(quiet=quiet) as progress:
            deferring = replace(options, defer_signals=signals.deferred)
            done = replay_run(run, out, target=target, options=deferring, progress=progress)
    except KeyboardInterrupt as interrupt:
        typer.echo(
            f"interrupted; {out}.partial contains the responses so far. Continue with:", err=True
        )
        typer.echo(f"  {shlex.join(['auditkit', *command])}", err=True)
        return exit_code_of(interrupt)
    if as_json:
        typer.echo(json.dumps(asdict(done), sort_keys=True))
    _show_counts(done, out, as_json=as_json)
    return _TARGET_FAILED if done.stopped else 0


def _show_counts(done: ReplayedRun, out: Path, *, as_json: bool) -> None:
    from auditkit.security.escaping import terminal_text

    for note in done.notes:
        typer.echo(f"note: {terminal_text(note)}", err=True)
    for reason, n in done.left_out.items():
        typer.echo(f"not sent: {n} requests {terminal_text(reason)}", err=True)
    if done.stopped:
        typer.echo(
            f"the recommender failed: {terminal_text(done.stopped)}. {out} was not written; the "
            f"same command resumes from {out}.partial",
            err=True,
        )
        return
    if not as_json:
        typer.echo(
            f"{done.written} of {done.asked} responses written to {out}; left out: {done.failed} "
            f"errors, {done.truncated} truncated"
        )


def _as_json(found: ReplayedRequest) -> str:
    from dataclasses import asdict

    return json.dumps({**asdict(found), "equal": found.equal}, sort_keys=True)


def _lines(found: ReplayedRequest) -> list[str]:
    """Both responses as text; untrusted text is escaped and quoted."""
    from auditkit.security.escaping import terminal_text

    lines = [
        f"request {found.request_id} of {found.probe}, operation {found.operation}",
        f"prompt: '{terminal_text(found.prompt, 2000)}'",
        *_answer("recorded", found.recorded),
        *_answer("now", found.new),
        *(
            f"  score of '{terminal_text(text)}': {_nats(old)} recorded, {_nats(new)} now"
            for text, old, new in found.scores
        ),
        "the responses are equal" if found.equal else "the responses differ",
    ]
    return [*lines, *(f"note: {note}" for note in found.notes)]


def _answer(name: str, answer: Answer) -> list[str]:
    from auditkit.security.escaping import terminal_text

    reason = f" ({terminal_text(answer.reason)})" if answer.reason else ""
    lines = [f"{name}: {terminal_text(answer.status)}{reason}"]
    lines += [
        f"  {rank}. '{terminal_text(title)}'{'' if known else ' not in the catalog'}"
        for rank, (title, known) in enumerate(answer.items, start=1)
    ]
    if answer.text and not answer.items:
        lines.append(f"  '{terminal_text(answer.text, 2000)}'")
    return lines


def _nats(value: float | None) -> str:
    return "no score" if value is None else f"{value:.4g} nats"
