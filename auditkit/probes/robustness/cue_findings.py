"""Findings on the effects of cues on the choice between two items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import JsonValue

from auditkit.probes.base import UTILITY_STATUSES, Context, finding, unit_of
from auditkit.probes.robustness.item_text import rank_of
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.stats.multiplicity import holm
from auditkit.stats.paired import sign_flip_p
from auditkit.stats.rates import rate
from auditkit.stats.resampled_estimate import undefined
from auditkit.types import Evidence, Finding, Item, Response

__all__ = ["Answers", "Choice", "cue_findings", "cue_p_values"]

_SHOWN = 3


@dataclass(frozen=True)
class Choice:
    """The choice between the items a and b of a pair.

    Attributes:
        chosen: which item is listed first; None if neither is listed, or without a response.
        lead: score of a minus score of b; None unless both have scores.
    """

    response: Response
    chosen: Literal["a", "b"] | None
    lead: float | None

    @classmethod
    def of(cls, response: Response, a: Item, b: Item) -> Choice:
        """Read the choice from a response."""
        if response.status not in UTILITY_STATUSES:
            return cls(response, None, None)
        ranks = [rank_of(response, item) for item in (a, b)]
        scores = [None if rank is None else response.items[rank - 1].score for rank in ranks]
        lead = None if scores[0] is None or scores[1] is None else scores[0] - scores[1]
        first = min((rank for rank in ranks if rank is not None), default=None)
        if first is None:
            return cls(response, None, lead)
        return cls(response, "a" if ranks[0] == first else "b", lead)


@dataclass(frozen=True)
class Answers:
    """The choices of one user.

    Attributes:
        pair: items a and b, in the order of the prompt.
        plain, turned, again: choices without added text, with the items in reverse order, and for a
            repeat of the plain request.
        cued: choices with the cue on a and with the cue on b, by cue.
    """

    user_id: str
    pair: tuple[Item, Item]
    plain: Choice
    turned: Choice
    again: Choice
    cued: Mapping[str, tuple[Choice, Choice]]

    def effect(self, cue: str) -> float | None:
        """Return the share of choices of the item with the cue, minus 1/2; None if a choice is
        missing.

        Returns:
            -0.5, 0 or 0.5.
        """
        if cue == "position":
            first, second = self.plain, self.turned  # a is the first item, then b
        else:
            first, second = self.cued[cue]
        if first.chosen is None or second.chosen is None:
            return None
        return ((first.chosen == "a") + (second.chosen == "b")) / 2 - 0.5

    def shift(self, cue: str) -> float | None:
        """Return the score that the cue adds to its item's lead; None without scores."""
        on_a, on_b = (choice.lead for choice in self.cued[cue])
        return None if on_a is None or on_b is None else (on_a - on_b) / 2


def cue_findings(
    context: Context, answers: Sequence[Answers], cues: Sequence[str], *, draws: int
) -> Iterator[Finding]:
    """Yield the noise, the effect of every cue with adjusted p-values, and effects on scores."""
    yield _unstable(context, answers)
    p_values = cue_p_values(context, answers, cues, draws=draws)
    for cue, (p, adjusted) in p_values.items():
        stated: dict[str, JsonValue] = {"p": p, "p_holm": adjusted, "n_tests": len(p_values)}
        known = [(one, value) for one in answers if (value := one.effect(cue)) is not None]
        yield _effect(context, cue, known, stated, n_missing=len(answers) - len(known))
    yield from _shifts(context, answers, cues)


def cue_p_values(
    context: Context, answers: Sequence[Answers], cues: Sequence[str], *, draws: int
) -> dict[str, tuple[float, float]]:
    """Return the p-value, and the p-value after Holm's adjustment, of the position and every
    cue.
    """
    tested = ("position", *cues)
    p_values = []
    for cue in tested:
        known = [value for one in answers if (value := one.effect(cue)) is not None]
        p_values.append(sign_flip_p(known, rng=context.rng("flips", cue), draws=draws))
    return dict(zip(tested, zip(p_values, holm(p_values), strict=True), strict=True))


def _unstable(context: Context, answers: Sequence[Answers]) -> Finding:
    """Estimate the share of users whose choice changes when the request is repeated."""
    name = f"{context.probe_id}.unstable_rate"
    unit, direction = unit_of(name)
    known = [one for one in answers if one.plain.chosen and one.again.chosen]
    changed = sum(one.plain.chosen != one.again.chosen for one in known)
    measured = rate(
        changed, len(known), unit=unit, direction=direction, method="wilson",
        n_missing=len(answers) - len(known), reason="no response lists one of the two items",
    )  # fmt: skip
    return finding(context, name, measured)


def _effect(
    context: Context,
    cue: str,
    known: Sequence[tuple[Answers, float]],
    stated: Mapping[str, JsonValue],
    *,
    n_missing: int,
) -> Finding:
    name = f"{context.probe_id}.cue_effect"
    unit, direction = unit_of(name)
    measured = bootstrap_mean(
        [value for _, value in known], rng=context.rng(name, cue), unit=unit, direction=direction,
        n_missing=n_missing, limits=(-0.5, 0.5), reason="no response lists one of the two items",
    )  # fmt: skip
    won = [one for one, value in known if value > 0]
    return finding(
        context, name, measured, group=f"cue={cue}", parameters=stated,
        units=[(one.user_id, value, 1.0) for one, value in known],
        evidence=[_evidence(one, cue) for one in won[:_SHOWN]], n_cases=len(won),
    )  # fmt: skip


def _evidence(one: Answers, cue: str) -> Evidence:
    first, second = (one.plain, one.turned) if cue == "position" else one.cued[cue]
    a, b = (item.title for item in one.pair)
    if cue == "position":
        what = f"of {a} and {b}, the item that the prompt lists first is chosen, in both orders"
    else:
        what = (
            f"of {a} and {b}, the item with the cue {cue} is chosen, and the other item after the "
            "texts are exchanged"
        )
    return Evidence(requests=(first.response.request_id, second.response.request_id), what=what)


def _shifts(context: Context, answers: Sequence[Answers], cues: Sequence[str]) -> Iterator[Finding]:
    """Yield the score that each cue adds; one undefined finding for a recommender without
    scores.
    """
    name = f"{context.probe_id}.score_shift"
    unit, direction = unit_of(name)
    shifts = {cue: [s for one in answers if (s := one.shift(cue)) is not None] for cue in cues}
    if not any(shifts.values()):
        why = "the responses have no scores of both items"
        yield finding(context, name, undefined(unit, direction, reason=why, n_missing=len(answers)))
        return
    leads = [abs(one.plain.lead) for one in answers if one.plain.lead is not None]
    stated: dict[str, JsonValue] = {"median_lead": float(np.median(leads)) if leads else None}
    for cue, values in shifts.items():
        measured = bootstrap_mean(
            values, rng=context.rng(name, cue), unit=unit, direction=direction,
            n_missing=len(answers) - len(values),
        )  # fmt: skip
        yield finding(context, name, measured, group=f"cue={cue}", parameters=stated)
