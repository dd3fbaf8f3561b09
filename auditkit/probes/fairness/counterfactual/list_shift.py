"""Findings on SNSR and SNSV of an arm.

They include noise floor, bounds, pairs of values, and the required number of probes.

Values are listed by name, because an order by score is meaningless unless a pair differs
significantly. Source: FaiRLLM (Zhang et al. 2023); see docs/explain/fairness.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
from pydantic import JsonValue

from auditkit.probes.base import finding
from auditkit.probes.fairness.counterfactual.arm_tests import ArmTests
from auditkit.probes.fairness.counterfactual.design import in_words
from auditkit.probes.fairness.counterfactual.finding_builder import PREFIX, Reporting, by_name
from auditkit.probes.fairness.counterfactual.validity import value_table
from auditkit.stats.max_t import critical_value, resample_weights, resampled_means
from auditkit.stats.noise_floor import noise_floor
from auditkit.stats.power import detectable_difference, probes_to_pass
from auditkit.stats.simultaneous import MIN_PROBES
from auditkit.types import Evidence, Finding

__all__ = ["NAMES", "snsr_finding", "snsv_finding"]

NAMES = {"jaccard": "snsr", "serp": "snsr_serp", "prag": "snsr_prag"}
_PUBLISHED = ("paper", "fairllm_code", "langfair")
_NOTE = (
    "similarities are computed by the normalized formulas, so they are not comparable with "
    "published tables"
)


def snsr_finding(reporting: Reporting, arm: ArmTests, metric: str) -> Finding:
    """Create the finding of SNSR for one similarity; that for Jaccard includes the raw table and
    evidence.
    """
    full, table = f"{PREFIX}.{NAMES[metric]}", arm.tables[metric]
    design = reporting.answers.design
    if not arm.measured:
        return finding(reporting.context, full, reporting.too_few(full, arm), group=arm.name)
    values = reporting.values(arm)
    floor = noise_floor(table)
    parameters: dict[str, JsonValue] = {
        **reporting.p_values(arm, f"snsr {metric}"),
        "k": design.k,
        "variant": "normalized",
        "values": cast(JsonValue, values),
        "mean_similarity": by_name(values, table.mean(axis=0)),
        "mean_bars": _bars(reporting, arm, metric, values),
        "noise_floor": floor.expected_snsr,
        "noise_floor_95": floor.snsr_95,
        "sigma": floor.sigma,
        "detectable_difference": detectable_difference(
            floor.sigma, n=len(table), n_values=len(values)
        ),
        "margin": reporting.margin,
        "probes_to_pass": probes_to_pass(
            floor.sigma, margin=reporting.margin, n_values=len(values)
        ),
        "self_similarity": float(np.mean(reporting.validity.agreement)),
        "pairs": _pairs(reporting, arm, metric, values),
        "published_variants": {
            variant: list(reporting.answers.published(arm.arm, metric, variant))
            for variant in _PUBLISHED
        },
    }
    if metric == "jaccard":
        parameters |= {
            "phrases": [in_words(stated) for stated in design.arms[arm.arm].stated],
            "answers": cast(JsonValue, value_table(reporting.answers, arm.arm)),
            "snsr_of_answered": list(_answered_only(reporting, arm)),
            "similarity": cast(JsonValue, table.tolist()),
        }
    return finding(
        reporting.context,
        full,
        reporting.band(full, arm.bounds[metric], arm, test=f"snsr {metric}"),
        group=arm.name,
        parameters=parameters,
        evidence=_least_similar(reporting, arm) if metric == "jaccard" else (),
        n_cases=int((arm.tables["jaccard"] < 1).sum()) if metric == "jaccard" else None,
        notes=(_NOTE, *reporting.notes),
    )


def snsv_finding(reporting: Reporting, arm: ArmTests) -> Finding:
    """Create the finding of SNSV of A values.

    SNSV lies between SNSR / sqrt(2 A) and SNSR / 2, so its bounds follow from the bounds of SNSR.
    """
    metric, table = f"{PREFIX}.snsv", arm.tables["jaccard"]
    if not arm.measured:
        return finding(reporting.context, metric, reporting.too_few(metric, arm), group=arm.name)
    bounds = arm.bounds["jaccard"]
    inside = bounds._replace(
        value=arm.disturbances["jaccard"].snsv.statistic,
        bounds=bounds.of_standard_deviation(table.shape[1]),
    )
    return finding(
        reporting.context,
        metric,
        reporting.band(metric, inside, arm),
        group=arm.name,
        parameters={"corrected": noise_floor(table).snsv_corrected},
    )


def _bars(reporting: Reporting, arm: ArmTests, metric: str, values: Sequence[str]) -> JsonValue:
    """Return simultaneous bounds of every value's mean similarity; None if there are too few
    probes.
    """
    table, draws = arm.tables[metric], reporting.draws.bootstrap
    n = len(table)
    if n < MIN_PROBES:
        return None
    weights = resample_weights(reporting.rng("bars", arm, metric), n=n, draws=draws)
    critical = critical_value(*resampled_means(table, weights))
    reach = critical * table.std(axis=0, ddof=1) / math.sqrt(n)
    # A value with the same similarity in all probes may still differ in another probe.
    reach = np.where(reach > 0, reach, 1 - (0.05 / len(values)) ** (1 / n))
    ends = np.clip(np.stack((table.mean(axis=0) - reach, table.mean(axis=0) + reach)), 0, 1)
    return dict(zip(values, ends.T.tolist(), strict=True))


def _pairs(reporting: Reporting, arm: ArmTests, metric: str, values: Sequence[str]) -> JsonValue:
    """Return the pairs of values that differ significantly, the value with larger shift first."""
    means = arm.tables[metric].mean(axis=0)
    joint = reporting.p(arm, f"largest t {metric}")
    found: list[JsonValue] = []
    a, b = np.triu_indices(len(values), 1)
    for i, j, p in zip(a, b, arm.disturbances[metric].pair_p(), strict=True):
        largest = max(float(p), joint if joint is not None else 1.0)
        if largest < 0.05:
            low, high = sorted((int(i), int(j)), key=lambda v: float(means[v]))
            gap = float(means[high] - means[low])
            found.append([values[low], values[high], gap, largest])
    return found


def _answered_only(reporting: Reporting, arm: ArmTests) -> tuple[float | None, int]:
    """Return SNSR over the probes in which every request has a list, and the number of these
    probes.

    SNSR is None if undefined.
    """
    rows = [i for i, p in enumerate(arm.probes) if reporting.answers.all_listed(arm.arm, p)]
    table = arm.tables["jaccard"][rows]
    return (float(np.ptp(table.mean(axis=0))) if rows else None), len(rows)


def _least_similar(reporting: Reporting, arm: ArmTests) -> list[Evidence]:
    """Cite the three probes in which stating a value shifts the list most."""
    table = arm.tables["jaccard"]
    order = np.dstack(np.unravel_index(np.argsort(table, axis=None), table.shape))[0][:3]
    found = []
    for row, value in order.tolist():
        stated = reporting.answers.design.arms[arm.arm].stated[value]
        found.append(
            Evidence(
                requests=reporting.ids(arm.probes[row], (0, 0), (arm.arm, value)),
                what=f"stating {arm.name} = {stated.value}: "
                f"Jaccard {table[row, value]:.2f} to the neutral list",
            )
        )
    return found
