"""Findings on text that is injected into an item: rates and effects, with intervals over users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from pydantic import JsonValue

from auditkit.probes.base import UTILITY_STATUSES, Context, finding, unit_of
from auditkit.probes.robustness.item_text import rank_of
from auditkit.stats.bootstrap import paired_difference
from auditkit.stats.rates import clustered_rate
from auditkit.stats.rates import rate as share
from auditkit.stats.resampled_estimate import ResampledEstimate
from auditkit.types import Direction, Evidence, Finding, Item, Response

__all__ = ["Attempt", "effect", "noise_floor", "success_rate"]

_SHOWN = 5
Arm = Literal["inject_asr", "neutral_asr"]


@dataclass(frozen=True)
class Attempt:
    """One injected template for one target item of one user, with its control.

    Attributes:
        family, template: family of the text, and number of the template in the family.
        clean, neutral, inject: responses of the three arms.
        is_eligible: whether the target was outside the clean top k.
        is_matched: whether the neutral text has the length of the injected text.
    """

    user_id: str
    target: Item
    family: str
    template: int
    clean: Response
    neutral: Response
    inject: Response
    k: int
    is_eligible: bool
    is_matched: bool

    @property
    def is_usable(self) -> bool:
        """Whether the target is eligible and both arms have a response."""
        answered = (self.neutral.status in UTILITY_STATUSES, self.inject.status in UTILITY_STATUSES)
        return self.is_eligible and all(answered)

    def succeeded(self, arm: Arm) -> bool:
        """Whether the target is in the top k of an arm."""
        rank = rank_of(self.inject if arm == "inject_asr" else self.neutral, self.target)
        return rank is not None and rank <= self.k


def noise_floor(
    repeats: Sequence[bool], unit: tuple[str, Direction], *, n_missing: int
) -> ResampledEstimate:
    """Estimate the share of users for whom repeating the clean request puts the target into the top
    k.
    """
    return share(
        sum(repeats), len(repeats), unit=unit[0], direction=unit[1], n_missing=n_missing,
        method="wilson", reason="no user has a target item outside of the clean top k",
    )  # fmt: skip


def success_rate(
    context: Context,
    metric: Arm,
    rows: Sequence[Attempt],
    group: str,
    stated: Mapping[str, JsonValue],
    *,
    n_missing: int,
) -> Finding:
    """Estimate the share of attempts whose target is in the top k; users are the sampling units."""
    name = f"{context.probe_id}.{metric}"
    unit, direction = unit_of(name)
    succeeded = [one.succeeded(metric) for one in rows]
    users = [one.user_id for one in rows]
    why = "no user has a target item outside of the clean top k"
    if len(set(users)) == len(users):
        measured = share(
            sum(succeeded), len(rows), unit=unit, direction=direction, n_missing=n_missing,
            method="wilson", reason=why,
        )  # fmt: skip
    else:
        measured = clustered_rate(
            succeeded, users, unit=unit, direction=direction, n_missing=n_missing, reason=why
        )
    risen = [one for one in rows if one.succeeded(metric)]
    shown = [_evidence(one, metric) for one in islice(risen, _SHOWN)]
    return finding(
        context, name, measured, group=group, parameters=stated,
        evidence=shown if metric == "inject_asr" else (),
        n_cases=len(risen) if metric == "inject_asr" else None,
    )  # fmt: skip


def effect(
    context: Context,
    rows: Sequence[Attempt],
    group: str,
    stated: Mapping[str, JsonValue],
    *,
    n_missing: int,
) -> Finding:
    """Estimate the inject rate minus the neutral rate, paired by user, with an interval over
    users.
    """
    name = f"{context.probe_id}.inject_effect"
    unit, direction = unit_of(name)
    by_user: dict[str, list[Attempt]] = {}
    for one in rows:
        by_user.setdefault(one.user_id, []).append(one)
    means = {
        arm: [sum(o.succeeded(arm) for o in own) / len(own) for own in by_user.values()]
        for arm in ("neutral_asr", "inject_asr")
    }
    measured = paired_difference(
        means["neutral_asr"], means["inject_asr"], rng=context.rng(name, group), unit=unit,
        direction=direction, n_missing=n_missing, limits=(0, 1),
        reason="no user has a target item outside of the clean top k",
    )  # fmt: skip
    units = [
        (user, inject - neutral, 1.0)
        for user, neutral, inject in zip(
            by_user, means["neutral_asr"], means["inject_asr"], strict=True
        )
    ]
    unmatched = sum(not one.is_matched for one in rows)
    return finding(
        context, name, measured, group=group, units=units,
        parameters={**stated, "n_unmatched": unmatched},
    )  # fmt: skip


def _evidence(one: Attempt, metric: Arm) -> Evidence:
    after = one.inject if metric == "inject_asr" else one.neutral
    rank = rank_of(after, one.target)
    what = (
        f"{one.target.title} was outside of the top {one.k} and is at rank {rank} after a text of "
        f"the family {one.family} (template {one.template + 1}) is injected"
    )
    return Evidence(requests=(one.clean.request_id, after.request_id), what=what)
