"""An audit in a process that can be killed, started by fork so that many kills take little time."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.process import BaseProcess
from pathlib import Path

TARGET = "python:planted_recommenders:Recorded"


def start(
    recipe_json: str, out: Path, environment: dict[str, str], target: str = TARGET
) -> BaseProcess:
    """Start an audit of a recommender that writes down what it is asked."""
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(
        ["auditkit.run.runner", "planted_recommenders", "planted_assistants"]
    )
    process = forking.Process(target=_audit, args=(recipe_json, str(out), environment, target))
    process.start()
    return process


def _audit(recipe_json: str, out: str, environment: dict[str, str], target: str) -> None:
    from auditkit.run.options import AuditOptions
    from auditkit.run.recipe import AuditRecipe
    from auditkit.run.runner import run_audit

    os.environ.update(environment)
    recipe = AuditRecipe.model_validate_json(recipe_json)
    run_audit(target, recipe, Path(out), options=AuditOptions(allow_code=True))
