"""Fake recommenders whose lists, taken together, show too much of some items or give users away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from planted_recommenders import Clean, chance, new_items, titles
from small_world import world

from auditkit.domains.shipped import domain_pack
from auditkit.probes.base import load_users, neutral_request
from auditkit.recommenders.prompting.prompts import Prompts
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


class EmbedsGender(Clean):
    """Represents a request by noise and, in one place, by the gender of who asks."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        gender = gender_by_prompt()
        return np.array(
            [
                [chance("noise", i, text) for i in range(5)] + [gender[text] + chance(text)]
                for text in texts
            ],
            dtype=np.float32,
        )


@cache
def gender_by_prompt() -> dict[str, float]:
    """1 for the plain request of a woman, 0 for that of a man."""
    return {
        Prompts.shipped("titles", domain_pack("movies")).render(neutral_request(user, k=10)): float(
            user.attributes["gender"] == "female"
        )
        for user in load_users(world())
    }
