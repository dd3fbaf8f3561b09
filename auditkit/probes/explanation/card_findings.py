"""Findings on the users' faithfulness cards, each with an interval over users.

Users without a value in a row of the card count as missing; a note states the most frequent reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import JsonValue

from auditkit.attribution.card import lds_ceiling_of
from auditkit.attribution.estimators import Estimator, estimate, plan
from auditkit.attribution.explanation import Explanation, known_values
from auditkit.attribution.faithfulness import lds_of
from auditkit.attribution.masks import every_mask
from auditkit.attribution.missing import Missing
from auditkit.attribution.values import Game, measure
from auditkit.probes.base import Context, finding, unit_of
from auditkit.recommenders.execution.target import Target
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.stats.rates import rate
from auditkit.stats.resampled_estimate import NOTHING
from auditkit.types import Evidence, Finding

__all__ = [
    "Parameters", "Scored", "blindness_finding", "card_findings", "ceiling_finding", "mean_finding",
]  # fmt: skip

Parameters = Mapping[str, JsonValue]
MOST_TABLE_SPANS = 8
_CORRELATION = (-1.0, 1.0)


class Scored(NamedTuple):
    """A sampled user, and the explanation of the user's top item or the reason why there is
    none.
    """

    user_id: str
    result: Explanation | Missing


Row = Callable[[Explanation], float | Missing]
CARD_ROWS: Mapping[str, tuple[Row, tuple[float, float] | None]] = {
    "explain.lds": (lambda one: one.card.lds, _CORRELATION),
    "explain.infidelity": (
        lambda one: m if isinstance(m := one.card.infidelity, Missing) else m.raw,
        None,
    ),
    "explain.sensitivity": (lambda one: one.card.sensitivity, None),
    "explain.agreement": (
        lambda one: (
            one.card.agreement["loo"].pearson
            if "loo" in one.card.agreement
            else Missing("leave-one-out was not measured")
        ),
        _CORRELATION,
    ),
}


def mean_finding(
    context: Context,
    metric: str,
    scored: Sequence[Scored],
    row: Row,
    parameters: Parameters,
    *,
    limits: tuple[float, float] | None = None,
    evidence: Sequence[Evidence] = (),
    with_units: bool = False,
    notes: Sequence[str] = (),
) -> Finding:
    """Average one row of the card over users, with a bootstrap over users."""
    values, units, reasons = [], [], Counter[str]()
    for user_id, result in scored:
        value = result if isinstance(result, Missing) else row(result)
        if isinstance(value, Missing):
            reasons[value.reason] += 1
        else:
            values.append(value)
            units.append((user_id, value, 1.0))
    unit, direction = unit_of(metric)
    why = reasons.most_common(1)[0][0] if reasons else NOTHING
    measured = bootstrap_mean(
        values, rng=context.rng(metric), unit=unit, direction=direction,
        n_missing=sum(reasons.values()), limits=limits, reason=why,
    )  # fmt: skip
    missing = [f"missing for {n} users: {reason}" for reason, n in reasons.most_common(2)]
    return finding(
        context,
        metric,
        measured,
        parameters=parameters,
        units=units if with_units else (),
        evidence=evidence,
        notes=[*notes, *missing],
    )


def card_findings(
    context: Context, scored: Sequence[Scored], parameters: Parameters
) -> list[Finding]:
    """Create findings on LDS, infidelity, sensitivity and agreement of the users with a card."""
    noise = [
        one.card.noise
        for _, one in scored
        if not isinstance(one, Missing) and not isinstance(one.card.noise, Missing)
    ]
    floor = [f"mean under another mask seed: {np.mean(noise):.2f}"] if noise else []
    return [
        mean_finding(
            context, metric, scored, row, parameters, limits=limits,
            notes=floor if metric == "explain.sensitivity" else (),
        )
        for metric, (row, limits) in CARD_ROWS.items()
    ]  # fmt: skip


def blindness_finding(
    context: Context, scored: Sequence[Scored], parameters: Parameters
) -> Finding:
    """Estimate the share of users for whom leave-one-out misses redundant causes, with evidence."""
    cards = [(user, one) for user, one in scored if not isinstance(one, Missing)]
    judged = [(user, one, one.card.loo) for user, one in cards]
    known = [(user, one, row) for user, one, row in judged if not isinstance(row, Missing)]
    unit, direction = unit_of("explain.loo_blind")
    flagged = [(one, row) for _, one, row in known if row.flagged]
    shown = []
    for one, row in flagged[:5]:
        if row.pair is not None:
            titles = " and ".join(one.game.spans[i].text for i in row.pair)
            whole = one.game.everything
            gone = whole ^ sum(1 << i for i in row.pair)
            shown.append(
                Evidence(
                    requests=(one.game.rows[whole].requests[0], one.game.rows[gone].requests[0]),
                    what=f"{titles} can replace each other: removing both lowers the value by "
                    f"{row.redundancy:.2f} nats more than removing each alone, so "
                    "leave-one-out misses their effect",
                )
            )
    n_missing = len(scored) - len(known)
    measured = rate(len(flagged), len(known), unit=unit, direction=direction, n_missing=n_missing)
    return finding(
        context, "explain.loo_blind", measured, parameters=parameters, evidence=shown,
        n_cases=len(flagged),
    )  # fmt: skip


def ceiling_finding(
    target: Target,
    context: Context,
    games: Sequence[Game],
    explainer: Estimator,
    parameters: Parameters,
) -> Finding:
    """Estimate the LDS of exact Banzhaf values over all subsets of the latest spans, at most 8.

    The explainer is fitted to the same values, and a note states its LDS.
    """
    tables = [Game(game.request, game.spans[-MOST_TABLE_SPANS:], game.candidates) for game in games]
    measure(target, [(game, every_mask(game.n)) for game in tables])
    ceilings, own = list[float](), list[float]()
    for game in tables:
        known, n = known_values(game, every_mask(game.n)), game.n
        ceiling = lds_ceiling_of(known, n, full=len(known) == 1 << n)
        if isinstance(ceiling, Missing):
            continue
        ceilings.append(ceiling)
        rng = context.rng("table", game.request.user_id)
        fitted = estimate(plan(explainer, n, rng), known, rng)
        score = fitted if isinstance(fitted, Missing) else lds_of(
            known, every_mask(n), fitted.values
        )  # fmt: skip
        own += [] if isinstance(score, Missing) else [score]
    metric = "explain.lds_ceiling"
    unit, direction = unit_of(metric)
    measured = bootstrap_mean(
        ceilings, rng=context.rng(metric), unit=unit, direction=direction, limits=_CORRELATION,
        n_missing=len(games) - len(ceilings),
        reason="no user has values of all subsets, or the values are constant",
    )  # fmt: skip
    notes = [f"mean LDS of {explainer} over the same subsets: {np.mean(own):.2f}"] if own else []
    return finding(context, metric, measured, parameters=parameters, notes=notes)
