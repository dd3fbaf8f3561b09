"""Fake recommenders whose top item has known causes in the history, and who give reasons for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from planted_recommenders import Clean, chance, titles
from small_world import world

from auditkit.catalog.items import CatalogItem
from auditkit.domains.shipped import domain_pack
from auditkit.recommenders.prompting.prompts import Prompts
from auditkit.types import Item, Request

N_ITEMS = 10


@cache
def whole_history(user_id: str) -> list[CatalogItem]:
    """The latest items of a user's history, as probes send them."""
    interactions, items = world().interactions, world().catalog.items
    rows = interactions.history(interactions.user_ids.index(user_id), until="test")[-N_ITEMS:]
    return [items[row] for row in rows]


def causes(user_id: str, n: int = 1) -> list[CatalogItem]:
    """The items of a user's history that cause the top item."""
    own = whole_history(user_id)
    return sorted(own, key=lambda item: chance("cause", user_id, item.id))[:n]


@cache
def unseen(user_id: str) -> list[CatalogItem]:
    """Items outside the whole history, in an order that depends on the user."""
    seen = {item.id for item in whole_history(user_id)}
    fresh = [item for item in world().catalog.items if item.id not in seen]
    return sorted(fresh, key=lambda item: chance(user_id, item.id))


class ListsOnly:
    """A recommender that returns lists and nothing else; the top item depends on `moved`."""

    name = "lists only"

    def recommend(self, requests: Sequence[Request]) -> list[list[str]]:
        return [titles(self.ranked(request)[: request.k]) for request in requests]

    def ranked(self, request: Request) -> list[CatalogItem]:
        clean = unseen(request.user_id)
        return [*clean[1:], clean[0]] if self.moved(request) else clean

    def moved(self, request: Request) -> bool:
        raise NotImplementedError


class NeedsAny(ListsOnly):
    """The top item stays while any of the user's causes is in the history."""

    def __init__(self, n_causes: int = 1) -> None:
        self.n_causes = n_causes

    def moved(self, request: Request) -> bool:
        shown = {item.id for item in request.history}
        return not shown & {item.id for item in causes(request.user_id, self.n_causes)}


class SameForEveryHistory(ListsOnly):
    """The history does not matter."""

    def moved(self, request: Request) -> bool:
        return False


class ScoredCause(Clean):
    """The top item's score falls by 3.5 nats without the user's cause, to the fourth place."""

    def __init__(self) -> None:
        self.prompts = Prompts.shipped("titles", domain_pack("movies"))

    def answer(self, request: Request) -> list[str]:
        return titles(unseen(request.user_id)[: request.k])

    def log_probability(self, prompt: str, continuation: str) -> float:
        user_id, _, shown = prompt.partition(": ")
        place = titles(unseen(user_id)).index(continuation)
        here = causes(user_id)[0].id in shown.split()
        return -1.0 - place - (0.0 if here or place else 3.5)

    def render(self, request: Request) -> str:
        return f"{request.user_id}: {' '.join(item.id for item in request.history)}"

    def reference(self, item: Item) -> str:
        return item.title
