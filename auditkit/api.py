"""The Python API: one function for each step of the command line."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from auditkit.catalog.datasets.user_tables import open_dataset
from auditkit.errors import MissingDependency
from auditkit.gating import gate_run, read_baseline
from auditkit.policy.decide import decide
from auditkit.policy.decision import Decision
from auditkit.policy.schema import Policy
from auditkit.recommenders.loading import load
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import read_recipe
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe
from auditkit.types import AuditResult

__all__ = ["audit", "gate", "load_recommender", "report", "train"]


def audit(
    target: str,
    recipe: str | Path = "quick",
    *,
    out: str | Path,
    data: str | None = None,
    only: Sequence[str] = (),
    options: AuditOptions = AuditOptions(),
) -> AuditResult:
    """Audit a recommender and write a run folder, the input of `report` and `gate`.

    Args:
        target: model folder, `openai:BASE_URL#MODEL`, `baseline:NAME`, `replay:FILE.jsonl`,
            `scores:FILE.npz` or `python:MODULE:NAME`.
        recipe: name of a shipped recipe, or a YAML file.
        out: run folder; an interrupted run in it is resumed.
        data: `ml-100k` or a YAML file that describes your data; overrides the data of the recipe.
        only: dimensions or probe ids to run; if empty, all probes of the recipe run.
        options: catalog, budget, permissions and other options.

    Raises:
        AuditkitError: the audit could not start; the message says what to do.
    """
    chosen = read_recipe(
        find_recipe(str(recipe), kind="audit"), allow_outside=options.allow_outside
    )
    if data is not None:
        chosen = chosen.model_copy(update={"data": data})
    if only:
        chosen = chosen.only(only)
    return run_audit(target, chosen, Path(out), options=options)


def gate(
    result: AuditResult | str | Path,
    policy: str | Path,
    *,
    baseline: str | Path | None = None,
    as_of: datetime.date | None = None,
    strict: bool = False,
    allow_incomparable: bool = False,
    allow_outside: bool = False,
) -> Decision:
    """Judge a result or a run folder by a policy.

    Args:
        result: a result, or a run folder. The evidence of a folder is verified first, and
            `verdict.json`, `junit.xml` and `results.sarif` are written into it.
        policy: name of a shipped policy, or a YAML file.
        baseline: run folder or `result.json` to compare with; if None, the baseline of the policy.
        as_of: day on which expiry dates of waivers are checked; if None, today (UTC).
        strict: whether every inconclusive rule blocks a release.
        allow_incomparable: whether to compare even with a baseline of another version, recipe, data
            or catalog; the verdict is then never pass.
        allow_outside: whether the policy may name a baseline outside of its folder and the current
            folder.

    Raises:
        ConfigurationError: the policy is invalid, or the folder is not a run folder.
        IntegrityError: the run or the baseline was altered.
    """
    path = find_recipe(str(policy), kind="policy")
    judged = Policy.read(path, allow_outside=allow_outside)
    other = None if baseline is None else Path(baseline)
    if not isinstance(result, AuditResult):
        return gate_run(
            Path(result),
            judged,
            baseline=other,
            as_of=as_of,
            strict=strict,
            allow_incomparable=allow_incomparable,
        )
    return decide(
        result,
        judged,
        baseline=read_baseline(other or judged.baseline_path()),
        as_of=as_of,
        strict=strict,
        allow_incomparable=allow_incomparable,
    )


def report(
    run: str | Path, *, out: str | Path | None = None, model_card: bool = False
) -> list[Path]:
    """Write `report.html`, `summary.md` and `findings.csv` of a run folder.

    Args:
        run: run folder of an audit.
        out: additional path for the HTML page.
        model_card: whether to write `model-card.md`, too, for the README of a model on the Hugging
            Face Hub.

    Returns:
        Paths of the written files.
    """
    from auditkit.reporting import write_report
    from auditkit.reporting.exports.model_card import write_model_card

    page = None if out is None else Path(out)
    written = list(write_report(Path(run), out=page))
    return [*written, write_model_card(Path(run))] if model_card else written


def load_recommender(
    target: str,
    *,
    data: str = "ml-100k",
    prompts: Path | None = None,
    allow_code: bool = False,
    allow_outside: bool = False,
) -> LoadedRecommender:
    """Load a recommender and compute its fingerprint.

    Args:
        target: as in `audit`.
        data: data set for targets that need users or items: baselines (which are fitted), dual
            encoders (which rank all items), mitigations (which read users' attributes) and adapters
            of installed packages. For other targets, the data set is not loaded.
        prompts: template file for a recommender that has no templates.
        allow_code: whether `python:` targets may import and run code.
        allow_outside: whether a description of data may name tables outside of its folder.

    Raises:
        TargetUnavailable: the kind of target is unknown, files are missing, or code is not allowed.
        MissingDependency: the extra for this kind of target is not installed.
    """
    needed = load.needs_dataset(target)
    dataset = open_dataset(data, allow_outside=allow_outside) if needed else None
    return load.load_recommender(target, dataset=dataset, prompts=prompts, allow_code=allow_code)


def train(recipe: str | Path, out: str | Path, *, allow_outside: bool = False) -> Path:
    """Train a recommender; its folder can be the `target` of `audit`.

    Args:
        recipe: name of a shipped training recipe, or a YAML file.
        out: model folder; an interrupted training in it is resumed.
        allow_outside: whether the recipe and the data description may name files outside of their
            folder.

    Returns:
        `out`.

    Raises:
        ConfigurationError: the recipe is invalid.
        MissingDependency: the extra `train` is not installed, or `fl` for a federated recipe.
        AuditkitError: the folder belongs to another recipe, or training fails.
    """
    try:
        from auditkit.training import recipe_checks
        from auditkit.training import train as training
    except ModuleNotFoundError as error:
        raise MissingDependency(str(error.name), extra="train", purpose="Training") from None
    chosen = recipe_checks.read_training_recipe(
        find_recipe(str(recipe), kind="train"), allow_outside=allow_outside
    )
    dataset = open_dataset(chosen.data.dataset, allow_outside=allow_outside)
    return training.train_recipe(chosen, Path(out), dataset=dataset)
