"""`auditkit init`: draft the files of an audit from tables."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from auditkit.drafting.draft import Draft

__all__ = ["register"]

_PLACEHOLDER = "openai:https://HOST/v1#MODEL"


def register(app: typer.Typer) -> None:
    """Add the command `init` to the application."""
    app.command()(init)


def init(
    items: Annotated[Path, typer.Option(help="table of items: CSV, TSV, JSON lines or Parquet")],
    events: Annotated[Path, typer.Option(help="table of interactions")],
    users: Annotated[Path | None, typer.Option(help="table of users with attributes")] = None,
    target: Annotated[
        str, typer.Option(help="TARGET of the audit, for the printed commands and a target card")
    ] = "",
    domain: Annotated[
        str | None, typer.Option(help="kind of the items; default: inferred from the columns")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for the files; default: folder of the items")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Draft the files of an audit from your tables.

    The files are data description, mapping, recipe, policy and target card. Existing files are
    never replaced.
    """
    from auditkit.drafting.draft import Tables, draft_files, write_files
    from auditkit.drafting.release_policy import shipped_policy_of

    folder = out or items.parent
    card = not target or not Path(target.removeprefix("hf:")).is_dir()
    tables = Tables(items=items, events=events, users=users)
    policy = shipped_policy_of(target)
    draft = draft_files(tables, folder, domain=domain, card=card, policy=policy)
    paths = write_files(draft, folder)
    commands = _commands(draft, items, folder, target or _PLACEHOLDER)
    if as_json:
        typer.echo(json.dumps(_json(draft, paths, commands)))
        return
    _print(draft, paths)
    for command in commands:
        typer.echo(command)


def _commands(draft: Draft, items: Path, folder: Path, target: str) -> list[str]:
    """Return the commands that lead from the drafts to a verdict."""
    from auditkit.drafting.draft import CATALOG

    audit = ["auditkit", "audit", target, "--recipe", str(folder / "recipe.yaml")]
    audit += ["--target-card", str(folder / "card.yaml")] if "card.yaml" in draft.files else []
    audit += ["--allow-outside"] if draft.outside else []
    mapping, catalog = str(folder / "catalog.yaml"), str(folder / CATALOG)
    build = ["auditkit", "catalog", "build", str(items), "--mapping", mapping, "--out", catalog]
    asked = ["--time-calls", "5"] if target.startswith("openai:") else []
    judged = ["--policy", str(folder / "policy.yaml"), "--out", str(folder / "run")]
    return [shlex.join(c) for c in (build, [*audit, "--dry-run", *asked], [*audit, *judged])]


def _json(draft: Draft, paths: list[Path], commands: list[str]) -> dict[str, object]:
    chosen = [{"role": r, "table": t, "column": c} for r, t, c in draft.chosen]
    left_out = [{"table": t, "column": c, "reason": r} for t, c, r in draft.left_out]
    return {
        "files": [str(path) for path in paths],
        "domain": draft.domain,
        "columns": chosen,
        "left_out": left_out,
        "commands": commands,
    }


def _print(draft: Draft, paths: list[Path]) -> None:
    """Print what was assumed and the files, on stderr."""
    from auditkit.security.escaping import terminal_text

    for role, table, column in draft.chosen:
        typer.echo(f"{role}: {terminal_text(f'{table}, {column}')}", err=True)
    for table, column, reason in draft.left_out:
        typer.echo(f"left out: {terminal_text(f'{table}, {column}')}: {reason}", err=True)
    why = f" (columns {', '.join(draft.domain_columns[:3])})" if draft.domain_columns else ""
    typer.echo(f"domain: {draft.domain}{why}; --domain sets another", err=True)
    for path in paths:
        typer.echo(f"wrote {path}", err=True)
    typer.echo(
        "Check these files, above all the world assumptions in catalog.yaml. Then run:", err=True
    )
