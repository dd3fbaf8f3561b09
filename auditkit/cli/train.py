"""`auditkit train`: train a recommender from a recipe and print its utility."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic import JsonValue

    from auditkit.training.recipe import TrainingRecipe
    from auditkit.types import AuditResult

__all__ = ["evaluate_folder", "register", "train_folder"]


def register(app: typer.Typer) -> None:
    """Add the command `train` to the application."""
    app.command()(train)


def train(
    recipe: Annotated[str, typer.Argument(help="a shipped recipe such as p5-mini, or a file")],
    out: Annotated[Path, typer.Option(help="model folder; a TARGET for `auditkit audit`")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the plan and stop")] = False,
    allow_outside: Annotated[
        bool, typer.Option(help="let recipe and data file name files outside their folder")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print the utility findings as JSON")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress")] = False,
) -> None:
    """Train a recommender, or resume an interrupted training. Then measure its utility."""
    from auditkit.cli.tables import findings_table
    from auditkit.privacy.canary_file import canary_path
    from auditkit.shipped_recipes import find_recipe
    from auditkit.training.recipe_checks import read_training_recipe

    chosen = read_training_recipe(find_recipe(recipe, kind="train"), allow_outside=allow_outside)
    if dry_run:
        typer.echo(_plan(chosen, allow_outside=allow_outside))
        return
    try:
        train_folder(
            chosen, out, quiet=quiet or not is_first_process(), allow_outside=allow_outside
        )
        if not is_first_process():
            return
        result = evaluate_folder(
            out, data=chosen.data.dataset, quiet=quiet, allow_outside=allow_outside
        )
    except KeyboardInterrupt:
        typer.echo(f"interrupted; the same command resumes from {out}", err=True)
        raise typer.Exit(130) from None
    typer.echo(result.to_json() if as_json else findings_table(result.findings), nl=not as_json)
    typer.echo(
        f"ranked over the full catalog; fit: {chosen.data.fit}; {protocol(result)}", err=True
    )
    if chosen.data.fit == "all_but_validation":
        typer.echo(
            "choose settings by the utility.validation findings; the other findings are on test "
            "items",
            err=True,
        )
    if chosen.canaries is not None:
        typer.echo(
            f"private file of the canaries that were trained on: {canary_path(out)}", err=True
        )
    typer.echo(str(out), err=True)


def protocol(result: AuditResult) -> str:
    """Evaluation protocol of the printed findings: the split, the tie breaking, and the data that
    are left out.
    """
    return "; ".join(str(result.catalog[name]) for name in ("split", "tie_rule", "left_out"))


def is_first_process() -> bool:
    """Whether this is the only process, or the first process that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def train_folder(
    recipe: TrainingRecipe,
    out: Path,
    *,
    quiet: bool = False,
    set_aside: bool = False,
    allow_outside: bool = False,
) -> Path:
    """Train a model into a folder. A finished model of the same recipe and data is not trained
    again.

    Args:
        set_aside: whether to rename a folder with a finished model of another recipe; otherwise
            such a folder is an error.
        allow_outside: whether a data description may name tables outside its folder.
    """
    from auditkit.catalog.datasets.user_tables import open_dataset
    from auditkit.cli.display import training_progress
    from auditkit.training.model_folder import is_trained, set_aside_other_model
    from auditkit.training.train import train_recipe

    dataset = open_dataset(recipe.data.dataset, allow_outside=allow_outside)
    if is_trained(out, recipe, dataset):
        typer.echo(f"{out} already contains this model", err=True)
        return out
    if set_aside and (kept := set_aside_other_model(out, recipe, dataset)) is not None:
        typer.echo(f"an older model of another recipe or data was moved to {kept}", err=True)
    with warnings.catch_warnings(), training_progress(recipe.name, quiet=quiet) as on_step:
        # Opacus' hooks and accountants warn about what the self-test and the ledger check.
        warnings.simplefilter("ignore", UserWarning)
        return train_recipe(recipe, out, dataset=dataset, on_step=on_step)


def evaluate_folder(
    folder: Path, *, data: str = "ml-100k", quiet: bool = False, allow_outside: bool = False
) -> AuditResult:
    """Run the utility probes that the model supports; the run folder is `FOLDER/evaluation`."""
    from auditkit.cli.display import audit_progress
    from auditkit.registry import probes
    from auditkit.run.identity import set_aside_other_run
    from auditkit.run.options import AuditOptions
    from auditkit.run.recipe import AuditRecipe
    from auditkit.run.runner import run_audit

    utility: dict[str, dict[str, JsonValue]] = {
        probe_id: {} for probe_id in probes() if probe_id.startswith("utility.")
    }
    recipe = AuditRecipe(version=1, name="evaluation", data=data, probes=utility)
    run = folder / "evaluation"
    set_aside_other_run(str(folder), recipe, run, allow_outside=allow_outside)
    options = AuditOptions(allow_outside=allow_outside)
    with audit_progress(quiet=quiet) as progress:
        return run_audit(str(folder), recipe, run, options=options, progress=progress)


def _plan(recipe: TrainingRecipe, *, allow_outside: bool) -> str:
    """Text on the number of steps and, for a private recipe, on the noise that the accountant
    computes.
    """
    from auditkit.catalog.datasets.user_tables import open_dataset

    if recipe.privacy:
        from auditkit.training.private_plan import private_plan

        dataset = open_dataset(recipe.data.dataset, allow_outside=allow_outside)
        return private_plan(recipe, recipe.privacy, dataset)
    if recipe.federated:
        from auditkit.training.federated_training import federated_plan

        dataset = open_dataset(recipe.data.dataset, allow_outside=allow_outside)
        return federated_plan(recipe, recipe.federated, dataset)
    if recipe.data.synthetic:
        from auditkit.training.synthetic_histories import synthetic_plan

        dataset = open_dataset(recipe.data.dataset, allow_outside=allow_outside)
        return synthetic_plan(recipe, recipe.data.synthetic, dataset)
    tasks = ", ".join(f"{rows} {name}" for name, rows in recipe.tasks.items())
    return f"{recipe.name}: {recipe.steps} steps of {tasks} rows, no privacy"
