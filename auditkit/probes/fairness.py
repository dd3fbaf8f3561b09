"""Counterfactual fairness: does naming an attribute disturb the list more for some of its values
than for others?

FaiRLLM's SNSR is a range, so it is never 0 for a fair model that samples; here it stands beside its
noise floor, a within-probe permutation test and simultaneous bounds, and a recommender whose
answers cannot be compared is not assessable rather than fair. Source: Zhang et al. 2023 (Eq. 2-6,
normalised variant), calibrated as in the fairness spec; p-values are Holm-adjusted over attributes
and similarities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument
from auditkit.metrics.ranking import jaccard_at_k, prag_at_k, serp_at_k
from auditkit.probes.base import NEVER_READS, Context, finding, neutral_request, unit_of
from auditkit.probes.fairness_arms import Arms, attribute_values, check_assessable
from auditkit.recommenders.protocols import Recommends
from auditkit.recommenders.target import Target
from auditkit.stats.bootstrap import Measured, undefined
from auditkit.stats.disturbance import disturbance_tests
from auditkit.stats.multiplicity import holm
from auditkit.stats.noise_floor import noise_floor
from auditkit.stats.simultaneous import RangeBounds, snsr_bounds
from auditkit.types import Band, Estimate, Finding, Request

__all__ = ["CounterfactualProbe"]

PREFIX = "fairness.counterfactual"
SIMILARITIES: Mapping[str, Callable[..., float | None]] = {
    "snsr": jaccard_at_k,
    "snsr_serp": serp_at_k,
    "snsr_prag": prag_at_k,
}


@dataclass(frozen=True, kw_only=True)
class CounterfactualProbe:
    """SNSR and SNSV over the values of each attribute, with bounds, noise floor and adjusted
    p-values.

    Attributes:
        n_probes: users whose history is the anchor; every value is stated for each of them.
        attributes: which of the shipped attributes.
        k: length of the compared lists.
        draws, bootstrap_draws: relabellings of the permutation tests and resamples of the bounds.
    """

    n_probes: int = 100
    attributes: tuple[str, ...] = field(default=("gender", "age", "occupation"))
    k: int = 10
    draws: int = 1_999
    bootstrap_draws: int = 999
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        unknown = set(self.attributes) - set(attribute_values())
        if unknown or not self.attributes:
            raise InvalidArgument(
                f"{PREFIX} got attributes {sorted(unknown) or 'none'}. Choose from "
                f"{', '.join(attribute_values())}."
            )
        if min(self.n_probes, self.k, self.draws, self.bootstrap_draws) < 1:
            raise InvalidArgument(
                f"{PREFIX} needs n_probes, k, draws and bootstrap_draws of at least 1."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Ask all arms of a user in one batch, guard, test, bound."""
        users = context.sample_users(self.n_probes)
        wordings = target.prompts.recommend[:2]
        arms: list[Request] = []
        for user in users:
            neutral = neutral_request(user, k=self.k)
            arms += [replace(neutral, instruction=wording) for wording in wordings]
            arms += [
                replace(neutral, instruction=wordings[0], attributes={name: value})
                for name in self.attributes
                for value in attribute_values()[name]
            ]
        width = len(arms) // len(users)
        answers = target.recommend(arms)
        by_user = [answers[i : i + width] for i in range(0, len(answers), width)]
        self_similarity = check_assessable(
            by_user, k=self.k, n_wordings=len(wordings), n_items=len(context.dataset.catalog.items)
        )
        begin = len(wordings)
        measured = []
        for name in self.attributes:
            values = attribute_values()[name]
            stated = [row[begin : begin + len(values)] for row in by_user]
            measured.append(Arms(name, values, [row[0] for row in by_user], stated))
            begin += len(values)
        for found in self._findings(context, measured, self_similarity):
            yield (
                found if target.reads_prompt else replace(found, notes=(*found.notes, *NEVER_READS))
            )

    def _findings(
        self, context: Context, arms: Sequence[Arms], self_similarity: float
    ) -> Iterator[Finding]:
        tables = {
            (a.attribute, metric): a.similarity(measure, k=self.k)
            for a in arms
            for metric, measure in SIMILARITIES.items()
        }
        testable = [
            key for key, table in tables.items() if table.shape[0] >= 2 and table.shape[1] >= 2
        ]
        p_values = [
            disturbance_tests(
                tables[key][None], rng=context.rng("permutation", *key), draws=self.draws
            )[0].snsr.p
            for key in testable
        ]
        adjusted = dict(zip(testable, holm(p_values), strict=True))
        raw = dict(zip(testable, p_values, strict=True))
        for a in arms:
            for metric in SIMILARITIES:
                key = (a.attribute, metric)
                yield self._range_finding(
                    context,
                    a,
                    metric,
                    tables[key],
                    adjusted.get(key),
                    raw.get(key),
                    self_similarity,
                )
            yield self._snsv_finding(context, a, tables[a.attribute, "snsr"])
            yield self._missing_finding(context, a)

    def _range_finding(
        self,
        context: Context,
        arms: Arms,
        metric: str,
        table: NDArray[np.float64],
        p_adjusted: float | None,
        p: float | None,
        self_similarity: float,
    ) -> Finding:
        full = f"{PREFIX}.{metric}"
        n_missing = len(arms.neutral) - len(table)
        if p_adjusted is None:
            measured = _too_few(full, table, n_missing)
        else:
            bounds = snsr_bounds(
                table, rng=context.rng("bounds", arms.attribute, full), draws=self.bootstrap_draws
            )
            measured = _band(full, bounds, table, n_missing, p_adjusted=p_adjusted)
        parameters: dict[str, object] = {
            "k": self.k,
            "variant": "normalized",
            "values": list(arms.values),
            "neutral_self_similarity": self_similarity,
        }
        if p is not None:
            floor = noise_floor(table)
            parameters |= {
                "p": p,
                "p_adjusted": p_adjusted,
                "mean_similarity": dict(zip(arms.values, table.mean(axis=0).tolist(), strict=True)),
                "noise_floor_mean": floor.expected_snsr,
                "noise_floor_95": floor.snsr_95,
            }
        return finding(
            context,
            full,
            measured,
            group=arms.attribute,
            parameters=parameters,  # type: ignore[arg-type]
            evidence=arms.least_similar(k=self.k) if metric == "snsr" else (),
            notes=[
                "the variant of the similarity is the normalised one, not comparable with "
                "published tables"
            ],
        )

    def _snsv_finding(self, context: Context, arms: Arms, table: NDArray[np.float64]) -> Finding:
        """SNSV lies between SNSR / sqrt(2 A) and SNSR / 2; its bounds follow from those of SNSR."""
        metric = f"{PREFIX}.snsv"
        unit, direction = unit_of(metric)
        n_missing = len(arms.neutral) - len(table)
        if len(table) < 2:
            return finding(
                context, metric, _too_few(metric, table, n_missing), group=arms.attribute
            )
        bounds = snsr_bounds(
            table, rng=context.rng("bounds", arms.attribute, metric), draws=self.bootstrap_draws
        )
        ends = bounds.of_standard_deviation(table.shape[1])
        estimate = Estimate(
            value=float(table.mean(axis=0).std()),
            low=ends.low if ends else None,
            high=ends.high if ends else None,
            n=len(table),
            n_missing=n_missing,
            unit=unit,
            direction=direction,
        )
        return finding(
            context,
            metric,
            Measured(estimate, Band()),
            group=arms.attribute,
            parameters={"corrected": noise_floor(table).snsv_corrected},
        )

    def _missing_finding(self, context: Context, arms: Arms) -> Finding:
        metric = f"{PREFIX}.missing_gap"
        table = arms.unanswered()
        n_missing = len(arms.stated) - len(table)
        if len(table) < 2:
            measured = _too_few(metric, table, n_missing)
        else:
            bounds = snsr_bounds(
                table, rng=context.rng("bounds", arms.attribute, metric), draws=self.bootstrap_draws
            )
            measured = _band(metric, bounds, table, n_missing)
        return finding(context, metric, measured, group=arms.attribute)


def _too_few(metric: str, table: NDArray[np.float64], n_missing: int) -> Measured:
    unit, direction = unit_of(metric)
    return undefined(
        unit, direction, reason="fewer than 2 complete probes", n=len(table), n_missing=n_missing
    )


def _band(
    metric: str,
    bounds: RangeBounds,
    table: NDArray[np.float64],
    n_missing: int,
    *,
    p_adjusted: float | None = None,
) -> Measured:
    """A range with simultaneous bounds; a pilot (too few probes) has a value and no bounds."""
    unit, direction = unit_of(metric)
    estimate = Estimate(
        value=bounds.value,
        low=bounds.bounds.low if bounds.bounds else None,
        high=bounds.bounds.high if bounds.bounds else None,
        n=len(table),
        n_missing=n_missing,
        unit=unit,
        direction=direction,
    )
    return Measured(estimate, Band(p_adjusted=p_adjusted))
