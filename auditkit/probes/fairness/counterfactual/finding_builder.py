"""From the tests of a counterfactual probe to its findings: what all of them share.

The parameters of a finding hold what the report shows beside it; SNSR of Jaccard carries its raw
table, from which bounds, noise floor and p-value can be computed again. Source: fairness recipe,
3.6 and 7.
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
    """What every finding needs beside the tests of its arm.

    Attributes:
        p_adjusted: by (arm, test). margin: the SNSR for which the needed probes are reported.
        n_candidates: items that a request listed, 0 for none. history: anchors are histories.
        planned: probes that the recipe asks for.
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
    def remarks(self) -> tuple[str, ...]:
        """What every reader of the numbers must know."""
        n = len(self.answers.responses)
        fewer = f"{self.planned} probes were planned and the data have {n}"
        return (*self.validity.remarks, *([fewer] if n < self.planned else []))

    def values(self, arm: ArmTests) -> list[str]:
        """Names of an arm's values."""
        return [stated.value for stated in self.answers.design.arms[arm.arm].stated]

    def rng(self, purpose: str, arm: ArmTests, *names: str) -> np.random.Generator:
        """A generator for one purpose of one arm."""
        return self.context.rng(purpose, arm.name, *names)

    def n_missing(self, arm: ArmTests) -> int:
        """Probes that are not complete."""
        return len(self.answers.responses) - len(arm.probes)

    def p(self, arm: ArmTests, test: str) -> float | None:
        """The p-value of a test, adjusted over the whole probe."""
        return self.p_adjusted.get((arm.name, test))

    def p_values(self, arm: ArmTests, test: str) -> dict[str, JsonValue]:
        """Parameters of a finding: p-value as it is, and adjusted."""
        tested = arm.named.get(test)
        return {"p": tested.p if tested else None, "p_adjusted": self.p(arm, test)}

    def ids(self, probe: int, *places: tuple[int, int]) -> tuple[str, ...]:
        """Request ids of (arm, value) places of one probe."""
        slots = (Slot(arm, value, 0, 0) for arm, value in places)
        return tuple(self.answers.response(probe, slot).request_id for slot in slots)

    def too_few(self, metric: str, arm: ArmTests) -> ResampledEstimate:
        """No number, and why."""
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
        """A range with simultaneous bounds and the p-value of a test; a pilot (too few probes) has
        a value and no bounds. `n` probes were compared, if not the complete ones.
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
    """A number per name."""
    return dict(zip(names, np.asarray(values, dtype=np.float64).tolist(), strict=True))
