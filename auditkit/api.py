"""The Python API: the same three steps as the command line."""

from __future__ import annotations

from pathlib import Path

from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.policy.decide import decide
from auditkit.policy.decision import Decision
from auditkit.policy.schema import Policy
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.recommenders.loading.load import load_recommender as load
from auditkit.run.recipe import read_recipe
from auditkit.run.runner import run_audit
from auditkit.shipped_recipes import find_recipe
from auditkit.types import AuditResult

__all__ = ["audit", "gate", "load_recommender"]


def audit(
    target: str, recipe: str = "quick", *, out: str | Path, allow_code: bool = False
) -> AuditResult:
    """Audit a recommender into a run folder.

    Args:
        target: model folder, `baseline:NAME`, `replay:FILE.jsonl` or `python:MODULE:NAME`.
        recipe: shipped name or YAML file.
        out: run folder; an interrupted run in it goes on.

    Raises:
        AuditkitError: nothing could be asked; the message says what to do.
    """
    return run_audit(
        target, read_recipe(find_recipe(recipe, kind="audit")), Path(out), allow_code=allow_code
    )


def gate(result: AuditResult, policy: str | Path) -> Decision:
    """Judge a result by a policy file or the name of a shipped policy."""
    return decide(result, Policy.read(find_recipe(str(policy), kind="policy")))


def load_recommender(target: str, *, allow_code: bool = False) -> LoadedRecommender:
    """Load what TARGET names, with its fingerprint; baselines are fitted on MovieLens-100k."""
    return load(target, dataset=load_ml100k(get_dataset("ml-100k")), allow_code=allow_code)
