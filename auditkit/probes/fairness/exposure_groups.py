"""Exposure of item groups relative to the users' histories: MGU and DGU of one grouping.

Source: group utility of IFairLRS (Jiang et al. 2024), with simultaneous bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.probes.base import Context, finding, unit_of
from auditkit.probes.fairness.exposure_counts import Seen
from auditkit.probes.fairness.item_groupings import ItemGrouping, largest_groups
from auditkit.stats.exposure_bounds import Disparity, disparity_bounds
from auditkit.stats.intervals import Interval
from auditkit.stats.resampled_estimate import ResampledEstimate, banded, undefined
from auditkit.stats.simultaneous import MIN_PROBES
from auditkit.types import Evidence, Finding

__all__ = ["group_findings"]

PREFIX = "fairness.exposure"
_SHOWN_REQUESTS, _SHOWN_GROUPS = 3, 30
_PILOT = f"no bounds, because there are fewer than {MIN_PROBES} users (pilot)"


def group_findings(
    context: Context, seen: Seen, grouping: ItemGrouping, *, draws: int
) -> Iterator[Finding]:
    """Yield MGU and DGU of a grouping, with the shares of its groups as parameters."""
    parameters, found, evidence = seen.design, None, []
    if grouping.reason is None:
        names, parts = largest_groups(grouping.groups, seen.exposure + seen.popularity)
        shown, history = (seen.shown @ parts).toarray(), (seen.history @ parts).toarray()
        found = disparity_bounds(
            shown, history, rng=context.rng("groups", grouping.name), draws=draws
        )
        if found is not None:
            parameters["n_groups"] = len(names)
            parameters["groups"] = _shares(names[:_SHOWN_GROUPS], shown, history, found)
            parameters["share_without_group"] = float(1 - shown.sum() / seen.exposure.sum())
            evidence = [_most_overexposed(seen, names, shown, found)]
    reason = grouping.reason or "no listed item has a known group, or there is only one group"
    for metric in ("mgu", "dgu"):
        full = f"{PREFIX}.{metric}"
        if found is None:
            unit, direction = unit_of(full)
            measured = undefined(unit, direction, reason=reason, n_missing=seen.n_missing)
        elif metric == "mgu":
            measured = _measured(full, seen, found.mgu, found.mgu_bounds)
        else:
            measured = _measured(full, seen, found.dgu, found.dgu_bounds)
        yield finding(
            context,
            full,
            measured,
            group=f"by={grouping.name}",
            parameters=parameters,
            evidence=evidence if metric == "dgu" else (),
            notes=(
                *((_PILOT,) if found is not None and found.bounds is None else ()),
                *seen.notes,
            ),
        )


def _shares(
    names: Sequence[str],
    shown: NDArray[np.float64],
    history: NDArray[np.float64],
    found: Disparity,
) -> JsonValue:
    """Return, for the largest groups, shares of exposure and histories, and GU with joint
    bounds.
    """
    gp, gh = (table.sum(axis=0) / table.sum() for table in (shown, history))
    return {
        name: {
            "shown": float(gp[i]),
            "history": float(gh[i]),
            "utility": float(found.utility[i]),
            **({} if found.bounds is None else _ends(found.bounds[i])),
        }
        for i, name in enumerate(names)
    }


def _ends(bounds: NDArray[np.float64]) -> dict[str, JsonValue]:
    return {"low": float(bounds[0]), "high": float(bounds[1])}


def _most_overexposed(
    seen: Seen, names: Sequence[str], shown: NDArray[np.float64], found: Disparity
) -> Evidence:
    """Cite the lists with the most items of the most overexposed group."""
    group, loser = int(found.utility.argmax()), int(found.utility.argmin())
    rows = np.argsort(-shown[:, group], kind="stable")[:_SHOWN_REQUESTS]
    return Evidence(
        requests=tuple(seen.answers[row].request_id for row in rows),
        what=f"lists with the most items of {names[group]}; share of exposure minus share of "
        f"histories: {found.utility[group]:+.3f} for {names[group]} (largest), "
        f"{found.utility[loser]:+.3f} for {names[loser]} (smallest)",
    )


def _measured(metric: str, seen: Seen, value: float, bounds: Interval | None) -> ResampledEstimate:
    """Create an estimate, without bounds if there are too few users."""
    unit, direction = unit_of(metric)
    return banded(
        value,
        bounds,
        unit=unit,
        direction=direction,
        n=len(seen.answers),
        n_missing=seen.n_missing,
    )
