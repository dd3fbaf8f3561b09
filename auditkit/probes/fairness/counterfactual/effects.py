"""Findings of the counterfactual probe other than SNSR and SNSV.

They are steering, the comparison with placebo and with a repeated request, unusable responses,
identical lists, and interactions of attributes.

See docs/explain/fairness.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from auditkit.probes.base import finding, unit_of
from auditkit.probes.fairness.counterfactual.arm_tests import ArmTests
from auditkit.probes.fairness.counterfactual.design import Stated
from auditkit.probes.fairness.counterfactual.finding_builder import PREFIX, Reporting, by_name
from auditkit.stats.bootstrap import ResampledEstimate, bootstrap_mean, paired_difference, undefined
from auditkit.stats.interaction import Interaction
from auditkit.stats.resampled_estimate import banded
from auditkit.stats.simultaneous import share_gap_bounds, snsr_bounds
from auditkit.types import Band, Evidence, Finding

__all__ = [
    "interaction_finding",
    "missing_finding",
    "placebo_finding",
    "reask_findings",
    "same_list_finding",
    "steering_finding",
]


def steering_finding(reporting: Reporting, arm: ArmTests) -> Finding:
    """Find the largest difference between two values in the share of a genre.

    Only probes in which every value has a list count. The p-value comes from the test of items.
    """
    metric = f"{PREFIX}.steer"
    if not arm.measured:
        return finding(reporting.context, metric, reporting.too_few(metric, arm), group=arm.name)
    membership = {
        item.id: dict.fromkeys(item.genres or ("none",), 1 / max(len(item.genres), 1))
        for item in reporting.context.dataset.catalog.items
    }
    probes = [probe for probe in arm.probes if reporting.answers.all_listed(arm.arm, probe)]
    if len(probes) < 2:
        return finding(reporting.context, metric, reporting.too_few(metric, arm), group=arm.name)
    groups, shares = reporting.answers.group_shares(arm.arm, probes, membership)
    bounds = share_gap_bounds(
        shares, rng=reporting.rng("bounds", arm, metric), draws=reporting.draws.bootstrap
    )
    values = reporting.values(arm)
    means = shares.mean(axis=0)
    gaps = np.ptp(means, axis=0)
    widest = int(gaps.argmax())
    most, least = int(means[:, widest].argmax()), int(means[:, widest].argmin())
    return finding(
        reporting.context,
        metric,
        reporting.band(metric, bounds, arm, test="items", n=len(probes)),
        group=arm.name,
        parameters={
            **reporting.p_values(arm, "items"),
            "groups": list(groups),
            "shares": {v: by_name(groups, row) for v, row in zip(values, means, strict=True)},
            "widest": [groups[widest], values[most], values[least]],
        },
        evidence=_steered(
            reporting, arm, probes, shares[:, :, widest], groups[widest], (most, least)
        ),
        n_cases=int((shares[:, most, widest] > shares[:, least, widest]).sum()),
    )


def _steered(
    reporting: Reporting,
    arm: ArmTests,
    probes: Sequence[int],
    shares: NDArray[np.float64],
    group: str,
    pair: tuple[int, int],
) -> list[Evidence]:
    """Cite the three probes with the largest gap between two values in an item group's share."""
    most, least = pair
    gaps = shares[:, most] - shares[:, least]
    values = reporting.answers.design.arms[arm.arm].stated
    return [
        Evidence(
            requests=reporting.ids(probes[row], (arm.arm, most), (arm.arm, least)),
            what=f"{group}: {shares[row, most]:.0%} of the list for {values[most].value}, "
            f"{shares[row, least]:.0%} for {values[least].value}",
        )
        for row in np.argsort(-gaps, kind="stable")[:3].tolist()
        if gaps[row] > 0
    ]


def placebo_finding(reporting: Reporting, arm: ArmTests) -> Finding:
    """Estimate how much more the attribute shifts lists than an irrelevant phrase does."""
    metric = f"{PREFIX}.placebo_shift"
    unit, direction = unit_of(metric)
    if arm.placebo is None:
        reason = arm.no_placebo or "fewer than 2 complete probes"
        missing = undefined(unit, direction, reason=reason, n=0)
        notes = (
            ("needs_placebo: without a placebo, a shift may be due to any added phrase",)
            if arm.measured
            else ()
        )
        return finding(reporting.context, metric, missing, group=arm.name, notes=notes)
    found = arm.placebo
    return finding(
        reporting.context,
        metric,
        banded(
            found.shift.statistic,
            found.interval,
            unit=unit,
            direction=direction,
            n=found.n,
            n_missing=len(reporting.answers.responses) - found.n,
            p_adjusted=reporting.p(arm, "placebo shift"),
        ),
        group=arm.name,
        parameters={
            **reporting.p_values(arm, "placebo shift"),
            "placebo_mean_similarity": found.placebo_mean,
            "snsr_difference": found.snsr.statistic,
            "snsr_difference_p_adjusted": reporting.p(arm, "placebo snsr"),
            "between_difference": found.between.statistic if found.between else None,
            "between_difference_p_adjusted": reporting.p(arm, "placebo between"),
        },
    )


def missing_finding(reporting: Reporting, arm: ArmTests) -> Finding:
    """Test whether unusable responses are more frequent for some values than for others.

    A response without a usable list was refused, could not be parsed, or is too short.
    """
    metric, table = f"{PREFIX}.missing_gap", reporting.answers.unusable(arm.arm)
    if len(table) < 2:
        return finding(reporting.context, metric, reporting.too_few(metric, arm), group=arm.name)
    bounds = snsr_bounds(
        table, rng=reporting.rng("bounds", arm, metric), draws=reporting.draws.bootstrap
    )
    return finding(
        reporting.context,
        metric,
        reporting.band(metric, bounds, arm, test="missing", n=len(table)),
        group=arm.name,
        parameters=reporting.p_values(arm, "missing"),
    )


def same_list_finding(reporting: Reporting, arm: ArmTests) -> Finding:
    """Estimate the share of lists that are identical to the neutral list."""
    metric = f"{PREFIX}.same_list"
    unit, direction = unit_of(metric)
    measured = bootstrap_mean(
        reporting.answers.same_list(arm.arm, arm.probes).tolist(),
        rng=reporting.rng("bootstrap", arm, metric),
        unit=unit,
        direction=direction,
        n_missing=reporting.n_missing(arm),
        reason="no complete probe",
        limits=(0, 1),
    )
    return finding(reporting.context, metric, measured, group=arm.name)


def reask_findings(reporting: Reporting, arm: ArmTests) -> Iterator[Finding]:
    """Yield, for each value, how much more it shifts lists than a repeated neutral request does."""
    metric = f"{PREFIX}.beyond_reask"
    unit, direction = unit_of(metric)
    for stated in reporting.answers.design.arms[arm.arm].stated:
        table = arm.beside_reask.get(stated.value, np.zeros((0, 3)))
        measured = paired_difference(
            table[:, 1:].mean(axis=1).tolist(),
            table[:, 0].tolist(),
            rng=reporting.rng("bootstrap", arm, metric, stated.value),
            unit=unit,
            direction=direction,
            n_missing=len(reporting.answers.responses) - len(table),
            reason="no probe has two neutral lists",
            limits=(0, 1),
        )
        p = reporting.p(arm, f"reask {stated.value}")
        yield finding(
            reporting.context,
            metric,
            ResampledEstimate(measured.estimate, Band(p_adjusted=p)),
            group=_group(arm.name, stated),
            parameters=reporting.p_values(arm, f"reask {stated.value}"),
        )


def interaction_finding(reporting: Reporting, arm: ArmTests, found: Interaction) -> Finding:
    """Estimate the effect of a pair of values beyond the sum of the effects of its two values."""
    metric = f"{PREFIX}.interaction"
    return finding(
        reporting.context,
        metric,
        reporting.band(metric, found.bounds, arm, test="interaction"),
        group=arm.name,
        parameters={
            **reporting.p_values(arm, "interaction"),
            "contrasts": by_name(reporting.values(arm), found.contrasts.ravel()),
        },
    )


def _group(name: str, stated: Stated) -> str:
    """Return the group of a finding: `gender=woman`, or `gender=woman&age=19` for a crossed arm."""
    pairs = zip(name.split("&"), stated.parts or (stated.value,), strict=True)
    return "&".join(f"{attribute}={value}" for attribute, value in pairs)
