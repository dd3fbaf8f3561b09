"""`auditkit demo`: audit and gate a recommender on real films, or on a generated shop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from auditkit.run.options import AuditOptions
    from auditkit.run.recipe import AuditRecipe

__all__ = ["register"]

_INVENTED = 0.1  # share of the shop endpoint's items


def register(app: typer.Typer) -> None:
    """Add the command `demo` to the application."""
    app.command()(demo)


def demo(
    model: Annotated[
        Path | None, typer.Option(help="audit this model folder instead of training one")
    ] = None,
    domain: Annotated[
        Literal["movies", "products"],
        typer.Option(
            help="movies: train on MovieLens; products: audit the chat endpoint of a shop"
        ),
    ] = "movies",
    out: Annotated[
        Path | None, typer.Option(help="run folder; default: reports/demo or reports/demo-products")
    ] = None,
    models: Annotated[Path, typer.Option(help="folder of the trained model")] = Path("models"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
) -> None:
    """Get data, audit a recommender and gate it. The exit code is 0 for every verdict."""
    from auditkit.cli.signals import exit_code_of

    try:
        if domain == "products":
            if model is not None:
                raise typer.BadParameter(
                    "--model works only with --domain movies. Leave one of the two options out."
                )
            _products(out or Path("reports") / "demo-products", quiet=quiet)
        else:
            _movies(out or Path("reports") / "demo", models, model, quiet=quiet)
    except KeyboardInterrupt as interrupt:
        typer.echo("interrupted; the same command resumes where it stopped", err=True)
        raise typer.Exit(exit_code_of(interrupt)) from None


def _movies(out: Path, models: Path, model: Path | None, *, quiet: bool) -> None:
    """Get MovieLens-100k, train p5-mini, audit and gate it."""
    from auditkit.catalog.datasets.download import get_dataset
    from auditkit.cli.train import train_folder
    from auditkit.run.options import AuditOptions
    from auditkit.run.recipe import read_recipe
    from auditkit.shipped_recipes import find_recipe
    from auditkit.training.recipe_checks import read_training_recipe

    typer.echo(f"1/4 data: {get_dataset('ml-100k')}", err=True)
    if model is None:
        recipe = read_training_recipe(find_recipe("p5-mini", kind="train"))
        typer.echo(f"2/4 model: {models / recipe.name}", err=True)
        model = train_folder(recipe, models / recipe.name, quiet=quiet, set_aside=True)
    audit = read_recipe(find_recipe("quick", kind="audit"))
    _audited(str(model), audit, out, AuditOptions(), quiet=quiet)


def _products(out: Path, *, quiet: bool) -> None:
    """Generate a shop, serve a recommender that invents a tenth of its items, audit and gate it."""
    from auditkit.catalog.building.build import Inputs, build_catalog
    from auditkit.demo.shop import make_shop, write_shop
    from auditkit.demo.shop_server import ShopRecommender, serve_shop
    from auditkit.run.options import AuditOptions
    from auditkit.run.recipe import read_recipe
    from auditkit.shipped_recipes import find_recipe

    shop = make_shop()
    data = write_shop(shop, out.with_name(f"{out.name}-data"))
    typer.echo(f"1/4 data: {data.parent}, {len(shop.products):,} products", err=True)
    catalog = data.with_name("shop.akg")
    tables = Inputs(items=data.with_name("products.csv"), mapping=data.with_name("catalog.yaml"))
    build_catalog(tables, catalog)
    audit = read_recipe(find_recipe("quick", kind="audit"))
    audit = audit.model_copy(update={"data": str(data)})
    with serve_shop(ShopRecommender(shop, invented=_INVENTED)) as url:
        typer.echo(f"2/4 endpoint: {url}, invents {_INVENTED:.0%} of its items", err=True)
        options = AuditOptions(catalog=str(catalog))
        _audited(f"openai:{url}#demo-shop", audit, out, options, quiet=quiet)


def _audited(
    target: str, recipe: AuditRecipe, out: Path, options: AuditOptions, *, quiet: bool
) -> None:
    """Audit, gate and report; print the verdict and the path of the report."""
    from dataclasses import replace

    from auditkit.cli.display import audit_progress
    from auditkit.cli.signals import handled_signals
    from auditkit.gating import gate_run
    from auditkit.policy.schema import Policy
    from auditkit.reporting import write_report
    from auditkit.run.identity import set_aside_other_run
    from auditkit.run.runner import run_audit
    from auditkit.shipped_recipes import find_recipe

    kept = set_aside_other_run(target, recipe, out, catalog=options.catalog)
    if kept is not None:
        typer.echo(f"an older run of another model or version was moved to {kept}", err=True)
    typer.echo(f"3/4 audit: {out}", err=True)
    with handled_signals() as signals, audit_progress(quiet=quiet) as progress:
        deferring = replace(options, defer_signals=signals.deferred)
        run_audit(target, recipe, out, options=deferring, progress=progress)
    typer.echo("4/4 gate and report", err=True)
    decision = gate_run(out, Policy.read(find_recipe("release", kind="policy")))
    write_report(out)
    typer.echo(decision.as_text())
    typer.echo(
        f"in a CI job, the gate would exit with code {decision.exit_code}; the demo exits with 0",
        err=True,
    )
    typer.echo(str((out / "report.html").resolve()))
