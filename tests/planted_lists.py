"""Fake recommenders whose lists, taken together, show too much of some items or give users away."""

from __future__ import annotations

from collections import Counter
from functools import cache

from planted_recommenders import Clean, chance, new_items, titles
from small_world import world

from auditkit.types import Request


@cache
def popularity() -> Counter[str]:
    """Interactions before the test items, by item."""
    interactions = world().interactions
    return Counter(
        interactions.item_ids[row]
        for user in range(len(interactions.user_ids))
        for row in interactions.history(user, until="test")
    )


class FollowsTaste(Clean):
    """Lists items as often as users choose them."""

    def answer(self, request: Request) -> list[str]:
        drawn = sorted(
            world().catalog.items,
            key=lambda i: -(chance(request.user_id, i.id) ** (1 / max(popularity()[i.id], 0.1))),
        )
        return titles(drawn[: request.k])


class StarvesTheTail(Clean):
    """Lists the most popular items that the user does not know."""

    def answer(self, request: Request) -> list[str]:
        ranked = sorted(new_items(request), key=lambda item: -popularity()[item.id])
        return titles(ranked[: request.k])


class ListsByGender(Clean):
    """Draws women's lists from one half of the catalog and men's from the other."""

    def answer(self, request: Request) -> list[str]:
        interactions = world().interactions
        user = interactions.user_ids.index(request.user_id)
        woman = interactions.attributes[user]["gender"] == "female"
        own = [item for item in new_items(request) if (chance(item.id) < 0.5) == woman]
        return titles(own[: request.k])
