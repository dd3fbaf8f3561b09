"""Are groups of items shown as often as users chose them? MGU and DGU of one grouping, bounded.

Source: fairness recipe, 3.9.
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
_PILOT = f"no bounds: a pilot of fewer than {MIN_PROBES} users"


def group_findings(
    context: Context, seen: Seen, grouping: ItemGrouping, *, draws: int
) -> Iterator[Finding]:
    """MGU and DGU, with the shares of every group beside them."""
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
            evidence = [_most_favored(seen, names, shown, found)]
    reason = grouping.reason or "no item that has a group was shown, or there is one group only"
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
            notes=(_PILOT,) if found is not None and found.bounds is None else (),
        )


def _shares(
    names: Sequence[str],
    shown: NDArray[np.float64],
    history: NDArray[np.float64],
    found: Disparity,
) -> JsonValue:
    """Of the largest groups their share of exposure and of histories, and GU with joint ends."""
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


def _most_favored(
    seen: Seen, names: Sequence[str], shown: NDArray[np.float64], found: Disparity
) -> Evidence:
    """Lists with most of the group that gains most over the history."""
    group, loser = int(found.utility.argmax()), int(found.utility.argmin())
    rows = np.argsort(-shown[:, group], kind="stable")[:_SHOWN_REQUESTS]
    return Evidence(
        requests=tuple(seen.answers[row].request_id for row in rows),
        what=f"most of {names[group]}, whose share of lists is {found.utility[group]:+.3f} beside "
        f"that of histories; {names[loser]}: {found.utility[loser]:+.3f}",
    )


def _measured(metric: str, seen: Seen, value: float, bounds: Interval | None) -> ResampledEstimate:
    """A pilot has a value and no bounds."""
    unit, direction = unit_of(metric)
    return banded(
        value,
        bounds,
        unit=unit,
        direction=direction,
        n=len(seen.answers),
        n_missing=seen.n_missing,
    )
