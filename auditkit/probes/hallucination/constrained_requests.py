"""Constrained requests: choose from candidates, or list only items that satisfy a constraint.

A third of the users get twenty candidates (the held-out item and nineteen random items), a third
get a constraint that at least 3k unconsumed items satisfy, and a third get a free request.
Recommenders that ignore the prompt text are excluded from the constraint checks. The requests
depend only on data, seed and prompts, so that they can also be answered outside of auditkit. See
docs/explain/hallucination.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.probes.base import Context, User, neutral_request
from auditkit.probes.hallucination.constraint_choices import (
    ConstraintChoices,
    as_words,
    constraint_choices,
)
from auditkit.recommenders.execution.target import Target
from auditkit.types import Item, Request

__all__ = ["ConstrainedRequest", "constrained_requests", "without_slots"]

Terms = Literal["free", "candidates", "constraint"]
N_CANDIDATES = 20
_LEAST = 3  # times k: minimum number of items that satisfy a constraint


@dataclass(frozen=True)
class ConstrainedRequest:
    """A request of one user, and the constraints that the response must satisfy."""

    user: User
    request: Request
    candidates: tuple[Item, ...] | None = None
    constraints: tuple[Constraint, ...] = ()

    @property
    def terms(self) -> Terms:
        """The kind of the request: `candidates`, `constraint` or `free`."""
        if self.candidates is not None:
            return "candidates"
        return "constraint" if self.constraints else "free"


def constrained_requests(
    target: Target, context: Context, users: Sequence[User], *, k: int
) -> list[ConstrainedRequest]:
    """Create one request per user; the kinds (candidates, constraint, free) alternate."""
    catalog = target.catalog
    tasks = target.prompts.tasks
    choose = tasks["choose"].ask[0] if "choose" in tasks else ""
    constrain = tasks["constrained"].ask[0] if "constrained" in tasks else ""
    by_tokens = target.prompts.history == "item_tokens"  # candidates are scored, not shown
    choices = constraint_choices(catalog, target.pack)
    satisfying = lru_cache(maxsize=64)(lambda *all_of: catalog.graph.select(all_of))
    found: list[ConstrainedRequest] = []
    for number, user in enumerate(users):
        asked = ConstrainedRequest(user, neutral_request(user, k=k))
        rng = context.rng("terms", user.id)
        may_choose = "{candidates}" in choose or not target.reads_prompt or by_tokens
        if number % 3 == 0 and user.test_item is not None and may_choose:
            candidates = _candidates(catalog, user, user.test_item, rng)
            request = replace(asked.request, instruction=choose, candidates=candidates)
            asked = replace(asked, request=request, candidates=candidates)
        elif number % 3 == 1 and constrain:
            constraints = _constraints(catalog, user, choices, rng, satisfying, least=_LEAST * k)
            if constraints:
                said = constrain.replace(
                    "{constraint}", without_slots(as_words(constraints, target.pack))
                )
                request = replace(asked.request, instruction=said)
                kept = constraints if target.reads_prompt else ()
                asked = replace(asked, request=request, constraints=kept)
        found.append(asked)
    return found


def without_slots(text: str) -> str:
    """Remove braces from a text, because they would be interpreted as slots of a template."""
    return text.replace("{", "(").replace("}", ")")


def _candidates(
    catalog: Catalog, user: User, target: Item, rng: np.random.Generator
) -> tuple[Item, ...]:
    """Sample nineteen unconsumed items and shuffle them with the held-out item."""
    taken = {item.id for item in user.history} | {target.id}
    consumed = [catalog.index[item_id] for item_id in taken if item_id in catalog.index]
    free = np.delete(np.arange(len(catalog)), consumed)
    drawn = rng.choice(len(free), min(N_CANDIDATES - 1, len(free)), replace=False)
    entries = [catalog.items[int(free[row])] for row in drawn]
    listed = [target, *(Item(entry.id, entry.display_title) for entry in entries)]
    return tuple(listed[row] for row in rng.permutation(len(listed)))


def _constraints(
    catalog: Catalog,
    user: User,
    choices: ConstraintChoices,
    rng: np.random.Generator,
    satisfying: Callable[..., NDArray[np.int64]],
    *,
    least: int,
) -> tuple[Constraint, ...]:
    """Sample constraints on a label, on a number, or on both, that at least `least` items satisfy.

    The tuple is empty if there are no such constraints.
    """
    consumed = list({catalog.index[item.id] for item in user.history if item.id in catalog.index})

    def n_left(constraints: Sequence[Constraint]) -> int:
        rows = satisfying(*constraints)
        return len(rows) - int(np.isin(consumed, rows).sum())

    labels = [[choices.labels[row]] for row in rng.permutation(len(choices.labels))]
    for chosen in [*labels, []]:
        if chosen and n_left(chosen) < least:
            continue
        if not chosen or rng.random() < 0.5:
            order = [choices.bounds[row] for row in rng.permutation(len(choices.bounds))]
            bound = next((one for one in order if n_left([*chosen, one]) >= least), None)
            chosen = [*chosen, *([] if bound is None else [bound])]
        if chosen:
            return tuple(chosen)
    return ()
