"""Findings of `fairness.words`: per measure, the largest gap between two values of an attribute.

All tests of a run (every measure of every attribute) are one family: labels are permuted within a
user, the statistic is the largest paired t over all pairs of values, and p-values are adjusted by
step-down maxT. The bounds of a gap hold jointly for all pairs of values of its attribute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from auditkit.probes.base import Context, finding, unit_of
from auditkit.probes.fairness.words.reasons import MEASURES, OF_ENGLISH, Reasons
from auditkit.probes.fairness.words.tone import measured_tone
from auditkit.stats.list_shift import list_shift_tests
from auditkit.stats.multiplicity import westfall_young
from auditkit.stats.relabeling import Tested
from auditkit.stats.resampled_estimate import banded, undefined
from auditkit.stats.simultaneous import snsr_bounds
from auditkit.types import Evidence, Finding

__all__ = ["PREFIX", "Draws", "WordsOf", "word_findings", "word_tests"]

PREFIX = "fairness.words"
_N_SHOWN = 3
_LONGEST = 160  # characters of a text in the evidence


class Draws(NamedTuple):
    """Number of random permutations of the tests, and number of resamples for the bounds."""

    permutations: int
    bootstrap: int


@dataclass(frozen=True)
class WordsOf:
    """Measures of the texts for one attribute.

    Attributes:
        values: names of the values of the attribute.
        reasons: the responses.
        english: whether the texts are in English, so that the word list applies.
    """

    attribute: str
    values: Sequence[str]
    reasons: Reasons
    english: bool

    def measure(self, name: str) -> tuple[list[int], NDArray[np.float64]]:
        """Return the users for whom a measure is defined for every value, and the table of the
        measure.
        """
        if name in OF_ENGLISH and not self.english:
            return [], np.zeros((0, len(self.values)))
        table = self.reasons.table(name)
        defined = np.flatnonzero(np.isfinite(table).all(axis=1))
        return defined.tolist(), table[defined]


def word_tests(
    arms: Sequence[WordsOf], context: Context, *, draws: int
) -> dict[tuple[str, str], float]:
    """Return p-values by (attribute, measure), adjusted over all measures of all attributes.

    Measures of the same users get the same permutations, which keeps their dependence.
    """
    tested: dict[tuple[str, str], Tested] = {}
    for arm in arms:
        tables = {name: table for name in MEASURES if len(table := arm.measure(name)[1]) >= 2}
        for size in sorted({len(table) for table in tables.values()}):
            same = {name: table for name, table in tables.items() if len(table) == size}
            rng = context.rng("permutation", arm.attribute, size)
            found = list_shift_tests(np.stack(list(same.values())), rng=rng, draws=draws)
            for name, one in zip(same, found, strict=True):
                tested[arm.attribute, name] = one.max_t
    return westfall_young(tested)


def word_findings(arms: Sequence[WordsOf], context: Context, draws: Draws) -> Iterator[Finding]:
    """Yield one finding per attribute and measure."""
    p_adjusted = word_tests(arms, context, draws=draws.permutations)
    for arm in arms:
        for name in MEASURES:
            yield _gap(arm, name, context, p_adjusted, draws)


def _gap(
    arm: WordsOf,
    name: str,
    context: Context,
    p_adjusted: Mapping[tuple[str, str], float],
    draws: Draws,
) -> Finding:
    metric = f"{PREFIX}.{name}_gap"
    unit, direction = unit_of(metric)
    users, table = arm.measure(name)
    n_missing = len(arm.reasons.responses) - len(users)
    if len(users) < 2:
        foreign = name in OF_ENGLISH and not arm.english
        reason = (
            "the word list is English, but the texts are not"
            if foreign
            else "fewer than 2 users have a measured text for every value"
        )
        missing = undefined(unit, direction, reason=reason, n=len(users), n_missing=n_missing)
        return finding(context, metric, missing, group=arm.attribute)
    bounds = snsr_bounds(
        table, rng=context.rng("bounds", arm.attribute, name), draws=draws.bootstrap
    )
    scale, means = arm.reasons.scale(name), table.mean(axis=0)
    ends = bounds.bounds and (bounds.bounds.low * scale, bounds.bounds.high * scale)
    most, least = int(means.argmax()), int(means.argmin())
    shift = 1.0 if name == "sentiment" else 0.0
    shown: Mapping[str, JsonValue] = {
        value: round(float(mean * scale - shift), 9)
        for value, mean in zip(arm.values, means, strict=True)
    }
    gaps = table[:, most] - table[:, least]
    p = p_adjusted.get((arm.attribute, name))
    return finding(
        context,
        metric,
        banded(
            bounds.value * scale, ends, unit=unit, direction=direction, n=len(users),
            n_missing=n_missing, p_adjusted=p,
        ),
        group=arm.attribute,
        parameters={
            "means": dict(shown),
            "widest": [arm.values[most], arm.values[least]] if most != least else [],
            "p_adjusted": p,
            "tests": len(p_adjusted),
        },
        evidence=_evidence(arm, name, users, table * scale - shift, (most, least)),
        n_cases=int((gaps > 0).sum()),
        notes=_notes(name),
    )  # fmt: skip


def _evidence(
    arm: WordsOf,
    name: str,
    users: Sequence[int],
    table: NDArray[np.float64],
    pair: tuple[int, int],
) -> list[Evidence]:
    """Cite both texts of the three users with the largest gap between the two values."""
    gaps = table[:, pair[0]] - table[:, pair[1]]
    rows = [row for row in np.argsort(-gaps, kind="stable")[:_N_SHOWN].tolist() if gaps[row] > 0]
    found = []
    for row in rows:
        own = [arm.reasons.responses[arm.reasons.users[users[row]]][value] for value in pair]
        told = [
            f"{table[row, value]:.2g} for {arm.values[value]}: {_short(response.text or '')}"
            for value, response in zip(pair, own, strict=True)
        ]
        found.append(
            Evidence(
                requests=tuple(response.request_id for response in own),
                what=f"{name} {' | '.join(told)}",
            )
        )
    return found


def _short(text: str) -> str:
    words = " ".join(text.split())
    return f'"{words[:_LONGEST]}{"..." if len(words) > _LONGEST else ""}"'


def _notes(name: str) -> tuple[str, ...]:
    if name != "sentiment":
        return ()
    right, quiet = measured_tone().sensitivity, measured_tone().specificity
    return (
        f"the opinion words give the right sign for {right.value:.0%} of {right.n} labeled "
        f"opinions, and a sentiment of 0 for {quiet.value:.0%} of {quiet.n} sentences without an "
        "opinion",
    )
