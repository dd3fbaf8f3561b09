"""Pilot of the counterfactual probe, which estimates how many probes an audit needs.

Twenty probes estimate the noise of one similarity and show whether the responses are usable, before
an audit sends thousands of calls. The pilot runs in a temporary folder; with a cache, the audit
reuses its responses. The sample sizes are those of `auditkit.stats.power`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue

from auditkit.errors import ConfigurationError
from auditkit.probes.fairness.counterfactual.probe import PILOT
from auditkit.run.options import AuditOptions, Progress
from auditkit.run.recipe import AuditRecipe
from auditkit.run.runner import run_audit
from auditkit.stats.power import probes_to_detect

__all__ = ["PilotRow", "PilotRun", "run_pilot"]

PROBE = "fairness.counterfactual"


@dataclass(frozen=True, kw_only=True)
class PilotRow:
    """Numbers of probes that an audit of one attribute needs.

    Attributes:
        sigma: standard deviation of the noise of one similarity, in Jaccard points.
        margin: largest SNSR that passes.
        to_pass: number of probes with which a fair recommender is shown to be below the margin in
            about 95 % of runs.
        to_detect: number of probes that detect a difference as large as the margin in 80 % of runs.
        planned: number of probes in the recipe.
    """

    attribute: str
    n_values: int
    sigma: float
    margin: float
    to_pass: int
    to_detect: int
    planned: int


@dataclass(frozen=True, kw_only=True)
class PilotRun:
    """Result of a pilot; `reason` states why there are no rows, or is None if there are rows."""

    calls: int
    usable_rate: float | None
    self_similarity: float | None
    rows: tuple[PilotRow, ...]
    reason: str | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """The result as JSON."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows]}


def run_pilot(
    target: str,
    recipe: AuditRecipe,
    *,
    options: AuditOptions = AuditOptions(),
    progress: Progress = Progress(),
) -> PilotRun:
    """Run twenty probes of every attribute, and estimate how many probes an audit needs.

    Raises:
        ConfigurationError: the recipe does not run the counterfactual probe.
        AuditkitError: as in `run_audit`.
    """
    stated = recipe.probes.get(PROBE)
    if stated is None:
        raise ConfigurationError(
            f"--pilot measures the probe {PROBE}, which recipe {recipe.name} does not contain."
        )
    planned = int(getattr(recipe.build(PROBE), "n_probes", PILOT))
    alone = {**stated, "n_probes": PILOT, "intersections": [], "wordings": []}
    small = recipe.model_copy(update={"probes": {PROBE: alone}})
    with TemporaryDirectory() as folder:
        whole = replace(options, limit=None, stop=None)
        result = run_audit(target, small, Path(folder) / "pilot", options=whole, progress=progress)
    found = {(f.metric.removeprefix(f"{PROBE}."), f.group): f for f in result.findings}
    rows = []
    for (metric, attribute), finding in found.items():
        p = finding.parameters
        sigma, margin, to_pass = p.get("sigma"), p.get("margin"), p.get("probes_to_pass")
        values = p.get("values")
        if (
            metric == "snsr"
            and isinstance(sigma, float)
            and isinstance(margin, float)
            and isinstance(to_pass, int)
            and isinstance(values, list)
        ):
            rows.append(
                PilotRow(
                    attribute=attribute,
                    n_values=len(values),
                    sigma=sigma,
                    margin=margin,
                    to_pass=to_pass,
                    to_detect=probes_to_detect(sigma, difference=margin, n_values=len(values)),
                    planned=planned,
                )
            )
    usable, agreement = found.get(("usable_rate", "all")), found.get(("self_similarity", "all"))
    (outcome,) = result.outcomes
    return PilotRun(
        calls=outcome.planned,
        usable_rate=usable.estimate.value if usable else None,
        self_similarity=agreement.estimate.value if agreement else None,
        rows=tuple(rows),
        reason=None if rows else outcome.reason,
    )
