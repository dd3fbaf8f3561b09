"""SNSR of attributes in exploratory wordings: with a typing error, in German, or as a first name.

A few wordings are not a random sample of wordings, so these findings have no p-value and should not
be used in a policy. Each is reported with a placebo in the same wording.
"""

from __future__ import annotations

from collections.abc import Iterator

from auditkit.probes.base import Context, finding, unit_of
from auditkit.probes.fairness.counterfactual.design import in_words
from auditkit.probes.fairness.counterfactual.response_tables import ResponseTables
from auditkit.stats.noise_floor import noise_floor
from auditkit.stats.resampled_estimate import banded, undefined
from auditkit.stats.simultaneous import snsr_bounds
from auditkit.types import Finding

__all__ = ["wording_findings"]

METRIC = "fairness.counterfactual.snsr_wording"
_NOTE = "exploratory: a few wordings are not a random sample of wordings"


def wording_findings(answers: ResponseTables, context: Context, draws: int) -> Iterator[Finding]:
    """Yield SNSR of every attribute and placebo in every exploratory wording."""
    unit, direction = unit_of(METRIC)
    for index, arm in enumerate(answers.design.arms):
        if not arm.exploratory or arm.kind == "neutral":
            continue
        probes = answers.complete(index)
        table = answers.similarity(index, "jaccard", probes)
        n_missing = len(answers.responses) - len(probes)
        group = f"attribute={arm.name}&wording={arm.wording}"
        if len(table) < 2:
            measured = undefined(
                unit, direction, reason="fewer than 2 complete probes", n_missing=n_missing
            )
            yield finding(context, METRIC, measured, group=group, notes=(_NOTE,))
            continue
        bounds = snsr_bounds(table, rng=context.rng("bounds", group), draws=draws)
        yield finding(
            context,
            METRIC,
            banded(
                bounds.value,
                bounds.bounds,
                unit=unit,
                direction=direction,
                n=len(table),
                n_missing=n_missing,
            ),
            group=group,
            parameters={
                "noise_floor": noise_floor(table).expected_snsr,
                "phrases": [in_words(stated) for stated in arm.stated],
            },
            notes=(_NOTE,),
        )
