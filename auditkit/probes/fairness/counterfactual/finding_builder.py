"""Common parts of the findings of the counterfactual probe.

The report shows the parameters of each finding. The finding of SNSR by Jaccard includes the raw
table, from which bounds, noise floor and p-value can be recomputed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from pydantic import JsonValue

from auditkit.probes.base import Context, unit_of
from auditkit.probes.fairness.counterfactual.arm_tests import ArmTests, Resamples
from auditkit.probes.fairness.counterfactual.design import Slot
from auditkit.probes.fairness.counterfactual.response_tables import ResponseTables
from auditkit.probes.fairness.counterfactual.validity import Validity
from auditkit.stats.resampled_estimate import ResampledEstimate, banded, undefined
from auditkit.stats.simultaneous import RangeBounds

__all__ = ["PREFIX", "Reporting", "by_name"]

PREFIX = "fairness.counterfactual"


@dataclass(frozen=True)
class Reporting:
    """Responses, settings and adjusted p-values that all findings need.

    Attributes:
        p_adjusted: adjusted p-values by (arm, test).
        margin: SNSR for which the required number of probes is reported.
        n_candidates: number of candidates per request; 0 for none.
        history: whether anchors are histories.
        planned: number of probes in the recipe.
    """

    answers: ResponseTables
    context: Context
    validity: Validity
    p_adjusted: Mapping[tuple[str, str], float]
    draws: Resamples
    margin: float
    n_candidates: int
    history: bool
    planned: int

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on validity and on the number of probes, added to the findings."""
        n = len(self.answers.responses)
        fewer = f"{self.planned} probes were planned, but the data have only {n}"
        return (*self.validity.notes, *([fewer] if n < self.planned else []))

    def values(self, arm: ArmTests) -> list[str]:
        """Return the names of the values of an arm."""
        return [stated.value for stated in self.answers.design.arms[arm.arm].stated]

    def rng(self, purpose: str, arm: ArmTests, *names: str) -> np.random.Generator:
        """Create a random generator for one purpose of one arm."""
        return self.context.rng(purpose, arm.name, *names)

    def n_missing(self, arm: ArmTests) -> int:
        """Return the number of planned probes that are not complete."""
        return len(self.answers.responses) - len(arm.probes)

    def p(self, arm: ArmTests, test: str) -> float | None:
        """Return the adjusted p-value of a test; None if the test was not run."""
        return self.p_adjusted.get((arm.name, test))

    def p_values(self, arm: ArmTests, test: str) -> dict[str, JsonValue]:
        """Return the adjusted p-value of a test as parameters of a finding; None if it was not
        run.
        """
        tested = arm.named.get(test)
        return {"p": tested.p if tested else None, "p_adjusted": self.p(arm, test)}

    def ids(self, probe: int, *places: tuple[int, int]) -> tuple[str, ...]:
        """Return the request ids of one probe at the given places (arm, value)."""
        slots = (Slot(arm, value, 0, 0) for arm, value in places)
        return tuple(self.answers.response(probe, slot).request_id for slot in slots)

    def too_few(self, metric: str, arm: ArmTests) -> ResampledEstimate:
        """Return an undefined estimate, because there are too few complete probes."""
        unit, direction = unit_of(metric)
        return undefined(
            unit,
            direction,
            reason="fewer than 2 complete probes",
            n=len(arm.probes),
            n_missing=self.n_missing(arm),
        )

    def band(
        self,
        metric: str,
        bounds: RangeBounds,
        arm: ArmTests,
        *,
        test: str | None = None,
        n: int | None = None,
    ) -> ResampledEstimate:
        """Create a range estimate with simultaneous bounds and the p-value of a test.

        With too few probes, the estimate has no bounds.

        Args:
            n: number of compared probes; None for all complete probes.
        """
        unit, direction = unit_of(metric)
        used = len(arm.probes) if n is None else n
        return banded(
            bounds.value,
            bounds.bounds,
            unit=unit,
            direction=direction,
            n=used,
            n_missing=len(self.answers.responses) - used,
            p_adjusted=self.p(arm, test) if test else None,
        )


def by_name(names: Sequence[str], values: ArrayLike) -> JsonValue:
    """Return the values as a JSON object with the given names as keys."""
    return dict(zip(names, np.asarray(values, dtype=np.float64).tolist(), strict=True))
