"""Robustness to noise: how does the list change as more characters are misspelled?

For every kind of noise and every rate (edits per character), the list of each user is compared with
the clean list. The noise is in the instruction, or in the titles of the history, which users also
type. The curve of a kind of noise is the mean Jaccard@k by rate, beginning with a repeat of the
clean request at rate 0. Its area from 0 to the largest rate, divided by the largest rate, is 1 for
a list that never changes.

A recommender that answers equal requests differently would seem fragile under any edit. The
decision metric is therefore the net attack success rate at one noise rate: the share of users for
whom at least ceil(k / 3) of the top k are replaced, minus the noise floor, paired by user. The
noise floor is the mean share for a repeat and for meaningless edits of the request.

Source: noise-rate curves after PromptBench (Zhu et al. 2023); docs/explain/robustness.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar, Literal

from pydantic import JsonValue

from auditkit.errors import InvalidArgument
from auditkit.metrics.robustness import area_under_rates, breaking_count
from auditkit.perturb.noise import NOISE
from auditkit.perturb.text import MEANING_FREE, edit_instruction, edit_titles
from auditkit.probes.base import (
    NEVER_READS,
    Context,
    NotAssessable,
    finding,
    neutral_request,
    unit_of,
)
from auditkit.probes.robustness.user_lists import UserLists, user_lists
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.bootstrap import bootstrap_mean, paired_difference
from auditkit.stats.rates import rate as share
from auditkit.types import Evidence, Finding, Request

__all__ = ["NoiseCurveProbe"]

_SHOWN = 2
Cell = tuple[str, float]  # kind and rate


@dataclass(frozen=True, kw_only=True)
class NoiseCurveProbe:
    """Similarity of lists by noise rate, and net attack success rate at one rate, by kind.

    Attributes:
        surface: edited part of the prompt; determined by the probe id.
        kinds: kinds of noise, from `auditkit.perturb.noise`.
        rates: edits per character, increasing, each in (0, 1]; at least one edit is made.
        decided_at: noise rate at which the net attack success rate is measured; one of `rates`.
        n_users: number of users.
        k: length of the compared lists.
    """

    surface: Literal["instruction", "history"]
    kinds: tuple[str, ...] = ("typing", "keyboard", "punctuation", "homoglyph", "zerowidth", "bidi")
    rates: tuple[float, ...] = (0.01, 0.03, 0.1)
    decided_at: float = 0.03
    n_users: int = 50
    k: int = 10
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in NOISE]
        ordered = all(
            a < b for a, b in zip((0.0, *self.rates), (*self.rates, 1.0 + 1e-9), strict=True)
        )
        if (
            unknown
            or not self.kinds
            or not self.rates
            or not ordered
            or min(self.n_users, self.k) < 1
        ):
            raise InvalidArgument(
                f"robustness.noise got kinds={list(self.kinds)}, rates={list(self.rates)}, "
                f"n_users={self.n_users}, k={self.k}. Give kinds out of {', '.join(NOISE)}, "
                "increasing rates in (0, 1], and n_users and k of at least 1."
            )
        if self.decided_at not in self.rates:
            raise InvalidArgument(
                f"robustness.noise got decided_at={self.decided_at}, which is not one of the "
                f"rates {list(self.rates)}. Give one of these rates."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Send clean, repeated and noisy requests, and compare the lists of each user."""
        users = context.sample_users(self.n_users)
        instruction = target.prompts.recommend[0]
        clean = [
            replace(neutral_request(user, k=self.k), instruction=instruction) for user in users
        ]
        noisy = [self._noisy_requests(target, request, context) for request in clean]
        if not any(one for row in noisy for one in row):
            raise NotAssessable(
                f"no kind of noise changes the {self.surface} of the {len(users)} requests"
            )
        asked = [
            [request, *_neutral(request), *row] for request, row in zip(clean, noisy, strict=True)
        ]
        responses = iter(target.recommend([one for row in asked for one in row if one is not None]))
        answered = [[None if one is None else next(responses) for one in row] for row in asked]
        first = 2 + len(MEANING_FREE)
        kept = [
            lists
            for user, row in zip(users, answered, strict=True)
            if (lists := user_lists(
                user, row[0], row[1:first], dict(zip(self._cells, row[first:], strict=True)),
                k=self.k,
            )) is not None
        ]  # fmt: skip
        for found in self._findings(context, kept, n_missing=len(users) - len(kept)):
            notes = found.notes if target.reads_prompt else (*found.notes, *NEVER_READS)
            yield replace(found, notes=notes)

    @property
    def _cells(self) -> list[Cell]:
        return [(kind, rate) for kind in self.kinds for rate in self.rates]

    def _noisy_requests(
        self, target: Target, clean: Request, context: Context
    ) -> list[Request | None]:
        """Create one request per kind and rate; None if the noise does not change the prompt."""
        prompt = target.render(clean)
        found = [self._noisy(clean, kind, rate, context) for kind, rate in self._cells]
        never = not target.reads_prompt
        return [one if never or target.render(one) != prompt else None for one in found]

    def _noisy(self, clean: Request, kind: str, rate: float, context: Context) -> Request:
        rng = context.rng(clean.user_id, kind, str(rate))
        if self.surface == "instruction":
            text = edit_instruction(clean.instruction, NOISE[kind], rng, rate=rate)
            return replace(clean, instruction=text)
        titles = edit_titles([item.title for item in clean.history], NOISE[kind], rng, rate=rate)
        written = zip(clean.history, titles, strict=True)
        return replace(clean, history=tuple(replace(item, title=title) for item, title in written))

    def _findings(
        self, context: Context, kept: Sequence[UserLists[Cell]], *, n_missing: int
    ) -> Iterator[Finding]:
        for kind in self.kinds:
            applicable = [one for one in kept if one.edited[kind, self.decided_at] is not None]
            lost = n_missing + len(kept) - len(applicable)
            yield self._net(context, applicable, kind, lost)
            yield self._raw(context, applicable, kind, lost)
            areas = [self._area(one, kind) for one in kept]
            stated: dict[str, JsonValue] = {"rates": [*self.rates], "k": self.k}
            yield self._mean(context, "area", areas, n_missing, f"edit={kind}", stated)
            for rate in self.rates:
                values = [one.jaccard(one.edited[kind, rate]) for one in kept]
                group, stated = f"edit={kind}&rate={rate:g}", {"rate": rate, "k": self.k}
                yield self._mean(context, "jaccard", values, n_missing, group, stated)
        floors = [one.floor for one in kept]
        yield self._mean(context, "noise_floor", floors, n_missing, "all", {"k": self.k})

    def _area(self, one: UserLists[Cell], kind: str) -> float | None:
        """Compute the area under a user's curve, from the repeat at rate 0; None if a point is
        missing.
        """
        after = (one.neutral[0], *(one.edited[kind, rate] for rate in self.rates))
        known = [value for value in map(one.jaccard, after) if value is not None]
        return area_under_rates((0.0, *self.rates), known) if len(known) == len(after) else None

    def _parameters(self) -> dict[str, JsonValue]:
        return {"rate": self.decided_at, "k": self.k, "m": breaking_count(self.k)}

    def _raw(
        self, context: Context, applicable: Sequence[UserLists[Cell]], kind: str, lost: int
    ) -> Finding:
        """Estimate the attack success rate of one kind of noise at the rate `decided_at`."""
        name = f"{context.probe_id}.asr"
        unit, direction = unit_of(name)
        succeeded = [one.replaces(one.edited[kind, self.decided_at]) for one in applicable]
        estimate = share(
            sum(succeeded), len(applicable), unit=unit, direction=direction, n_missing=lost,
            method="wilson", reason="this noise does not change any request with a clean list",
        )  # fmt: skip
        users = [one.user.id for one in applicable]
        return finding(
            context, name, estimate, group=f"edit={kind}", parameters=self._parameters(),
            units=[(user, float(s), 1.0) for user, s in zip(users, succeeded, strict=True)],
            evidence=list(self._evidence(applicable, kind)), n_cases=sum(succeeded),
        )  # fmt: skip

    def _net(
        self, context: Context, applicable: Sequence[UserLists[Cell]], kind: str, lost: int
    ) -> Finding:
        """Estimate the attack success rate minus the noise floor, paired by user."""
        name = f"{context.probe_id}.net_asr"
        unit, direction = unit_of(name)
        estimate = paired_difference(
            [one.floor for one in applicable],
            [float(one.replaces(one.edited[kind, self.decided_at])) for one in applicable],
            rng=context.rng(name, kind), unit=unit, direction=direction, n_missing=lost,
            limits=(0, 1),
        )  # fmt: skip
        return finding(context, name, estimate, group=f"edit={kind}", parameters=self._parameters())

    def _evidence(self, applicable: Sequence[UserLists[Cell]], kind: str) -> Iterator[Evidence]:
        """Cite the first users whose list changed."""
        changed = (one for one in applicable if one.replaces(one.edited[kind, self.decided_at]))
        for one in islice(changed, _SHOWN):
            after = one.edited[kind, self.decided_at]
            if after is not None:
                overlap = one.jaccard(after) or 0.0
                what = f"user {one.user.id}: Jaccard {overlap:.2f} after {kind} noise"
                yield Evidence(requests=(one.clean.request_id, after.request_id), what=what)

    def _mean(
        self,
        context: Context,
        metric: str,
        values: Sequence[float | None],
        n_missing: int,
        group: str,
        parameters: dict[str, JsonValue],
    ) -> Finding:
        """Average values over users."""
        name = f"{context.probe_id}.{metric}"
        unit, direction = unit_of(name)
        known = [value for value in values if value is not None]
        estimate = bootstrap_mean(
            known, rng=context.rng(name, group, str(parameters)), unit=unit, direction=direction,
            n_missing=n_missing + len(values) - len(known), limits=(0, 1),
        )  # fmt: skip
        return finding(context, name, estimate, group=group, parameters=parameters)


def _neutral(clean: Request) -> list[Request]:
    """Return a repeat of the request, and meaningless edits of it."""
    edited = [replace(clean, instruction=edit(clean.instruction)) for edit in MEANING_FREE]
    return [replace(clean, repeat=1), *edited]
