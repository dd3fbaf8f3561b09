"""Findings of attribute importance: excess over placebos, with tests adjusted over attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import JsonValue

from auditkit.probes.base import Context, finding, unit_of
from auditkit.probes.explanation.attribute_edits import Edit, placebos
from auditkit.probes.explanation.attribute_tests import (
    EFFECT,
    Measured,
    Tested,
    tests_of_edits,
)
from auditkit.stats.bootstrap import ResampledEstimate, bootstrap_mean, undefined
from auditkit.types import Estimate, Evidence, Exact, Finding

__all__ = ["attribute_findings"]

OVERLAP, SHARE = "explain.attribute_overlap", "explain.attribute_share"
UNDISCLOSED = "explain.undisclosed_use"
NO_SCORES = "the recommender returns no scores; see the finding on the overlap of its lists"


def attribute_findings(context: Context, measured: Measured, *, draws: int) -> Iterator[Finding]:
    """Yield effects by deletion and by exchange, overlap and share by attribute, and undisclosed
    use.
    """
    tested = tests_of_edits(context, measured, draws=draws)
    for name in measured.names:
        yield _effect(context, measured, (name, "delete"), tested[name, "delete"])
        yield _effect(context, measured, (name, "swap"), tested[name, "swap"])
        yield _overlap(context, measured, name)
        yield _share(context, measured, name)
    used = [
        name
        for name in measured.names
        if tested[name, "delete"].found or tested[name, "swap"].found
    ]
    able = any(one.measured.estimate.value is not None for one in tested.values())
    yield _undisclosed(context, measured, used, able=able)


def _effect(context: Context, measured: Measured, edit: Edit, tested: Tested) -> Finding:
    """Create the finding of one edit; by lists, the excess of lost overlap is a parameter."""
    unit, direction = unit_of(EFFECT)
    parameters = {**_parameters(measured), "adjusted_p": tested.adjusted}
    shown = tested.measured
    if measured.source == "lists":
        if shown.estimate.value is not None:
            parameters["excess_loss_of_overlap"] = shown.estimate.value
        shown = undefined(unit, direction, reason=NO_SCORES, n_missing=measured.n_users)
    name, kind = edit
    return finding(
        context,
        EFFECT,
        shown,
        group=name if kind == "delete" else f"swap={name}",
        parameters=parameters,
        units=tested.units if measured.source == "scores" else (),
        evidence=_strongest(measured, edit) if tested.found else (),
        notes=_notes(measured),
    )


def _overlap(context: Context, measured: Measured, name: str) -> Finding:
    own = {
        one.user.id: changes[name, "delete"].overlap
        for one, changes in zip(measured.explained, measured.changes, strict=True)
        if (name, "delete") in changes
    }
    of_placebos = [
        [own[p, "delete"].overlap for p in placebos() if (p, "delete") in own]
        for own in measured.changes
    ]
    controls = [float(np.mean(own)) for own in of_placebos if own]
    estimate = _mean(context, OVERLAP, name, list(own.values()), measured.n_users)
    return finding(
        context,
        OVERLAP,
        estimate,
        group=name,
        parameters=_parameters(measured),
        baseline=_mean(context, OVERLAP, "placebo", controls, measured.n_users).estimate,
        units=[(user, value, 1.0) for user, value in own.items()],
        notes=[*_notes(measured), "baseline: overlap after the same edit of placebo attributes"],
    )


def _share(context: Context, measured: Measured, name: str) -> Finding:
    """Estimate the attribute's share of all effects.

    Users for whom all effects are 0 are missing, because their share is 0 / 0.
    """
    shares = {}
    for one in measured.explained:
        whole = one.outcomes.get(one.everything)
        single = [one.outcomes.get(one.without([i])) for i in range(one.n)]
        places = [
            i
            for i, span in enumerate(one.spans)
            if span.kind == "attribute" and list(one.request.attributes)[span.index] == name
        ]
        if whole is None or not places:
            continue
        sizes = [abs(whole.strength - after.strength) for after in single if after is not None]
        own = single[places[0]]
        if len(sizes) == one.n and own is not None and sum(sizes) > 0:
            shares[one.user.id] = abs(whole.strength - own.strength) / sum(sizes)
    return finding(
        context,
        SHARE,
        _mean(context, SHARE, name, list(shares.values()), measured.n_users),
        group=name,
        parameters=_parameters(measured),
        units=[(user, value, 1.0) for user, value in shares.items()],
        notes=_notes(measured),
    )


def _undisclosed(
    context: Context, measured: Measured, used: Sequence[str], *, able: bool
) -> Finding:
    """Count the used attributes that no reason names; undefined if no effect was measured."""
    unit, direction = unit_of(UNDISCLOSED)
    parameters: dict[str, JsonValue] = {**_parameters(measured), "used": [*used]}
    if not measured.reasons or not able:
        reason = (
            "no effect of an attribute could be measured"
            if measured.reasons
            else "the recommender states no reasons in sentences that could name an attribute"
        )
        none = undefined(unit, direction, reason=reason, n_missing=len(measured.names))
        return finding(context, UNDISCLOSED, none, parameters=parameters, notes=_notes(measured))
    hidden = [name for name in used if not _is_named(measured, name)]
    count = float(len(hidden))
    estimate = Estimate(
        value=count, low=count, high=count, n=len(measured.names), unit=unit, direction=direction,
        n_missing=measured.n_users - len(measured.reasons),
    )  # fmt: skip
    return finding(
        context,
        UNDISCLOSED,
        (estimate, Exact()),
        parameters={**parameters, "undisclosed": [*hidden], "n_reasons": len(measured.reasons)},
        evidence=[e for name in hidden for e in _strongest(measured, (name, "delete"))[:1]],
        n_cases=len(hidden),
        notes=_notes(measured),
    )


def _is_named(measured: Measured, name: str) -> bool:
    """Whether any user's reason names the attribute or the user's value of it."""
    for one in measured.explained:
        value = one.request.attributes.get(name)
        text = (measured.reasons or {}).get(one.user.id, "")
        words = [name, value] if value else [name]
        if any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in words):
            return True
    return False


def _strongest(measured: Measured, edit: Edit) -> list[Evidence]:
    """Return evidence of the users whose recommendation changes most under the edit."""
    name, kind = edit
    rows = [
        (one, own[edit])
        for one, own in zip(measured.explained, measured.changes, strict=True)
        if edit in own
    ]
    rows.sort(key=lambda row: -row[1].size)
    done = "another value of" if kind == "swap" else "without"
    unit = "nats in its margin" if measured.source == "scores" else "in its reciprocal rank"
    return [
        Evidence(
            requests=(one.outcomes[one.everything].request_id, change.request_id),
            what=f"{one.item.title} was recommended first to a user with {name} "
            f"{one.request.attributes[name]}; {done} {name}, the item changes by "
            f"{change.size:.2f} {unit}",
        )
        for one, change in rows[:3]
    ]


def _mean(
    context: Context, metric: str, name: str, values: Sequence[float], n_users: int
) -> ResampledEstimate:
    unit, direction = unit_of(metric)
    return bootstrap_mean(
        values,
        rng=context.rng(metric, name),
        unit=unit,
        direction=direction,
        n_missing=n_users - len(values),
        reason="no user could be measured",
        limits=(0, 1),
    )


def _parameters(measured: Measured) -> dict[str, JsonValue]:
    return {"by": measured.source, "n_users": measured.n_users, "placebos": list(placebos())}


def _notes(measured: Measured) -> list[str]:
    return [f"missing: {n} users, {why}" for why, n in sorted(measured.missing.items())]
