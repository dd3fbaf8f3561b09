"""`auditkit doctor`: what this machine offers, and whether a recommender can be audited here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditkit.cli import audit_options as opt

if TYPE_CHECKING:
    from auditkit.run.machine import Machine
    from auditkit.run.target_check import TargetCheck

__all__ = ["register"]

_GIB = 1 << 30
_MIB = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the command `doctor` to the application."""
    app.command()(doctor)


def doctor(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[TARGET]", help="recommender to load and to send a request to"),
    ] = None,
    recipe: opt.RecipeName = "quick",
    data: opt.Data = None,
    catalog: opt.Catalog = None,
    prompts: opt.Prompts = None,
    target_card: opt.TargetCard = None,
    domain: opt.Domain = None,
    call_seconds: opt.CallSeconds = 120,
    online: opt.Online = False,
    allow_code: opt.AllowCode = False,
    allow_outside: opt.AllowOutside = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Show versions, memory, disk and extras; try TARGET if given. Exit 2 if TARGET fails."""
    import json
    from dataclasses import asdict

    from auditkit.run.machine import describe_machine

    machine = describe_machine(Path())
    if not as_json:
        typer.echo("\n".join(_machine_lines(machine)))
    found = None
    if target is not None:
        from auditkit.cli.display import busy
        from auditkit.run.options import AuditOptions
        from auditkit.run.recipe import read_recipe
        from auditkit.run.target_check import check_target
        from auditkit.shipped_recipes import find_recipe

        chosen = read_recipe(find_recipe(recipe, kind="audit"), allow_outside=allow_outside)
        if data:
            chosen = chosen.model_copy(update={"data": data})
        options = AuditOptions(
            catalog=catalog, prompts=prompts, target_card=target_card, domain=domain,
            call_seconds=call_seconds, online=online, allow_code=allow_code,
            allow_outside=allow_outside,
        )  # fmt: skip
        with busy("loading the target and sending a request"):
            found = check_target(target, chosen, options=options)
        if not as_json:
            typer.echo("\n".join(_target_lines(found)))
    if as_json:
        shown = {"machine": asdict(machine), "target": None if found is None else asdict(found)}
        typer.echo(json.dumps(shown, sort_keys=True))
    if found is not None and (found.failed or (found.overlap is not None and found.overlap.fault)):
        raise typer.Exit(2)


def _machine_lines(machine: Machine) -> Iterator[str]:
    from auditkit.cli.tables import aligned
    from auditkit.security.escaping import terminal_text

    memory = "unknown"
    if machine.memory_bytes is not None:
        memory = f"{machine.memory_bytes / _GIB:.1f} GiB"
    if machine.available_bytes is not None:
        memory += f", {machine.available_bytes / _GIB:.1f} GiB available"
    yield aligned([(name, number or "not installed") for name, number in machine.versions.items()])
    yield f"cores: {machine.cores:g}; memory: {memory}"
    for folder, n_bytes in machine.disk_free_bytes.items():
        yield f"disk: {n_bytes / _GIB:.1f} GiB free at '{terminal_text(folder)}'"
    for extra in machine.extras:
        state = (
            f"missing {', '.join(extra.missing)}; run: {extra.command}"
            if extra.missing
            else f"{len(extra.installed)} packages installed"
        )
        yield f"extra {extra.name}: {state}"
    listed = [
        f"{terminal_text(entry.name)} {entry.n_bytes / _MIB:,.1f} MiB" for entry in machine.cached
    ]
    yield f"cache: {', '.join(listed) or 'empty'} at '{terminal_text(machine.cache)}'"


def _target_lines(found: TargetCheck) -> Iterator[str]:
    from auditkit.security.escaping import terminal_text

    verified = "verified" if found.verified else "not verifiable"
    yield f"target: {terminal_text(found.name)}, {terminal_text(found.kind)}, {verified}"
    yield f"capabilities: {', '.join(found.capabilities) or 'none'}"
    for note in found.notes:
        yield f"note: {terminal_text(note)}"
    yield f"loaded in {found.load_seconds:.1f} s"
    yield from _answer_lines(found)
    if found.overlap is not None:
        share = found.overlap.shared / max(1, found.overlap.items)
        yield (
            f"overlap: {found.overlap.shared} of {found.overlap.items} items of the data "
            f"({share:.0%}) are in the catalog, {found.overlap.same_title} with the same title"
        )
        if found.overlap.fault:
            yield (
                "the catalog describes other items: give a catalog with the ids and titles of "
                "the data"
            )
    estimate = "unknown" if found.minutes is None else f"about {found.minutes:,.1f} minutes"
    yield (
        f"recipe {terminal_text(found.recipe)}: {found.calls} requests, {estimate} if each takes "
        "as long as this one; batches are faster, scoring is not measured"
    )


def _answer_lines(found: TargetCheck) -> Iterator[str]:
    from auditkit.security.escaping import terminal_text

    answer = found.answer
    if answer is None:
        yield "request: not sent, because the recommender returns no lists and writes no text"
        return
    reason = f" ({terminal_text(answer.reason)})" if answer.reason else ""
    yield f"request: {terminal_text(answer.status)}{reason} in {found.request_seconds or 0:.2f} s"
    if found.error:
        yield f"error: '{terminal_text(found.error, 500)}'"
    if answer.text:
        yield f"response: '{terminal_text(answer.text)}'"
    place = terminal_text(found.catalog)
    yield f"parsed: {found.n_items} items, {found.n_linked} of them in {place}"
    for rank, (title, known) in enumerate(answer.items, start=1):
        yield f"  {rank}. '{terminal_text(title)}'{'' if known else ' not in the catalog'}"
