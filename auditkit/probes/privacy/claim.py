"""Privacy claim: which differential-privacy bound does recommender.yaml state?

The claim is an upper bound of the information that any attack can gain. Attacks give lower bounds,
which can contradict a claim but never prove it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from auditkit.probes.base import Context, NotAssessable, finding, unit_of
from auditkit.probes.privacy.records import claim_of
from auditkit.recommenders.execution.target import Target
from auditkit.stats.bootstrap import ResampledEstimate
from auditkit.types import Estimate, Exact, Finding

__all__ = ["ClaimProbe"]


@dataclass(frozen=True, kw_only=True)
class ClaimProbe:
    """The (epsilon, delta) that recommender.yaml claims, with its assumptions."""

    needs: ClassVar[tuple[type, ...]] = ()

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Yield the claim; the model is not called."""
        claim = claim_of(context)
        if claim is None:
            raise NotAssessable("recommender.yaml claims no differential privacy")
        at = {
            name: claim[name]
            for name in ("delta", "unit", "n_units", "accountant", "mechanism", "noise_multiplier")
        }
        notes = [f"not covered: {limit}" for limit in claim["not_covered"]]
        for name in ("epsilon", "epsilon_rdp", "delta"):
            metric = f"privacy.claim.{name}"
            unit, direction = unit_of(metric)
            value = float(claim[name])
            estimate = Estimate(
                value=value,
                low=value,
                high=value,
                n=int(claim["n_units"]),
                unit=unit,
                direction=direction,
            )
            yield finding(
                context, metric, ResampledEstimate(estimate, Exact()), parameters=at, notes=notes
            )
