"""A real audit of a fake recommender on the small world, for tests of recorded runs."""

from __future__ import annotations

from pathlib import Path

from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit

CODE = AuditOptions(allow_code=True)
CLEAN = "python:planted_recommenders:Clean"
INVENTS = "python:planted_recommenders:InventsTitles"
RECORDED = "python:planted_recommenders:Recorded"
FAILS = "python:planted_recommenders:FailsEveryThird"
LISTS = {"hallucination.catalog": {"n_users": 40}, "robustness.prompt.typo": {"n_users": 30}}


def audit(target: str, run: Path, probes: dict[str, object] | None = None) -> Path:
    """Audit a target; by default with two probes that ask for lists only."""
    recipe = AuditRecipe(version=1, name="small", batch_size=8, probes=probes or LISTS)
    run_audit(target, recipe, run, options=CODE)
    return run
