"""The options of `auditkit audit`, as typer reads them, with their help texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from auditkit.run.recipe import AuditRecipe

__all__ = [
    "AllowCode", "AllowOutside", "AsJson", "Cache", "CallSeconds", "Catalog", "Cluster", "Data",
    "Domain", "DryRun", "Forget", "KeepRaw", "Limit", "MaxCalls", "MaxErrorRate", "MaxMinutes",
    "MaxTokens", "Online", "Only", "Out", "Pilot", "PlanFile", "PolicyName", "PriceIn", "PriceOut",
    "Prompts", "Quiet", "RecipeName", "Resume", "Retrained", "RetryErrors", "TargetCard",
    "TargetName", "TimeCalls", "Workers", "check_combination", "check_cost_options",
    "with_forgetting",
]  # fmt: skip

TargetName = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="model folder, openai:BASE_URL#MODEL, baseline:NAME, replay:FILE.jsonl, "
        "scores:FILE.npz, python:MODULE:NAME, python:FILE.py:NAME or pipeline:FILE.yaml; the "
        "prefix neutralized:, instructed:, canonical:, snapped:, screened:, voted: or "
        "reranked:LAMBDA: audits a mitigation",
    ),
]
RecipeName = Annotated[str, typer.Option("--recipe", help="quick, standard, or a YAML file")]
Out = Annotated[
    Path | None, typer.Option("--out", help="run folder; default reports/TARGET-RECIPE")
]
Data = Annotated[
    str | None,
    typer.Option("--data", help="ml-100k, or the YAML file that describes your own data"),
]
Catalog = Annotated[
    str | None,
    typer.Option("--catalog", help="catalog that the responses are checked against"),
]
ReferenceCatalog = Annotated[
    str | None,
    typer.Option(
        "--reference-catalog",
        help="larger catalog, to distinguish absent titles from invented ones",
    ),
]
Domain = Annotated[
    str | None,
    typer.Option(
        "--domain", help="kind of the items: name of a domain pack, or YAML file of your own pack"
    ),
]
Prompts = Annotated[
    Path | None,
    typer.Option("--prompts", help="template file for a target without its own templates"),
]
TargetCard = Annotated[
    Path | None,
    typer.Option(
        "--target-card",
        help="YAML file that declares training data, held-out users, privacy, decoding and price "
        "of a target without a recommender.yaml",
    ),
]
TimeCalls = Annotated[
    int,
    typer.Option(
        "--time-calls", min=0, help="with --dry-run: send N requests to estimate minutes and tokens"
    ),
]
PriceIn = Annotated[
    float | None,
    typer.Option("--price-in", min=0, help="price of a million input tokens, USD"),
]
PriceOut = Annotated[
    float | None,
    typer.Option("--price-out", min=0, help="price of a million output tokens, USD"),
]
Only = Annotated[
    str | None, typer.Option("--only", help="dimensions or probe ids, separated by commas")
]
Forget = Annotated[
    Path | None,
    typer.Option(
        "--forget", help="file of user ids, to test whether TARGET still knows these users"
    ),
]
Retrained = Annotated[
    Path | None,
    typer.Option("--retrained", help="model folder that was trained without the users of --forget"),
]
PolicyName = Annotated[
    str | None, typer.Option("--policy", help="also gate: policy name or YAML file")
]
Resume = Annotated[bool, typer.Option("--resume/--no-resume", help="continue an interrupted run")]
RetryErrors = Annotated[
    bool, typer.Option("--retry-errors", help="repeat requests that ended in an error or timeout")
]
Cache = Annotated[
    Path | None, typer.Option("--cache", help="folder that stores responses for later runs")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="send no request; print the plan of requests")
]
PlanFile = Annotated[
    Path | None, typer.Option("--plan", help="with --dry-run: write every request as JSONL")
]
Pilot = Annotated[
    bool,
    typer.Option(
        "--pilot", help="with --dry-run: send 20 fairness probes; print how many are needed"
    ),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="sample at most N users or items per probe")
]
MaxCalls = Annotated[
    int | None, typer.Option("--max-calls", min=1, help="stop after N requests of this run")
]
MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens", min=1, help="stop after N tokens, as the target reports them"),
]
MaxMinutes = Annotated[
    float | None, typer.Option("--max-minutes", min=0, help="stop after N minutes")
]
MaxErrorRate = Annotated[
    float,
    typer.Option(
        "--max-error-rate", min=0, max=1, help="stop if more than this fraction of requests fails"
    ),
]
CallSeconds = Annotated[
    float,
    typer.Option("--call-seconds", min=0.001, help="deadline of one call of a python: target"),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="use N Ray actors, each of which loads the recommender"),
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", help="address of a running Ray cluster; default: start one here"),
]
Online = Annotated[
    bool,
    typer.Option("--online/--offline", help="let the code of a local recommender use the network"),
]
AllowCode = Annotated[bool, typer.Option("--allow-code", help="let python: targets run")]
AllowOutside = Annotated[
    bool,
    typer.Option(
        "--allow-outside", help="let recipe and data file name files outside their folder"
    ),
]
KeepRaw = Annotated[
    bool,
    typer.Option("--keep-raw", help="do not mask personal data of responses in the evidence"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print result.json")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress")]


def check_combination(
    target: str, *, dry_run: bool, plan: Path | None, pilot: bool, cluster: str | None,
    workers: int | None,
) -> None:  # fmt: skip
    """Reject options that need another option.

    Raises:
        typer.BadParameter: a required option is missing; the message names this option.
    """
    if not target.strip():
        raise typer.BadParameter(
            "TARGET is empty. Give a model folder, baseline:NAME, replay:FILE.jsonl or "
            "python:MODULE:NAME."
        )
    if plan and not dry_run:
        raise typer.BadParameter(
            "--plan writes the requests that --dry-run plans. Give both options."
        )
    if pilot and not dry_run:
        raise typer.BadParameter("--pilot needs --dry-run. Give both options.")
    if cluster and workers is None:
        raise typer.BadParameter(
            "--cluster is the address of the cluster for --workers. Give both options."
        )


def check_cost_options(
    time_calls: int, price_in: float | None, price_out: float | None, *, dry_run: bool
) -> None:
    """Reject options of the cost estimate that need another option.

    Raises:
        typer.BadParameter: a required option is missing; the message names this option.
    """
    if time_calls and not dry_run:
        raise typer.BadParameter("--time-calls needs --dry-run. Give both options.")
    if (price_in is None) != (price_out is None):
        raise typer.BadParameter("A price needs both --price-in and --price-out. Give both.")


def with_forgetting(
    recipe: AuditRecipe, forget: Path | None, retrained: Path | None
) -> AuditRecipe:
    """Add the probe of unlearning to a recipe, if its two options are given.

    Raises:
        typer.BadParameter: only one of the options is given, or a path does not exist.
    """
    if forget is None and retrained is None:
        return recipe
    if forget is None or retrained is None:
        raise typer.BadParameter("Unlearning needs both --forget USERS and --retrained FOLDER.")
    if not forget.is_file() or not retrained.is_dir():
        missing = retrained if forget.is_file() else forget
        raise typer.BadParameter(
            f"{missing} does not exist. Give a file with --forget and a model folder with "
            "--retrained."
        )
    asked = {"users_file": str(forget), "retrained_model": str(retrained)}
    return recipe.model_copy(update={"probes": {**recipe.probes, "privacy.forgetting": asked}})
