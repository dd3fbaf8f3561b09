"""`auditkit catalog`: build a catalog file, link titles to it, check claims against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from auditkit.cli.catalog_match import check_claims, match

if TYPE_CHECKING:
    from auditkit.catalog.building.build import BuildReport

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command group `catalog` to the application."""
    group = typer.Typer(no_args_is_help=True, help="Build catalogs, link titles and check claims.")
    group.command("build")(build)
    group.command("match")(match)
    group.command("check-claims")(check_claims)
    app.add_typer(group, name="catalog")


def build(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="table, RDF or .item file, folder, ml-100k, sparql:URL or bolt://HOST; the first "
            "with items defines the catalog, the others add facts",
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="file to write, such as films.akg")],
    mapping: Annotated[
        Path | None,
        typer.Option(
            help="YAML file that maps columns, IRIs or properties to fields and predicates"
        ),
    ] = None,
    items: Annotated[Path | None, typer.Option(help="table or .item file with the items")] = None,
    kg: Annotated[Path | None, typer.Option(help="RecBole .kg file")] = None,
    link: Annotated[Path | None, typer.Option(help="RecBole .link file of --kg")] = None,
    crosswalk: Annotated[
        Path | None,
        typer.Option(help="table of (id in --link, item id), or of (id in --link, title, year)"),
    ] = None,
    facts: Annotated[
        Path | None,
        typer.Option(help="table of facts about items, which are matched by title and year"),
    ] = None,
    store: Annotated[
        Literal["sqlite", "duckdb"], typer.Option(help="duckdb for large batches")
    ] = "sqlite",
    linking: Annotated[
        Literal["auto", "loose", "strict"], typer.Option(help="how strictly titles are linked")
    ] = "auto",
    strict: Annotated[
        bool, typer.Option("--strict", help="treat an unreadable table cell as an error")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
) -> None:
    """Build a catalog file, check every link and the title linker, and print a summary."""
    from auditkit.catalog.building.build import Inputs, build_catalog
    from auditkit.cli.build_progress import build_progress

    inputs = Inputs(
        sources=tuple(sources or ()),
        mapping=mapping,
        items=items,
        kg=kg,
        link=link,
        crosswalk=crosswalk,
        facts=facts,
        strict=strict,
    )
    with build_progress(quiet=quiet) as progress:
        report = build_catalog(inputs, out, store=store, linking=linking, progress=progress)
    _show(report, out, as_json=as_json)


def _show(report: BuildReport, out: Path, *, as_json: bool) -> None:
    from auditkit.cli.tables import aligned
    from auditkit.security.escaping import terminal_text

    for kind, texts in (("note", report.notes), ("warning", report.warnings)):
        for text in texts:
            typer.echo(f"{kind}: {terminal_text(text, limit=2000)}", err=True)
    if as_json:
        typer.echo(json.dumps(report.as_json()))
        return
    rows = [("predicate", "world", "triples", "items")]
    rows += [
        (terminal_text(str(p["name"])), str(p["world"]), str(p["triples"]), str(p["subjects"]))
        for p in report.predicates
    ]
    typer.echo(f"{report.items} items, {report.entries} titles, {report.aliases} aliases")
    if report.linked is not None:
        agreement = "" if report.agreement is None else f", agreement {report.agreement:.3f}"
        typer.echo(f"{report.linked} linked, {report.unlinked} not{agreement}")
    for name, share in (("recall", report.recall), ("refusal", report.refusal)):
        low, high = share["low"], share["high"]
        typer.echo(f"title linker {name} {share['value']:.3f} ({low:.3f} to {high:.3f})")
    typer.echo(aligned(rows))
    typer.echo(str(out))
