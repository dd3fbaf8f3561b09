"""The top item of a recommendation if parts of the request are removed.

By scores, the top item is the candidate with the highest log-probability; the candidates are the
items of the list for the whole history, and of equal candidates the earlier one wins. By lists, it
is the first item of the list that the recommender returns. Items of the whole history never count
as the top item, because a recommender is expected to suggest an item that was just removed from the
history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from auditkit.attribution.spans import Span, SpanKind, masked, spans_of
from auditkit.attribution.values import Game, measure
from auditkit.probes.base import User, item_ids
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Scores
from auditkit.types import Item, Request, Response

__all__ = ["STORED", "By", "Explained", "Outcome", "explained_users", "measure_tops", "source_of"]

STORED = (
    "the recommender has stored results per user and does not read the history of a request; audit "
    "the system that computes them"
)
By = Literal["auto", "scores", "lists"]


@dataclass(frozen=True)
class Outcome:
    """Recommendation under one mask.

    Attributes:
        top: id of the top item, or its normalized title if it has no id; empty if nothing is
            listed.
        place: rank of the explained item, from 1; None if it is not listed.
        strength: strength of the explained item: by scores, its log-probability minus that of the
            strongest rival, nats; by lists, its reciprocal rank.
        ranking: ids, best first: of all candidates by scores, or of the items in the list.
        request_id: id of the request.
    """

    top: str
    place: int | None
    strength: float
    ranking: tuple[str, ...]
    request_id: str


@dataclass(eq=False)
class Explained:
    """One user's recommendation, and the outcomes if parts of the request are removed.

    Attributes:
        request: the whole request.
        spans: the n removable spans of the request; history items are listed oldest first.
        item: the explained item, the first of the list for the whole history.
        candidates: items of this list, the explained item first.
        outcomes: outcome by mask; masks that could not be measured are in `failed`.
    """

    user: User
    request: Request
    spans: tuple[Span, ...]
    item: Item
    candidates: tuple[Item, ...]
    game: Game | None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)

    @property
    def n(self) -> int:
        """Number of spans."""
        return len(self.spans)

    @property
    def everything(self) -> int:
        """The mask that keeps the whole request."""
        return (1 << self.n) - 1

    def without(self, removal: Sequence[int]) -> int:
        """Return the mask that keeps all positions except those in `removal`."""
        return self.everything ^ sum(1 << i for i in removal)


def source_of(target: Target, by: By) -> Literal["scores", "lists"]:
    """Return `scores` if the recommender returns scores, unless `by` is `lists`."""
    if by == "auto":
        return "scores" if isinstance(target.recommender, Scores) else "lists"
    return by


def explained_users(
    target: Target,
    users: Sequence[User],
    requests: Sequence[Request],
    *,
    by: By,
    kinds: Sequence[SpanKind] = ("history",),
) -> tuple[list[Explained], dict[str, int]]:
    """Request each user's list, and prepare to explain its first item.

    Args:
        requests: one request per user, with at most 20 history items.
        by: what determines the top item.
        kinds: kinds of spans that may be removed.

    Returns:
        A recommendation per user with a list, and the number of users without a list, by reason.
    """
    found, missing = [], dict[str, int]()
    for user, request, response in zip(users, requests, target.recommend(requests), strict=True):
        why = _unusable(request, response)
        candidates = _candidates(target, request, response)
        if not why and source_of(target, by) == "scores" and len(candidates) < 2:
            why = "fewer than two listed items to compare"
        if why:
            missing[why] = missing.get(why, 0) + 1
            continue
        spans = spans_of(request, kinds=kinds)
        scored = source_of(target, by) == "scores"
        game = Game(request, spans, candidates) if scored else None
        one = Explained(user, request, spans, candidates[0], candidates, game)
        if game is None:
            one.outcomes[one.everything] = _of_list(one, response)
        found.append(one)
    return found, missing


def measure_tops(target: Target, plans: Sequence[tuple[Explained, Sequence[int]]]) -> None:
    """Measure the top item under masks in one call; masks that were measured are not repeated."""
    wanted = [
        (one, [m for m in dict.fromkeys(masks) if m not in one.outcomes and m not in one.failed])
        for one, masks in plans
    ]
    measure(target, [(one.game, masks) for one, masks in wanted if one.game is not None])
    listed = [(one, mask) for one, masks in wanted if one.game is None for mask in masks]
    responses = target.recommend([masked(one.request, one.spans, mask) for one, mask in listed])
    for (one, mask), response in zip(listed, responses, strict=True):
        if response.status in ("ok", "no_answer"):
            one.outcomes[mask] = _of_list(one, response)
        else:
            one.failed.add(mask)
    for one, masks in wanted:
        for mask in masks if one.game is not None else ():
            outcome = _of_scores(one, mask)
            if outcome is None:
                one.failed.add(mask)
            else:
                one.outcomes[mask] = outcome


def _unusable(request: Request, response: Response) -> str:
    if not request.history:
        return "empty history"
    if response.status != "ok":
        return response.reason or response.status
    seen = {item.id for item in request.history}
    return "" if any(i not in seen for i in item_ids(response)) else "only items of the history"


def _candidates(target: Target, request: Request, response: Response) -> tuple[Item, ...]:
    """Return the listed items that are not in the history, best first.

    An item without a catalog id is identified by its text.
    """
    seen, found = {item.id for item in request.history}, dict[str, Item]()
    for key, listed in zip(item_ids(response), response.items, strict=True):
        if key not in seen:
            known = target.catalog[key].display_title if key in target.catalog.index else listed.raw
            found.setdefault(key, Item(key, known))
    return tuple(found.values())


def _of_list(one: Explained, response: Response) -> Outcome:
    seen = {item.id for item in one.request.history}
    ids = [key for key in item_ids(response) if key not in seen]
    place = ids.index(one.item.id) + 1 if one.item.id in ids else None
    strength = 1 / place if place else 0.0
    return Outcome(ids[0] if ids else "", place, strength, tuple(ids), response.request_id)


def _of_scores(one: Explained, mask: int) -> Outcome | None:
    """Determine the outcome from scores; None if a score is missing."""
    row = one.game.rows[mask] if one.game is not None else None
    if row is None or row.reason is not None:
        return None
    values = np.asarray(row.values)
    if not np.isfinite(values).all():
        return None
    order = np.argsort(-values, kind="stable")
    place = int(np.flatnonzero(order == 0)[0]) + 1
    margin = float(values[0] - values[1:].max())
    ranking = tuple(one.candidates[int(i)].id for i in order)
    return Outcome(ranking[0], place, margin, ranking, row.requests[0])
