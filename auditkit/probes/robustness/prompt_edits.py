"""Robustness: do small edits of the prompt change the list?

For every user, the clean list is compared with the list after one edit of the instruction; slots
(history, k) are unchanged. Because users also type titles, another probe misspells one word of one
history title and does not change the instruction. A meaningless edit (one doubled space) gives the
noise floor; the net rate subtracts it per user. An attack succeeds if at least ceil(k / 3) of the
top k items are replaced; a response without a valid list counts as a success. Source: attack
success rate of TextAttack (Morris et al. 2020); RBO (Webber et al. 2010).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from auditkit.errors import InvalidArgument
from auditkit.metrics.list_similarity import jaccard_at_k
from auditkit.metrics.robustness import breaking_count, rbo_ext, replaced
from auditkit.perturb.text import EDITS, NOISE_FLOOR_EDIT, edit_instruction, edit_one_title
from auditkit.probes.base import (
    NEVER_READS,
    UTILITY_STATUSES,
    Context,
    NotAssessable,
    User,
    finding,
    item_ids,
    neutral_request,
    unit_of,
)
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.stats.bootstrap import ResampledEstimate, bootstrap_mean, paired_difference
from auditkit.stats.rates import rate
from auditkit.types import Evidence, Finding, Request, Response

__all__ = ["PromptEditProbe"]


@dataclass(frozen=True)
class _Comparison:
    """The clean and edited lists of one user."""

    user: User
    clean: Response
    edited: Response
    succeeded: bool
    floor: bool
    jaccard: float | None
    rbo: float | None


@dataclass(frozen=True, kw_only=True)
class PromptEditProbe:
    """Attack success rate, noise floor, and list similarity under one kind of edit.

    Attributes:
        edit: kind of edit; determined by the probe id.
        n_users: number of users, each attacked once.
        k: length of the compared lists.
        rate: number of edits per character of the instruction, slots not counted, in (0, 1]; at
            least one edit is made. `history_typo` does not use it.
    """

    edit: Literal[
        "typo", "case", "space", "homoglyph", "zerowidth", "history_shuffle", "history_typo"
    ]
    n_users: int = 50
    k: int = 10
    rate: float = 0.03
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if self.k < 1 or self.n_users < 1 or not 0 < self.rate <= 1:
            raise InvalidArgument(
                f"robustness got k={self.k}, n_users={self.n_users}, rate={self.rate}. Give k and "
                "n_users of at least 1, and a rate in (0, 1]."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Send clean, edited and noise-floor requests, and compare the lists of each user."""
        users = context.sample_users(self.n_users)
        instruction = target.prompts.recommend[0]
        clean = [
            replace(neutral_request(user, k=self.k), instruction=instruction) for user in users
        ]
        edited = [self._edited(request, context.rng(request.user_id)) for request in clean]
        applicable = [i for i in range(len(users)) if self._is_edited(target, clean[i], edited[i])]
        if not applicable:
            raise NotAssessable(f"the edit {self.edit!r} changes none of the {len(users)} requests")
        floor_text = edit_instruction(
            instruction, NOISE_FLOOR_EDIT, context.rng("floor"), rate=0.01
        )
        asked = [
            *(clean[i] for i in applicable),
            *(edited[i] for i in applicable),
            *(replace(clean[i], instruction=floor_text) for i in applicable),
        ]
        responses = target.recommend(asked)
        n = len(applicable)
        triples = zip(
            applicable, responses[:n], responses[n : 2 * n], responses[2 * n :], strict=True
        )
        compared = [
            self._compare(users[i], before, after, neutral)
            for i, before, after, neutral in triples
            if before.status == "ok" and {after.status, neutral.status} <= set(UTILITY_STATUSES)
        ]
        eligible = [c for c in compared if len(set(item_ids(c.clean))) >= self._threshold]
        for found in self._findings(context, eligible, n_missing=len(users) - len(eligible)):
            yield (
                found if target.reads_prompt else replace(found, notes=(*found.notes, *NEVER_READS))
            )

    @property
    def _threshold(self) -> int:
        return breaking_count(self.k)

    def _is_edited(self, target: Target, clean: Request, edited: Request) -> bool:
        """Whether the edit changes the prompt.

        A history title that is not in the prompt cannot be edited.
        """
        if self.edit == "history_typo":
            return target.render(clean) != target.render(edited)
        return clean != edited

    def _edited(self, request: Request, rng: np.random.Generator) -> Request:
        if self.edit == "history_shuffle":
            order = rng.permutation(len(request.history))
            return replace(request, history=tuple(request.history[i] for i in order))
        if self.edit == "history_typo":
            titles = edit_one_title([item.title for item in request.history], EDITS["typo"], rng)
            written = zip(request.history, titles, strict=True)
            return replace(
                request, history=tuple(replace(item, title=title) for item, title in written)
            )
        text = edit_instruction(request.instruction, EDITS[self.edit], rng, rate=self.rate)
        return replace(request, instruction=text)

    def _compare(
        self, user: User, before: Response, after: Response, neutral: Response
    ) -> _Comparison:
        a, b, floor = (item_ids(response) for response in (before, after, neutral))
        return _Comparison(
            user=user,
            clean=before,
            edited=after,
            succeeded=replaced(a, b, k=self.k) >= self._threshold,
            floor=replaced(a, floor, k=self.k) >= self._threshold,
            jaccard=jaccard_at_k(a, b, k=self.k),
            rbo=rbo_ext(a, b, k=self.k),
        )

    def _findings(
        self, context: Context, compared: Sequence[_Comparison], *, n_missing: int
    ) -> Iterator[Finding]:
        prefix = context.probe_id
        shuffles = self.edit == "history_shuffle"
        parameters = {"edit": self.edit, "k": self.k, "m": self._threshold, "rate": self.rate}
        successes = [float(c.succeeded) for c in compared]
        units = [(c.user.id, value, 1.0) for c, value in zip(compared, successes, strict=True)]
        headline = f"{prefix}.{'changed_rate' if shuffles else 'asr'}"
        unit, direction = unit_of(headline)
        yield finding(
            context,
            headline,
            rate(
                int(sum(successes)),
                len(compared),
                unit=unit,
                direction=direction,
                n_missing=n_missing,
                method="wilson",
                reason="no user had a clean list of sufficient length",
            ),
            parameters=parameters,
            units=units,
            evidence=() if shuffles else _largest_changes(compared),
            n_cases=None if shuffles else int(sum(successes)),
            notes=() if shuffles else [_floor_in_words(compared)],
        )
        if not shuffles:
            metric = f"{prefix}.net_asr"
            unit, direction = unit_of(metric)
            yield finding(
                context,
                metric,
                paired_difference(
                    [float(c.floor) for c in compared],
                    successes,
                    rng=context.rng(metric),
                    unit=unit,
                    direction=direction,
                    n_missing=n_missing,
                    limits=(0, 1),
                ),
                parameters={
                    **parameters,
                    "floor": float(np.mean([c.floor for c in compared])) if compared else None,
                },
            )
        for name in ("jaccard", "rbo"):
            values = [getattr(c, name) for c in compared]
            yield finding(
                context,
                f"{prefix}.{name}",
                self._mean(context, f"{prefix}.{name}", values, n_missing=n_missing),
                parameters=parameters,
            )

    def _mean(
        self, context: Context, metric: str, values: Sequence[float | None], *, n_missing: int
    ) -> ResampledEstimate:
        unit, direction = unit_of(metric)
        known = [value for value in values if value is not None]
        return bootstrap_mean(
            known,
            rng=context.rng(metric),
            unit=unit,
            direction=direction,
            n_missing=n_missing + len(values) - len(known),
            limits=(0, 1),
        )


def _floor_in_words(compared: Sequence[_Comparison]) -> str:
    hits = sum(c.floor for c in compared)
    return f"noise floor: a meaningless edit changes the lists of {hits} of {len(compared)} users"


def _largest_changes(compared: Sequence[_Comparison]) -> list[Evidence]:
    """Cite up to three successful attacks, the largest changes of the list first."""
    hits = sorted(
        (c for c in compared if c.succeeded), key=lambda c: (c.jaccard or 0.0, c.user.id)
    )[:3]
    return [
        Evidence(
            requests=(c.clean.request_id, c.edited.request_id),
            what=f"user {c.user.id}: Jaccard similarity of {c.jaccard or 0.0:.2f} between the "
            "lists before and after the edit",
        )
        for c in hits
    ]
