"""Robustness: what does the recommender answer if the request assumes something that is false?

A contradiction asks for items that meet two constraints which no item of the catalog is known to
meet together. A false attribution states a fact of one item about another item. Every response has
one outcome: it invents (at least one listed title is not in the catalog), corrects (its text states
the actual value, attributions only), lists other real items without a correction, or declines
(lists nothing). Titles are linked and facts are read from the knowledge graph; there is no judge
model. An answer that describes the conflict in its own words and lists real items counts as "other
items".

Source: false-premise questions (FalseQA, Hu et al. 2023); docs/explain/threats.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from auditkit.errors import InvalidArgument
from auditkit.probes.base import (
    UTILITY_STATUSES,
    Context,
    NotAssessable,
    User,
    finding,
    neutral_request,
    unit_of,
)
from auditkit.probes.hallucination.constrained_requests import without_slots
from auditkit.probes.hallucination.constraint_choices import as_words
from auditkit.probes.robustness.premises import Premises
from auditkit.probes.robustness.response_text import text_of
from auditkit.probes.robustness.shipped_texts import shipped_texts
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Recommends, Staged
from auditkit.stats.rates import rate
from auditkit.types import Evidence, Finding, Request, Response

__all__ = ["FalsePremiseProbe"]

Outcome = Literal["invented", "corrected", "other_items", "declined"]
Kind = Literal["contradiction", "attribution"]
_SHOWN = 5
_IN_CATALOG = ("ambiguous", "ambiguous_variant")  # titles of several items, none of which is chosen


@dataclass(frozen=True)
class _Asked:
    """A request with a false premise, the premise as text, and the values that a correction
    states.
    """

    request: Request
    words: str
    actual: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FalsePremiseProbe:
    """Shares of responses that invent, correct, list other items, or decline.

    Attributes:
        n_users: number of users, with one request per kind of premise each.
        k: requested length of the lists.
    """

    n_users: int = 50
    k: int = 5
    needs: ClassVar[tuple[type, ...]] = (Recommends,)

    def __post_init__(self) -> None:
        if min(self.n_users, self.k) < 1:
            raise InvalidArgument(
                f"robustness.premise got n_users={self.n_users}, k={self.k}. Give at least 1 "
                "for each."
            )

    def run(self, target: Target, context: Context) -> Iterator[Finding]:
        """Send requests with false premises and classify the responses by outcome."""
        if not target.reads_prompt or target.prompts.history == "item_tokens":
            raise NotAssessable(
                "the recommender does not read prompt text, so a request cannot state a premise"
            )
        if isinstance(target.recommender, Staged):
            raise NotAssessable("the request cannot replace the templates of a pipeline")
        premises = Premises(target.catalog, target.pack)
        kinds: tuple[Kind, ...] = ("contradiction", "attribution")
        asked = {
            kind: [
                one
                for user in context.sample_users(self.n_users)
                if (one := self._asked(target, context, premises, kind, user)) is not None
            ]
            for kind in kinds
        }
        if not any(asked.values()):
            raise NotAssessable(
                "the catalog has no facts that the domain pack can phrase as constraints, or no "
                "such facts that contradict each other"
            )
        responses = iter(target.recommend([one.request for rows in asked.values() for one in rows]))
        for kind, rows in asked.items():
            yield from self._findings(context, kind, rows, [next(responses) for _ in rows])

    def _asked(
        self, target: Target, context: Context, premises: Premises, kind: Kind, user: User
    ) -> _Asked | None:
        """Create the request of one user; None if the catalog has no such premise."""
        rng = context.rng(kind, user.id)
        template = target.pack.filled(shipped_texts("premise_prompts")[kind])
        request = neutral_request(user, k=self.k)
        if kind == "contradiction":
            both = premises.contradiction(rng)
            if both is None:
                return None
            words = without_slots(as_words(both, target.pack))
            text = template.replace("{constraint}", words)
            return _Asked(replace(request, instruction=text), words)
        false = premises.false_fact(rng)
        if false is None:
            return None
        words = without_slots(false.words)
        title = without_slots(false.item.title)
        text = template.replace("{constraint}", words).replace("{title}", title)
        stated = f"{title}, {words}"
        return _Asked(replace(request, instruction=text), stated, false.actual)

    def _findings(
        self, context: Context, kind: Kind, rows: Sequence[_Asked], responses: Sequence[Response]
    ) -> Iterator[Finding]:
        known = [
            (one, response, _outcome(one, response))
            for one, response in zip(rows, responses, strict=True)
            if response.status in UTILITY_STATUSES
        ]
        outcomes: tuple[Outcome, ...] = ("invented", "other_items", "declined", "corrected")
        for outcome in outcomes[: 3 if kind == "contradiction" else 4]:
            name = f"{context.probe_id}.{outcome}_rate"
            unit, direction = unit_of(name)
            found = [(one, response) for one, response, of in known if of == outcome]
            measured = rate(
                len(found), len(known), unit=unit, direction=direction, method="wilson",
                n_missing=len(rows) - len(known), reason="no request was answered",
            )  # fmt: skip
            wrong = outcome in ("invented", "other_items")
            shown = [
                Evidence(requests=(response.request_id,), what=_what(one, response, outcome))
                for one, response in found[: _SHOWN if wrong else 0]
            ]
            yield finding(
                context, name, measured, group=f"premise={kind}", parameters={"k": self.k},
                evidence=shown, n_cases=len(found) if wrong else None,
            )  # fmt: skip


def _invented(response: Response) -> list[str]:
    """Return the listed titles that are not in the catalog."""
    return [i.raw for i in response.items if i.item_id is None and i.link not in _IN_CATALOG]


def _outcome(asked: _Asked, response: Response) -> Outcome:
    if _invented(response):
        return "invented"
    text = text_of(response).casefold() if response.text is not None else ""
    if any(value.casefold() in text for value in asked.actual):
        return "corrected"
    return "other_items" if response.items else "declined"


def _what(asked: _Asked, response: Response, outcome: Outcome) -> str:
    if outcome == "invented":
        return f'"{_invented(response)[0]}" is not in the catalog (premise: {asked.words})'
    return f"lists {len(response.items)} items without a correction (premise: {asked.words})"
