"""Findings of the say-do probe over statements, with intervals over users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from pydantic import JsonValue

from auditkit.metrics.stated_reasons import (
    Deletion,
    chance_of_hit,
    is_hit,
    pooled_p_values,
    positive_mass,
)
from auditkit.probes.base import Context, finding, unit_of
from auditkit.probes.explanation.reason_controls import Measured
from auditkit.probes.explanation.reason_statements import Statement
from auditkit.probes.explanation.saydo_evidence import (
    foreign_reason,
    repeated_reason,
    user_of,
    weakest_statements,
)
from auditkit.stats.bootstrap import ResampledEstimate, bootstrap_mean, undefined
from auditkit.stats.multiplicity import benjamini_hochberg
from auditkit.stats.paired import sign_flip_p
from auditkit.stats.rates import rate
from auditkit.types import Evidence, Finding

__all__ = ["Release", "saydo_findings"]

PREFIX = "explain.saydo"
ALPHA = 0.05
_N_SHOWN = 5
_NO_EFFECT = 1e-4  # nats; scores of two batches differ by less


@dataclass(frozen=True)
class Release:
    """All statements of one run.

    Attributes:
        named: statements that name at least one item.
        resolved: statements that name at least one item of the user's history.
        measured: deletions for each resolved statement; None if a request failed.
        repeated: for each resolved statement, whether the reason of a second response, to a history
            without the stated items, names one of these items; None if unreadable.
        missing: number of users without a statement, by reason.
    """

    n_users: int
    named: Sequence[Statement]
    resolved: Sequence[Statement]
    measured: Sequence[Measured | None]
    repeated: Sequence[bool | None]
    source: Literal["scores", "lists"]
    missing: Mapping[str, int]


class _Tested(NamedTuple):
    """Deletion effects by user, with p-values and p-values adjusted over all statements."""

    deletions: dict[str, Deletion]
    p: dict[str, float | None]
    adjusted: dict[str, float]


def saydo_findings(
    context: Context, release: Release, parameters: dict[str, JsonValue], draws: int
) -> Iterator[Finding]:
    """Yield findings on hits, deletions, flips, confabulation and unresolved reasons."""
    kept = {user_of(m.statement): m for m in release.measured if m is not None}
    tested = _tested(kept)
    notes = [f"missing: {n} users, {why}" for why, n in sorted(release.missing.items())]
    shared = _Shared(context, release.n_users, parameters, notes)
    for k in (1, 3):
        yield _hits(shared, kept, k)
    mass = {u: positive_mass(m.attribution, m.statement.reason.positions) for u, m in kept.items()}
    yield shared.mean("positive_mass", mass, limits=(0, 1))
    yield _effects(shared, release, kept, tested, draws)
    yield _significant(shared, tested)
    yield shared.mean("flip_gap", {u: m.flips for u, m in kept.items()}, limits=(-1, 1))
    yield _confabulation(shared, release)
    yield _unresolved(shared, release)


@dataclass(frozen=True)
class _Shared:
    """Context, parameters and users that all findings of a run share."""

    context: Context
    n_users: int
    parameters: dict[str, JsonValue]
    notes: Sequence[str]

    def mean(
        self,
        metric: str,
        values: Mapping[str, float | None],
        *,
        limits: tuple[float, float] | None = None,
        chance: Mapping[str, float] | None = None,
        parameters: Mapping[str, JsonValue] | None = None,
        evidence: Sequence[Evidence] = (),
        n_cases: int | None = None,
    ) -> Finding:
        """Average a value over users; users without a value are missing."""
        full = f"{PREFIX}.{metric}"
        unit, direction = unit_of(full)
        known = {user: value for user, value in values.items() if value is not None}
        n_missing = self.n_users - len(known)
        measured = bootstrap_mean(
            list(known.values()),
            rng=self.context.rng(metric),
            unit=unit,
            direction=direction,
            n_missing=n_missing,
            reason="no statement could be measured",
            limits=limits,
        )
        baseline = None
        if chance:
            baseline = bootstrap_mean(
                list(chance.values()),
                rng=self.context.rng(metric, "chance"),
                unit=unit,
                direction=direction,
                n_missing=n_missing,
                limits=limits,
            ).estimate
        return finding(
            self.context,
            full,
            measured,
            parameters={**self.parameters, **(parameters or {})},
            baseline=baseline,
            units=[(user, float(value), 1.0) for user, value in known.items()],
            evidence=evidence,
            n_cases=n_cases,
            notes=[
                *self.notes,
                *(["baseline: hit rate of equally many random items"] if chance else []),
            ],
        )

    def rate(
        self, metric: str, flags: Mapping[str, bool | None], evidence: Sequence[Evidence] = ()
    ) -> Finding:
        """Estimate the share of statements with a property; undecided statements are missing."""
        full = f"{PREFIX}.{metric}"
        unit, direction = unit_of(full)
        known = {user: flag for user, flag in flags.items() if flag is not None}
        measured: ResampledEstimate = rate(
            sum(known.values()),
            len(known),
            unit=unit,
            direction=direction,
            n_missing=self.n_users - len(known),
            reason="no statement could be measured",
        )
        return finding(
            self.context,
            full,
            measured,
            parameters=self.parameters,
            units=[(user, float(flag), 1.0) for user, flag in known.items()],
            evidence=evidence[:_N_SHOWN],
            n_cases=len(evidence),
            notes=self.notes,
        )


def _hits(shared: _Shared, measured: Mapping[str, Measured], k: int) -> Finding:
    """Estimate the hit rate of stated items.

    A user for whom no history item has a positive effect is missing, because there is nothing to
    hit.
    """
    kept = {user: one for user, one in measured.items() if max(one.attribution) > _NO_EFFECT}
    hits = {
        user: float(is_hit(one.order, one.statement.reason.positions, k=k))
        for user, one in kept.items()
    }
    chance = {
        user: chance_of_hit(len(one.order), len(one.statement.reason.positions), k=k)
        for user, one in kept.items()
    }
    return shared.mean(f"hit@{k}", hits, limits=(0, 1), chance=chance)


def _tested(kept: Mapping[str, Measured]) -> _Tested:
    deletions = {user: one.deletion for user, one in kept.items() if one.deletion is not None}
    p_values = pooled_p_values(deletions)
    known = {user: p for user, p in p_values.items() if p is not None}
    adjusted = dict(zip(known, benjamini_hochberg(list(known.values())), strict=True))
    return _Tested(deletions, p_values, adjusted)


def _effects(
    shared: _Shared,
    release: Release,
    kept: Mapping[str, Measured],
    tested: _Tested,
    draws: int,
) -> Finding:
    """Estimate the mean deletion effect in nats; by lists, the effect on reciprocal rank is a
    parameter.
    """
    effects = {user: one.effect for user, one in tested.deletions.items()}
    parameters: dict[str, JsonValue] = {}
    if effects:
        rng = shared.context.rng("flips")
        parameters["p_all_statements"] = sign_flip_p(
            list(effects.values()), rng=rng, draws=draws, alternative="greater"
        )
    evidence = weakest_statements(kept, tested.deletions, tested.adjusted)
    n_cases = sum(one.effect <= 0 for one in tested.deletions.values())
    if release.source == "scores":
        return shared.mean(
            "deletion_effect", effects, parameters=parameters, evidence=evidence, n_cases=n_cases
        )
    if effects:
        parameters["effect_on_reciprocal_rank"] = float(np.mean(list(effects.values())))
    unit, direction = unit_of(f"{PREFIX}.deletion_effect")
    return finding(
        shared.context,
        f"{PREFIX}.deletion_effect",
        undefined(
            unit,
            direction,
            reason="the recommender returns no scores; see the parameter for the effect on the "
            "reciprocal rank",
            n_missing=shared.n_users,
        ),
        parameters={**shared.parameters, **parameters},
        evidence=evidence,
        n_cases=n_cases,
        notes=shared.notes,
    )


def _significant(shared: _Shared, tested: _Tested) -> Finding:
    flags = {user: None if p is None else p < ALPHA for user, p in tested.p.items()}
    return shared.rate("significant_rate", flags)


def _confabulation(shared: _Shared, release: Release) -> Finding:
    pairs = list(zip(release.resolved, release.repeated, strict=True))
    shown = [repeated_reason(one) for one, again in pairs if again]
    return shared.rate("confabulation", {user_of(one): again for one, again in pairs}, shown)


def _unresolved(shared: _Shared, release: Release) -> Finding:
    flags = {user_of(one): bool(one.reason.elsewhere) for one in release.named}
    shown = [foreign_reason(one) for one in release.named if one.reason.elsewhere]
    return shared.rate("unresolved_rate", flags, shown)
