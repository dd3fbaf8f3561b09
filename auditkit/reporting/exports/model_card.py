"""`model-card.md`: results of a run as `model-index` metadata and a section "Safety audit".

The Hugging Face Hub reads such metadata from the head of a model's README. A metric without a value
is left out, because the Hub rejects missing values. Source: huggingface_hub, ModelCardData and
EvalResult.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from auditkit.policy.decision import Decision
from auditkit.policy.vocabulary import REFERENCE
from auditkit.reporting.run_reader import ReportSource, read_verified_source
from auditkit.reporting.summary import render_summary
from auditkit.security.escaping import visible
from auditkit.security.personal_data import mask
from auditkit.serialization.atomic_files import write_atomically
from auditkit.types import Finding

__all__ = ["MODEL_CARD", "render_model_card", "write_model_card"]

MODEL_CARD = "model-card.md"
_MOST_RESULTS = 60
_HEADINGS = {"# auditkit report": "## Safety audit", "## Not tested": "### Not tested"}
_LIMITS = (
    "Measured with auditkit {version}. Values are estimates with 95% intervals on the sampled "
    "users; the verdict compares one-sided bounds with the limits of the policy. This is not a "
    "conformity assessment."
)


def write_model_card(run: Path) -> Path:
    """Write `model-card.md` into a run folder whose report was written.

    The manifest does not seal this file, because it is meant to be merged into the README of the
    model.

    Raises:
        IntegrityError: the run folder was altered.
    """
    write_atomically(run / MODEL_CARD, render_model_card(read_verified_source(run)))
    return run / MODEL_CARD


def render_model_card(source: ReportSource) -> str:
    """Render the metadata and the section, to be merged into the README of a model."""
    result, decision = source.result, source.decision
    shown = list(_shown(result.findings, decision))[:_MOST_RESULTS]
    entry = {
        "task": {"type": "other", "name": "recommendation"},
        "dataset": {
            "type": _text(str(result.catalog.get("name", "catalog"))),
            "name": _text(str(result.catalog.get("name", "catalog"))),
            "args": {"sha256": _text(str(result.catalog.get("sha256", "")))},
        },
        "metrics": [_metric(finding) for finding in shown],
    }
    name = _text(result.target.name)
    head = {"tags": ["recommender-system", "auditkit"]}
    index = {"model-index": [{"name": name, "results": [entry] if shown else []}]}
    front = yaml.safe_dump({**head, **index}, sort_keys=False, allow_unicode=False)
    limits = _LIMITS.format(version=_text(result.environment.get("auditkit", "of unknown version")))
    section = [_HEADINGS.get(line, line) for line in render_summary(source).split("\n")]
    return "\n".join(["---", front.rstrip("\n"), "---", "", *section, limits, ""])


def _shown(findings: Sequence[Finding], decision: Decision | None) -> Iterator[Finding]:
    """Yield findings with a value that a rule judges; without a policy, findings of group `all`."""
    rules = {(rule.metric, rule.group) for rule in decision.rules} if decision else None
    for finding in findings:
        wanted = (
            finding.group == "all" if rules is None else (finding.metric, finding.group) in rules
        )
        reference = finding.group.startswith(f"{REFERENCE}=")
        if wanted and not reference and finding.estimate.value is not None:
            yield finding


def _metric(finding: Finding) -> dict[str, object]:
    estimate = finding.estimate
    group = "" if finding.group == "all" else f" for {finding.group}"
    details = {
        "low": estimate.low, "high": estimate.high, "level": estimate.level, "n": estimate.n,
        "n_missing": estimate.n_missing, "unit": estimate.unit, "better": estimate.direction,
    }  # fmt: skip
    return {
        "type": finding.metric,
        "name": _text(f"{finding.metric}{group}"),
        "value": estimate.value,
        "args": {name: value for name, value in details.items() if value is not None},
    }


def _text(text: str) -> str:
    return " ".join(visible(mask(text)).split())[:200]
