"""`auditkit list` and `auditkit recipes`: list probes, metrics and recipes, and copy recipes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command `list` and the command group `recipes` to the application."""
    app.command("list")(show)
    group = typer.Typer(
        no_args_is_help=True, help="List and copy the recipes and policies of auditkit."
    )
    group.command("list")(recipes)
    group.command("copy")(copy)
    app.add_typer(group, name="recipes")


def show(
    what: Annotated[
        Literal["probes", "metrics", "recipes"], typer.Argument(help="probes, metrics or recipes")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List probes, metrics or recipes with their ids."""
    if what == "recipes":
        recipes(as_json=as_json)
        return
    from auditkit.cli.tables import aligned
    from auditkit.registry import metrics, probes

    if what == "metrics":
        specs = list(metrics().values())
        if as_json:
            typer.echo(json.dumps([asdict(spec) for spec in specs]))
        else:
            rows = [("metric", "better", "unit", "about")]
            typer.echo(
                aligned(rows + [(spec.id, spec.direction, spec.unit, spec.about) for spec in specs])
            )
        return
    entries = list(probes().values())
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {"id": entry.id, "about": entry.about, "source": entry.source}
                    for entry in entries
                ]
            )
        )
    else:
        typer.echo(
            aligned([("probe", "question"), *((entry.id, entry.about) for entry in entries)])
        )


def recipes(as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False) -> None:
    """List the shipped recipes and policies."""
    from auditkit.shipped_recipes import shipped_recipes

    names = list(shipped_recipes())
    typer.echo(json.dumps(names) if as_json else "\n".join(names))


def copy(
    name: Annotated[str, typer.Argument(help="name, such as audit/quick or policy/release")],
    to: Annotated[
        Path | None, typer.Option(help="file to write; default: NAME.yaml in the current folder")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite an existing file")] = False,
) -> None:
    """Write an editable copy of a shipped recipe or policy."""
    from auditkit.errors import ConfigurationError, did_you_mean
    from auditkit.shipped_recipes import shipped_recipes

    known = shipped_recipes()
    if name not in known:
        raise ConfigurationError(
            f"unknown recipe {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
        )
    destination = to or Path(f"{Path(name).name}.yaml")
    if destination.exists() and not force:
        raise ConfigurationError(
            f"{destination} already exists. Give another --to, or --force to overwrite it."
        )
    destination.write_text(known[name].read_text(encoding="utf-8"), encoding="utf-8")
    typer.echo(str(destination))
