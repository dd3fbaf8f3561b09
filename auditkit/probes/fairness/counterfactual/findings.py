"""All findings of the counterfactual probe, in the order of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from auditkit.probes.base import finding, unit_of
from auditkit.probes.fairness.counterfactual.arm_tests import ArmTests
from auditkit.probes.fairness.counterfactual.design import in_words
from auditkit.probes.fairness.counterfactual.effects import (
    interaction_finding,
    missing_finding,
    placebo_finding,
    reask_findings,
    same_list_finding,
    steering_finding,
)
from auditkit.probes.fairness.counterfactual.finding_builder import PREFIX, Reporting
from auditkit.probes.fairness.counterfactual.list_shift import NAMES, snsr_finding, snsv_finding
from auditkit.probes.fairness.counterfactual.wording_findings import wording_findings
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.types import Finding

__all__ = ["all_findings"]


def all_findings(reporting: Reporting, arms: Sequence[ArmTests]) -> Iterator[Finding]:
    """Yield findings on validity, then on each arm, then on exploratory wordings."""
    yield from _validity(reporting)
    for arm in arms:
        for metric in NAMES:
            yield snsr_finding(reporting, arm, metric)
        yield snsv_finding(reporting, arm)
        yield steering_finding(reporting, arm)
        yield placebo_finding(reporting, arm)
        yield missing_finding(reporting, arm)
        yield same_list_finding(reporting, arm)
        yield from reask_findings(reporting, arm)
        if arm.interaction is not None:
            yield interaction_finding(reporting, arm, arm.interaction)
    yield from wording_findings(reporting.answers, reporting.context, reporting.draws.bootstrap)


def _validity(reporting: Reporting) -> Iterator[Finding]:
    """Yield findings on the comparability of the responses, with the settings of the requests."""
    design = reporting.answers.design
    setting: dict[str, JsonValue] = {
        "k": design.k,
        "anchors": "histories" if reporting.history else "titles",
        "candidates": reporting.n_candidates,
        "temperature": design.temperature,
        "templates": list(design.templates["phrases"]),
        "neutral": [
            in_words(stated)
            for arm in design.arms
            if arm.kind == "neutral" and not arm.exploratory
            for stated in arm.stated
        ],
        "calls": sum(map(len, reporting.answers.responses)),
    }
    for metric, values in (
        ("usable_rate", reporting.validity.usable),
        ("self_similarity", reporting.validity.agreement),
    ):
        unit, direction = unit_of(f"{PREFIX}.{metric}")
        measured = bootstrap_mean(
            list(values),
            rng=reporting.context.rng("guard", metric),
            unit=unit,
            direction=direction,
            n_missing=len(reporting.answers.responses) - len(values),
            limits=(0, 1),
        )
        yield finding(
            reporting.context,
            f"{PREFIX}.{metric}",
            measured,
            parameters=setting,
            notes=reporting.notes,
        )
