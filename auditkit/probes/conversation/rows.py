"""Rows of the checks on conversations, and the finding of a rate over rows.

A row is one checked part of a conversation: an item, a turn or a pair of answers. Rows of one user
are dependent, so the interval is over users (Korn & Graubard 1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from auditkit.probes.base import Context, finding, unit_of
from auditkit.stats.rates import clustered_rate
from auditkit.types import Evidence, Finding

__all__ = ["Row", "rate_of_rows"]

_SHOWN = 5


class Row(NamedTuple):
    """One checked part of a conversation.

    Attributes:
        unit: the sampling unit.
        wrong: whether the part is wrong; None if it could not be scored.
        request: id of the checked request, whose messages are the earlier turns.
        what: sentence that describes the error.
    """

    unit: str
    wrong: bool | None
    request: str = ""
    what: str = ""


def rate_of_rows(
    context: Context,
    metric: str,
    rows: Sequence[Row],
    *,
    group: str = "all",
    shown: int = _SHOWN,
    notes: Sequence[str] = (),
) -> Finding:
    """Share of the scored rows that are wrong.

    Args:
        metric: name of the metric without the probe.
        rows: rows of all conversations.
        shown: largest number of units in the evidence, which cites the first wrong row of each.
    """
    name = f"{context.probe_id}.{metric}"
    unit, direction = unit_of(name)
    scored = [row for row in rows if row.wrong is not None]
    measured = clustered_rate(
        [bool(row.wrong) for row in scored], [row.unit for row in scored], unit=unit,
        direction=direction, n_missing=len(rows) - len(scored),
        reason="no conversation reached a turn that could be scored",
    )  # fmt: skip
    by_unit: dict[str, list[Row]] = {}
    for row in scored:
        by_unit.setdefault(row.unit, []).append(row)
    wrong = [[row for row in own if row.wrong] for own in by_unit.values()]
    first = [own[0] for own in wrong if own][:shown]
    return finding(
        context, name, measured, group=group, notes=notes,
        evidence=[Evidence(requests=(row.request,), what=row.what) for row in first],
        n_cases=sum(map(len, wrong)) if shown else None,
        units=[
            (unit_id, float(len(bad)), float(len(own)))
            for (unit_id, own), bad in zip(by_unit.items(), wrong, strict=True)
        ],
    )  # fmt: skip
