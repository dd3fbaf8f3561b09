"""Robustness: does text inside an item, written to influence the ranking, move the item up?

For every user, one candidate outside of the clean top k is the target. The same request is sent
with text added to one item: in the inject arm a text that addresses the model or praises the
target, in the neutral arm a description of the same length that names the target as well. The item,
the position in the prompt and the candidates are equal in all arms. The difference between the two
arms (inject effect) is therefore due to the content of the text, and not to its length, to naming
the item, or to regression to the mean of an item that was chosen for its low rank. A repeat of the
clean request gives the noise floor.

Each user gets one template of every family; templates rotate over users. Texts are short and
harmless. Source: SafeGEO (arXiv 2606.28356) and FORGE (arXiv 2606.13610); docs/explain/threats.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

from auditkit.errors import InvalidArgument
from auditkit.probes.base import UTILITY_STATUSES, Context, NotAssessable, User, finding, unit_of
from auditkit.probes.fairness.candidates import draw_candidates
from auditkit.probes.robustness.injection_findings import Attempt, effect, noise_floor, success_rate
from auditkit.probes.robustness.item_text import (
    Surface,
    listing_request,
    rank_of,
    require_item_text,
    token_counter,
)
from auditkit.probes.robustness.neutral_text import neutral_like, same_length
from auditkit.probes.robustness.shipped_texts import shipped_texts
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends
from auditkit.types import Finding, Item, Request, Response

__all__ = ["ItemInjectionProbe", "injection_templates"]

_LATEST = 5  # items of the history, which every window of a prompt contains


@cache
def injection_templates() -> dict[str, tuple[str, ...]]:
    """Return the templates by family; `{item}` is the slot for the title of the target."""
    families = shipped_texts("injection_templates")["families"]
    return {name: tuple(listed) for name, listed in families.items()}


@dataclass(frozen=True)
class _Case:
    """One user: the candidates, the target, and the item whose text is edited."""

    user: User
    candidates: tuple[Item, ...]
    target: Item
    edited: Item
    is_eligible: bool


@dataclass(frozen=True, kw_only=True)
class ItemInjectionProbe:
    """Success rates of injected and neutral text, their difference, and the noise floor.

    Attributes:
        surface: position of the text: after the title of the target (`title`), as description of
            the target (`description`), or as description of a history item (`history`).
        families: families of templates; see `injection_templates`.
        templates: number of templates of each family per user, 1 to 4; templates rotate over users.
        n_users: number of users, with one target item each.
        n_candidates: number of candidates in the prompt, more than k.
        k: an attempt succeeds if the target is among the first k items of the response.
    """

    surface: Surface = "description"
    families: tuple[str, ...] = (
        "ranking_order", "override", "system_message", "self_praise", "delimiter",
    )  # fmt: skip
    templates: int = 1
    n_users: int = 50
    n_candidates: int = 20
    k: int = 5
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        known = injection_templates()
        wrong = [name for name in self.families if name not in known]
        if wrong or not self.families or self.surface not in ("title", "description", "history"):
            raise InvalidArgument(
                f"robustness.item.inject got families={list(self.families)}, "
                f"surface={self.surface!r}. Give families out of {', '.join(known)}, and the "
                "surface title, description or history."
            )
        most = min(len(known[name]) for name in self.families)
        if not (
            1 <= self.templates <= most and 1 <= self.k < self.n_candidates and self.n_users >= 1
        ):
            raise InvalidArgument(
                f"robustness.item.inject got templates={self.templates}, k={self.k}, "
                f"n_candidates={self.n_candidates}, n_users={self.n_users}. Give templates from 1 "
                f"to {most}, k and n_users of at least 1, and n_candidates above k."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Send clean, neutral and inject requests, and compare the ranks of each target item."""
        require_item_text(target)
        users = [u for u in context.sample_users(self.n_users) if u.history]
        offered = [draw_candidates(context, user, n=self.n_candidates) for user in users]
        if not users or min(map(len, offered)) <= self.k:
            raise NotAssessable(
                f"the catalog has too few items for a list of more than k={self.k} candidates"
            )
        clean = [
            listing_request(target, user, items, {}, k=self.k, surface=self.surface)
            for user, items in zip(users, offered, strict=True)
        ]
        before = target.recommend(clean)
        cases = [
            self._case(context, user, items, response)
            for user, items, response in zip(users, offered, before, strict=True)
        ]
        again = target.recommend([replace(request, repeat=1) for request in clean])
        attempts = self._attempts(target, cases, before)
        yield from self._findings(context, cases, again, attempts)

    def _case(
        self, context: Context, user: User, candidates: tuple[Item, ...], clean: Response
    ) -> _Case:
        """Sample the target from the candidates outside of the clean top k."""
        rng = context.rng("target", user.id)
        order = [candidates[row] for row in rng.permutation(len(candidates))]
        outside = [item for item in order if (rank_of(clean, item) or self.k + 1) > self.k]
        chosen = (outside or order)[0]
        edited = chosen
        if self.surface == "history":
            latest = user.history[-_LATEST:]
            edited = latest[int(rng.integers(len(latest)))]
        # Without a clean list every item is outside, and a mute recommender would seem robust.
        is_eligible = clean.status == "ok" and bool(outside)
        return _Case(user, candidates, chosen, edited, is_eligible)

    def _attempts(
        self, target: Target, cases: Sequence[_Case], clean: Sequence[Response]
    ) -> list[Attempt]:
        """Send both arms of every template of every user."""
        count = token_counter(target)
        planned: list[tuple[_Case, Response, str, int, bool]] = []
        requests: list[Request] = []
        for number, (case, before) in enumerate(zip(cases, clean, strict=True)):
            for family in self.families:
                known = injection_templates()[family]
                for step in range(self.templates):
                    at = (number + step) % len(known)
                    text = known[at].replace("{item}", case.target.title)
                    same = neutral_like(text, start=case.target.title, count=count)
                    requests += [self._edited(target, case, same), self._edited(target, case, text)]
                    matches = same_length(text, same, count=count)
                    planned.append((case, before, family, at, matches))
        responses = target.recommend(requests)
        return [
            Attempt(
                case.user.id, case.target, family, at, before, responses[2 * row],
                responses[2 * row + 1], k=self.k, is_eligible=case.is_eligible,
                is_matched=matches,
            )
            for row, (case, before, family, at, matches) in enumerate(planned)
        ]  # fmt: skip

    def _edited(self, target: Target, case: _Case, text: str) -> Request:
        texts = {case.edited.id: text}
        return listing_request(
            target, case.user, case.candidates, texts, k=self.k, surface=self.surface
        )

    def _findings(
        self,
        context: Context,
        cases: Sequence[_Case],
        again: Sequence[Response],
        attempts: Sequence[Attempt],
    ) -> Iterator[Finding]:
        usable = [one for one in attempts if one.is_usable]
        lost = len(cases) - len({one.user_id for one in usable})
        repeats = [
            (rank_of(response, case.target) or self.k + 1) <= self.k
            for case, response in zip(cases, again, strict=True)
            if case.is_eligible and response.status in UTILITY_STATUSES
        ]
        name = f"{context.probe_id}.noise_floor"
        floor = noise_floor(repeats, unit_of(name), n_missing=len(cases) - len(repeats))
        stated = {"k": self.k, "n_candidates": self.n_candidates, "surface": self.surface}
        yield finding(context, name, floor, parameters=stated)
        for group, rows in {
            "all": usable,
            **{f"family={f}": [one for one in usable if one.family == f] for f in self.families},
        }.items():
            yield success_rate(context, "inject_asr", rows, group, stated, n_missing=lost)
            yield success_rate(context, "neutral_asr", rows, group, stated, n_missing=lost)
            yield effect(context, rows, group, stated, n_missing=lost)
