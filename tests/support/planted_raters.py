"""Fake recommenders that rate single items or foresee what users take next, right and wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from planted_recommenders import Clean, titles
from small_world import world

from auditkit.catalog.dataset import Dataset


def rated() -> Dataset:
    """The small world with ratings from 1 to 5."""
    data = world()
    stars = 1 + np.arange(len(data.interactions)) * 7 % 5
    interactions = replace(data.interactions, rating=stars.astype(np.float32))
    return Dataset(data.catalog, interactions)


def true_stars(user_id, item_id):
    rows = rated().interactions
    user, item = rows.user_ids.index(user_id), rows.item_ids.index(item_id)
    place = np.flatnonzero((rows.user_index == user) & (rows.item_index == item))[0]
    return float(rows.rating[place])


class Knows(Clean):
    def log_probability(self, prompt, continuation):
        task, user, item = prompt.split()
        stars = true_stars(user, item)
        if task == "like":
            return -0.1 if (stars > 3) == (continuation == " Yes") else -5.0
        return -0.01 if float(continuation) == stars else -60.0


class Contrary(Knows):
    def log_probability(self, prompt, continuation):
        return -super().log_probability(prompt, continuation) - 10


class SureOfEverything(Clean):
    """Every item costs two nats."""

    def log_probability(self, prompt, continuation):
        return -2.0


class Foresees(Clean):
    """Lists what every user takes next, `found` of it, among items that nobody asked for."""

    def __init__(self, found=10):
        self.found, self.histories = found, {}

    def answer(self, request):
        rows = world().interactions
        user = rows.user_ids.index(request.user_id)
        begin, end = rows.offsets[user], rows.offsets[user + 1]
        items = [world().catalog.items[row] for row in rows.item_index[begin:end]]
        known = len(request.history)
        self.histories[request.user_id] = [item.id for item in request.history]
        assert [item.id for item in items[:known]] == self.histories[request.user_id]
        never = [item for item in world().catalog.items if item not in items]
        return titles([*items[known : known + self.found], *never][: request.k])
