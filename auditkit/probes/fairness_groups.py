"""Group utility: do real groups of users get equally useful lists?

Per-user HR@10 and NDCG@10 of the held-out item, averaged by group (fairlearn's MetricFrame is the
table engine), with simultaneous bounds of the largest gap and a permutation test. Groups below 20
users are left out and named. A model that is no better than a random ranking is not assessable:
equally useless is not fair. Source: fairness spec 3.8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument
from auditkit.metrics.groups import GroupTable, group_table
from auditkit.probes.base import (
    UTILITY_STATUSES,
    Context,
    NotAssessable,
    User,
    finding,
    neutral_request,
    refuse_foreign_training,
    split_by_status,
    unit_of,
)
from auditkit.probes.fairness_arms import attribute_values
from auditkit.probes.utility import CUTOFF, list_utility
from auditkit.recommenders.protocols import Recommends
from auditkit.recommenders.target import Target
from auditkit.stats.bootstrap import Measured, bootstrap_mean, undefined
from auditkit.stats.intervals import clopper_pearson
from auditkit.stats.multiplicity import holm
from auditkit.stats.permutation import group_gap_test
from auditkit.stats.rates import rate
from auditkit.stats.simultaneous import group_gap_bounds
from auditkit.types import Band, Estimate, Finding

__all__ = ["GroupUtilityProbe"]

PREFIX = "fairness.group_utility"
GAPS = {"hr@10": "hr_gap", "ndcg@10": "ndcg_gap"}


@dataclass(frozen=True, kw_only=True)
class GroupUtilityProbe:
    """HR@10 and NDCG@10 by group, and the largest gap per attribute.

    Attributes:
        attributes: user attributes of the data set.
        min_group: smallest group that gets a number.
        draws, bootstrap_draws: relabellings of the permutation test and resamples of the bounds.
    """

    attributes: tuple[str, ...] = ("gender", "age", "occupation")
    min_group: int = 20
    draws: int = 1_999
    bootstrap_draws: int = 999
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        unknown = set(self.attributes) - set(attribute_values())
        if unknown:
            raise InvalidArgument(
                f"{PREFIX} got attributes {sorted(unknown)}. "
                f"Choose from {', '.join(attribute_values())}."
            )
        if not self.attributes or min(self.min_group - 1, self.draws, self.bootstrap_draws) < 1:
            raise InvalidArgument(
                f"{PREFIX} needs attributes, min_group of at least 2, and draws of at least 1."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Ask every user in neutral words (attributes are not stated), then compare groups."""
        refuse_foreign_training(context)
        users = [user for user in context.users if user.test_item is not None]
        responses = target.recommend([neutral_request(user, k=CUTOFF) for user in users])
        kept, missing = split_by_status(responses, UTILITY_STATUSES)
        scored = [users[i] for i in kept]
        utility = list_utility(scored, [responses[i] for i in kept])
        self._guard(utility["hr@10"], n_items=len(context.dataset.catalog.items))
        tests = {
            (attribute, metric): self._test(context, attribute, metric, scored, utility[metric])
            for attribute in self.attributes
            for metric in GAPS
        }
        known = [key for key, (p, _) in tests.items() if p is not None]
        adjusted = dict(
            zip(known, holm([p for p, _ in tests.values() if p is not None]), strict=True)
        )
        failed = Counter(
            (attribute, _group(users[i], attribute))
            for i in sorted(set(range(len(users))) - set(kept))
            for attribute in self.attributes
        )
        n_missing = sum(missing.values())
        for (attribute, metric), (_, gap) in tests.items():
            values = utility[metric]
            table = group_table(
                values.tolist(),
                [_group(user, attribute) for user in scored],
                min_size=self.min_group,
            )
            yield from self._group_findings(
                context, attribute, metric, scored, values, table, failed
            )
            yield self._gap_finding(
                context,
                attribute,
                metric,
                gap,
                table,
                p_adjusted=adjusted.get((attribute, metric)),
                n_missing=n_missing,
            )

    def _guard(self, hits: NDArray[np.float64], *, n_items: int) -> None:
        """Raise NotAssessable unless the lower bound of HR@10 exceeds a random ranking's."""
        low = clopper_pearson(int(hits.sum()), len(hits)).low if len(hits) else 0.0
        if low <= CUTOFF / n_items:
            raise NotAssessable(
                f"HR@10 is not above a random ranking's {CUTOFF / n_items:.4f} (lower bound "
                f"{low:.4f}): "
                "equally useless is not fair"
            )

    def _test(
        self,
        context: Context,
        attribute: str,
        metric: str,
        users: Sequence[User],
        values: NDArray[np.float64],
    ) -> tuple[float | None, Estimate | None]:
        """p-value and bounded gap over the groups that are large enough; None where fewer than two
        are.
        """
        groups = np.array([_group(user, attribute) for user in users])
        names, sizes = np.unique(groups, return_counts=True)
        large = [
            name
            for name, size in zip(names, sizes, strict=True)
            if size >= self.min_group and name != "unknown"
        ]
        if len(large) < 2:
            return None, None
        inside = np.isin(groups, large)
        codes = np.searchsorted(large, groups[inside])
        full = f"{PREFIX}.{GAPS[metric]}"
        unit, direction = unit_of(full)
        p = group_gap_test(
            values[inside],
            codes,
            rng=context.rng("permutation", attribute, metric),
            draws=self.draws,
        )
        bounds = group_gap_bounds(
            values[inside],
            codes,
            rng=context.rng("bounds", attribute, metric),
            draws=self.bootstrap_draws,
        )
        estimate = Estimate(
            value=bounds.value,
            low=bounds.bounds.low if bounds.bounds else None,
            high=bounds.bounds.high if bounds.bounds else None,
            n=int(inside.sum()),
            n_missing=int((~inside).sum()),
            unit=unit,
            direction=direction,
        )
        return p, estimate

    def _group_findings(
        self,
        context: Context,
        attribute: str,
        metric: str,
        users: Sequence[User],
        values: NDArray[np.float64],
        table: GroupTable,
        failed: Mapping[tuple[str, str], int],
    ) -> Iterator[Finding]:
        groups = np.array([_group(user, attribute) for user in users])
        full = f"{PREFIX}.{metric}"
        unit, direction = unit_of(full)
        for row in table.rows:
            own, lost = values[groups == row.group], failed.get((attribute, row.group), 0)
            if row.mean is None:
                reason = f"{row.n} users, {self.min_group} are needed"
                measured = undefined(unit, direction, reason=reason, n=row.n, n_missing=lost)
            elif metric == "hr@10":
                measured = rate(
                    int(own.sum()), len(own), unit=unit, direction=direction, n_missing=lost
                )
            else:
                rng = context.rng("bootstrap", attribute, row.group)
                measured = bootstrap_mean(
                    own, rng=rng, unit=unit, direction=direction, n_missing=lost
                )
            yield finding(context, full, measured, group=f"{attribute}={row.group}")

    def _gap_finding(
        self,
        context: Context,
        attribute: str,
        metric: str,
        gap: Estimate | None,
        table: GroupTable,
        *,
        p_adjusted: float | None,
        n_missing: int,
    ) -> Finding:
        full = f"{PREFIX}.{GAPS[metric]}"
        unit, direction = unit_of(full)
        small = [f"{row.group} ({row.n})" for row in table.rows if row.mean is None]
        notes = (
            [f"groups below {self.min_group} users, left out: {', '.join(small)}"] if small else []
        )
        if gap is None:
            measured = undefined(
                unit,
                direction,
                reason="fewer than two groups are large enough",
                n_missing=n_missing,
            )
        else:
            counted = replace(gap, n_missing=gap.n_missing + n_missing)
            measured = Measured(counted, Band(p_adjusted=p_adjusted))
        relative = (
            gap.value / table.overall if gap and gap.value is not None and table.overall else None
        )
        return finding(
            context,
            full,
            measured,
            group=attribute,
            parameters={"p_adjusted": p_adjusted, "relative_gap": relative, "ratio": table.ratio},
            notes=notes,
        )


def _group(user: User, attribute: str) -> str:
    return user.attributes.get(attribute, "unknown")
