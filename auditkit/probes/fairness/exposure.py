"""Exposure: which items, item groups and providers do the users' lists contain?

One list per user is requested without attributes. Concentration (Gini, HHI, coverage, tail share)
is measured over items and over providers, such as directors, from the catalog's graph. The exposure
of item groups is compared with their shares of the same users' histories; equal shares are ideal.
Source: group utility modeled on IFairLRS (Jiang et al. 2024).

Resampling uses only the items that occur in lists; only the number of all other items of the
catalog matters. An interval therefore takes the same time for a catalog of a thousand or a million
items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from scipy import sparse

from auditkit.catalog.catalog import Catalog
from auditkit.errors import InvalidArgument
from auditkit.metrics.exposure import (
    coverage,
    gini,
    hhi,
    lorenz_curve,
    memberships,
    popularity_lift,
    tail,
)
from auditkit.probes.base import Context, NotAssessable, finding, neutral_request, unit_of
from auditkit.probes.fairness.exposure_counts import CUTOFF, Seen, count_exposure, popularity_in
from auditkit.probes.fairness.exposure_groups import group_findings
from auditkit.probes.fairness.item_groupings import item_groupings
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.stats.concentration import concentration
from auditkit.types import Evidence, Finding

__all__ = ["ExposureProbe"]

PREFIX = "fairness.exposure"
_SHOWN_REQUESTS = 3
MOST_USERS = 1_000
Statistic = Callable[[NDArray[np.float64]], float | None]


@dataclass(frozen=True, kw_only=True)
class ExposureProbe:
    """Concentration of exposure, popularity lift, and exposure of item groups relative to
    histories.

    Attributes:
        n_users: largest number of users; from more users, a sample is taken with the seed of the
            run. None for all users.
        providers: relations of the catalog's graph whose values are providers of items.
        discount: whether positions are weighted by 1 / log2(rank + 1).
        draws: number of resamples for every interval.
    """

    n_users: int | None = MOST_USERS
    providers: tuple[str, ...] = ("director", "production_company")
    discount: bool = False
    draws: int = 999
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if self.draws < 1 or (self.n_users is not None and self.n_users < 1):
            raise InvalidArgument(f"{PREFIX} needs n_users and draws of at least 1.")

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Request one list per user, then measure the exposure of items and groups."""
        everyone = context.at_most(self.n_users)
        users = [user for user in everyone if user.history]
        if not users:
            raise NotAssessable("no user has a history")
        catalog = target.catalog
        seen = count_exposure(
            users,
            target.recommend([neutral_request(user, k=CUTOFF) for user in users]),
            popularity_in(catalog, context.dataset),
            catalog.index,
            discount=self.discount,
        )
        seen = replace(
            seen,
            n_missing=seen.n_missing + len(everyone) - len(users),
            notes=context.sampled(self.n_users),
        )
        yield from self._concentration(
            context, seen, "all", seen.shown, seen.popularity, seen.ids, _most_shown(seen, catalog)
        )
        yield _lift(context, seen)
        for grouping in item_groupings(catalog, seen.popularity, self.providers):
            yield from group_findings(context, seen, grouping, draws=self.draws)
            if grouping.provider and grouping.reason is None:
                names, parts = memberships(grouping.groups)
                yield from self._concentration(
                    context,
                    seen,
                    f"by={grouping.name}",
                    sparse.csr_array(seen.shown @ parts),
                    seen.popularity @ parts,
                    names,
                )

    def _concentration(
        self,
        context: Context,
        seen: Seen,
        group: str,
        exposure: sparse.csr_array,
        popularity: NDArray[np.float64],
        ids: Sequence[str],
        evidence: Sequence[Evidence] = (),
    ) -> Iterator[Finding]:
        """Yield findings on Gini, HHI, coverage and tail share, over items or over providers."""
        columns, in_tail = np.unique(exposure.indices), tail(popularity, ids)
        exposure = sparse.csr_array(exposure[:, columns])
        statistics = _statistics(len(ids), in_tail[columns])
        of_history = _statistics(len(ids), in_tail)
        for name, statistic in statistics.items():
            full = f"{PREFIX}.{name}"
            unit, direction = unit_of(full)
            measured = concentration(
                exposure,
                statistic,
                rng=context.rng(name, group),
                unit=unit,
                direction=direction,
                draws=self.draws,
                n_missing=seen.n_missing,
            )
            parameters: dict[str, JsonValue] = {
                **seen.design,
                "n_items": len(ids),
                "of_history": of_history[name](popularity),
            }
            if name == "gini":
                curve = lorenz_curve(np.asarray(exposure.sum(axis=0)), n_items=len(ids))
                parameters["lorenz"] = [list(point) for point in curve]
                parameters["lorenz_of_history"] = [list(p) for p in lorenz_curve(popularity)]
            yield finding(
                context,
                full,
                measured,
                group=group,
                parameters=parameters,
                evidence=evidence if name == "gini" else (),
                notes=seen.notes,
            )


def _statistics(n_items: int, in_tail: NDArray[np.bool_]) -> Mapping[str, Statistic]:
    """Return functions that compute the statistics of exposure, by the name of their metric.

    Args:
        n_items: size of the catalog, including items without exposure.
        in_tail: mask of the tail over the items with exposure.
    """

    def share_of_tail(amounts: NDArray[np.float64]) -> float | None:
        return float(amounts[in_tail].sum() / amounts.sum()) if amounts.sum() else None

    return {
        "gini": partial(gini, n_items=n_items),
        "hhi": hhi,
        f"coverage@{CUTOFF}": partial(coverage, n_items=n_items),
        "tail_share": share_of_tail,
    }


def _lift(context: Context, seen: Seen) -> Finding:
    """Estimate the popularity of lists relative to histories, averaged over users."""
    lifts = []
    for row in range(len(seen.answers)):
        listed, own = seen.shown[[row]], seen.history[[row]]
        past = np.repeat(seen.popularity[own.indices], own.data.astype(np.int64))
        lifts.append(popularity_lift(seen.popularity[listed.indices].tolist(), past.tolist()))
    known = [lift for lift in lifts if lift is not None]
    full = f"{PREFIX}.popularity_lift"
    unit, direction = unit_of(full)
    measured = bootstrap_mean(
        known,
        rng=context.rng("popularity_lift"),
        unit=unit,
        direction=direction,
        n_missing=seen.n_missing + len(lifts) - len(known),
        reason="no list contains an item of the catalog",
    )
    return finding(context, full, measured, parameters=seen.design, notes=seen.notes)


def _most_shown(seen: Seen, catalog: Catalog) -> list[Evidence]:
    """Cite the item that occurs in the most lists, with some of these lists."""
    if not seen.shown.nnz:
        return []
    items, counts = np.unique(seen.shown.indices, return_counts=True)
    most = int(counts.argmax())
    top = int(items[most])
    rows = seen.shown[:, [top]].nonzero()[0][:_SHOWN_REQUESTS]
    title = catalog.items[top].display_title
    return [
        Evidence(
            requests=tuple(seen.answers[row].request_id for row in rows),
            what=f"{title} is in {counts[most]} of {len(seen.answers)} lists",
        )
    ]
