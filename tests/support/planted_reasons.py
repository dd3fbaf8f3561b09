"""Fake recommenders whose top item has known causes in the history, and who give reasons for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
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


def causes(user_id: str, n: int = 1, salt: int = 0) -> list[CatalogItem]:
    """The items of a user's history that cause the top item."""
    own = whole_history(user_id)
    return sorted(own, key=lambda item: chance("cause", user_id, item.id, salt))[:n]


@cache
def unseen(user_id: str) -> list[CatalogItem]:
    """Items outside the whole history, in an order that depends on the user."""
    seen = {item.id for item in whole_history(user_id)}
    fresh = [item for item in world().catalog.items if item.id not in seen]
    return sorted(fresh, key=lambda item: chance(user_id, item.id))


class ListsOnly:
    """A recommender that returns lists and nothing else, the same for every history.

    In a subclass, another item is first where `moved` says so.
    """

    name = "lists only"

    def recommend(self, requests: Sequence[Request]) -> list[list[str]]:
        return [titles(self.ranked(request)[: request.k]) for request in requests]

    def ranked(self, request: Request) -> list[CatalogItem]:
        clean = unseen(request.user_id)
        return [*clean[1:], clean[0]] if self.moved(request) else clean

    def moved(self, request: Request) -> bool:
        return False


class NeedsAny(ListsOnly):
    """The top item stays while any of the user's causes is in the history."""

    def __init__(self, n_causes: int = 1) -> None:
        self.n_causes = n_causes

    def moved(self, request: Request) -> bool:
        shown = {item.id for item in request.history}
        return not shown & {item.id for item in causes(request.user_id, self.n_causes)}


class ScoredCause(Clean):
    """The top item's score falls by 3.5 nats without the user's cause, to the fourth place."""

    def __init__(self, salt: int = 0) -> None:
        self.salt = salt
        self.prompts = Prompts.shipped("titles", domain_pack("movies"))

    def answer(self, request: Request) -> list[str]:
        return titles(unseen(request.user_id)[: request.k])

    def log_probability(self, prompt: str, continuation: str) -> float:
        user_id, _, shown = prompt.partition(": ")
        place = titles(unseen(user_id)).index(continuation)
        here = causes(user_id, salt=self.salt)[0].id in shown.split()
        return -1.0 - place - (0.0 if here or place else 3.5)

    def render(self, request: Request) -> str:
        return f"{request.user_id}: {' '.join(item.id for item in request.history)}"

    def reference(self, item: Item) -> str:
        return item.title


class NamesCause(ScoredCause):
    """Recommends because of one item, and says so truthfully."""

    def __init__(self, salt: int = 0) -> None:
        super().__init__(salt)
        counts = np.bincount(world().interactions.item_index, minlength=len(world().catalog))
        self.popularity = {item.id: counts[row] for row, item in enumerate(world().catalog.items)}

    def write(self, prompt: str) -> str:
        user_id, _, shown = prompt.partition(": ")
        history = [world().catalog[item_id] for item_id in shown.split()]
        listed = titles(unseen(user_id)[:5])
        if causes(user_id, salt=self.salt)[0] not in history:
            listed = [*listed[1:], listed[0]]
        reason = self.reason(user_id, history)
        return "\n".join(f"{n}. {t}: {reason}." for n, t in enumerate(listed, start=1))

    def reason(self, user_id: str, history: list[CatalogItem]) -> str:
        return f"because you watched {self.named(user_id, history).display_title}"

    def named(self, user_id: str, history: list[CatalogItem]) -> CatalogItem:
        return min(history, key=lambda item: chance("cause", user_id, item.id, self.salt))


class NamesAnyItem(NamesCause):
    """Names a random item of the history."""

    def named(self, user_id: str, history: list[CatalogItem]) -> CatalogItem:
        return min(history, key=lambda item: chance("reason", user_id, item.id, self.salt))


class NamesPopularItem(NamesCause):
    """Names the item of the history that most users know."""

    def named(self, user_id: str, history: list[CatalogItem]) -> CatalogItem:
        return max(history, key=lambda item: (self.popularity[item.id], item.id))


class NamesDeletedCause(NamesCause):
    """Names the cause, also where it is no longer in the history."""

    def named(self, user_id: str, history: list[CatalogItem]) -> CatalogItem:
        return causes(user_id, salt=self.salt)[0]


class InventsReasons(NamesCause):
    """Every second reason names a film that does not exist, or one that the user has not seen."""

    def reason(self, user_id: str, history: list[CatalogItem]) -> str:
        if int(user_id) % 2:
            return super().reason(user_id, history)
        other = unseen(user_id)[-1].display_title
        return "because you watched " + ("Zzyzx Rising" if int(user_id) % 4 else other)


class IgnoresAttributes(ScoredCause):
    """Scores vary a little with every wording, and with nothing that a wording says."""

    def render(self, request: Request) -> str:
        shown = " ".join(item.id for item in request.history)
        stated = ", ".join(f"{name} {value}" for name, value in request.attributes.items())
        return f"{request.user_id}|{stated}|{shown}|{request.instruction}"

    def log_probability(self, prompt: str, continuation: str) -> float:
        user_id, stated, shown, _ = prompt.split("|", 3)
        place = titles(unseen(user_id)).index(continuation)
        here = causes(user_id, salt=self.salt)[0].id in shown.split()
        noise = chance("noise", self.salt, prompt, continuation)
        return -1.0 - place - (0.0 if here or place else 3.5) + noise + self.bonus(stated, place)

    def bonus(self, stated: str, place: int) -> float:
        return 0.0

    def write(self, prompt: str) -> str:
        listed = titles(unseen(prompt.split("|")[0])[:5])
        return "\n".join(f"{n}. {t}: {self.reason(prompt)}" for n, t in enumerate(listed, start=1))

    def reason(self, prompt: str) -> str:
        return "it is well made"


class UsesGender(IgnoresAttributes):
    """The stated gender moves the top item by 2 nats, up or down."""

    def bonus(self, stated: str, place: int) -> float:
        signs = {"gender female": 2.0, "gender male": -2.0}
        return 0.0 if place else sum(v for text, v in signs.items() if text in stated)


class SaysGender(UsesGender):
    """And says so."""

    def reason(self, prompt: str) -> str:
        return "it suits your gender"
