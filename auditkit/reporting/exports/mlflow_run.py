"""Log a run folder to MLflow: findings as metrics, identity as parameters, reports as artifacts.

Evidence stays out of the artifacts, because it contains users' histories. Names in MLflow may not
contain `@`, `=` or `&`, so these characters are replaced by words; slashes are replaced, too,
because MLflow treats them as folders. Names of findings are unique.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from auditkit.errors import MissingDependency
from auditkit.evidence.manifest import verify_run
from auditkit.policy.decision import Decision
from auditkit.types import AuditResult, Finding

__all__ = ["log_to_mlflow"]

_ARTIFACTS = ("report.html", "summary.md", "findings.csv", "result.json", "verdict.json")
_WORDS = {"@": "_at_", "=": "_is_", "&": "_and_"}
_NOT_ALLOWED = re.compile(r"[^\w\-. ]")
_MOST_CHARACTERS = 240


def log_to_mlflow(
    run: str | Path, *, experiment: str = "auditkit", tracking_uri: str | None = None
) -> str:
    """Log a run folder as one run of an MLflow experiment.

    Args:
        run: run folder; its evidence is verified first.
        experiment: name of the experiment, created if it does not exist.
        tracking_uri: server or folder of MLflow; None for MLflow's own setting.

    Returns:
        Id of the MLflow run.

    Raises:
        MissingDependency: mlflow is not installed.
        IntegrityError: the run folder was altered.
    """
    try:
        mlflow: Any = importlib.import_module("mlflow")
    except ModuleNotFoundError as error:
        raise MissingDependency(
            str(error.name), purpose="log_to_mlflow", command="pip install mlflow-skinny"
        ) from None
    folder = Path(run)
    verification = verify_run(folder)
    result = AuditResult.read(folder)
    decision = Decision.read_about(folder, verification.run_key, verification.root)
    if tracking_uri is not None:
        mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=result.target.name[:_MOST_CHARACTERS]) as started:
        mlflow.log_params(
            {
                "target": result.target.name[:_MOST_CHARACTERS],
                "target_fingerprint": result.target.fingerprint,
                "catalog_sha256": str(result.catalog.get("sha256", "")),
                "seed": result.seed,
            }
        )
        mlflow.set_tags({"run_key": result.run_key, "evidence_root": verification.root})
        if decision is not None:
            mlflow.set_tags({"verdict": decision.verdict, "policy": decision.policy})
            mlflow.log_metric("gate_exit_code", decision.exit_code)
        mlflow.log_metrics(_metrics(result.findings))
        for name in _ARTIFACTS:
            if (folder / name).is_file():
                mlflow.log_artifact(str(folder / name))
        return str(started.info.run_id)


def _metrics(findings: tuple[Finding, ...]) -> dict[str, float]:
    """Return value and interval of every finding with a value, by a name that MLflow allows."""
    found: dict[str, float] = {}
    for finding in findings:
        group = "" if finding.group == "all" else f" for {finding.group}"
        name = _unused(_allowed(f"{finding.metric}{group}"), found)
        ends = ("", finding.estimate.value), ("_low", finding.estimate.low), (
            "_high", finding.estimate.high,
        )  # fmt: skip
        found |= {f"{name}{end}": number for end, number in ends if number is not None}
    return found


def _allowed(name: str) -> str:
    for sign, word in _WORDS.items():
        name = name.replace(sign, word)
    return _NOT_ALLOWED.sub("_", name)[:_MOST_CHARACTERS].rstrip(" .")


def _unused(name: str, taken: dict[str, float]) -> str:
    """Return the name, with a number if another finding already has this name."""
    number = 2
    chosen = name
    while chosen in taken:
        chosen, number = f"{name}_{number}", number + 1
    return chosen
