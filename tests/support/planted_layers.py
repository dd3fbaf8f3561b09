"""A model of random weights over the small world, whose states can be read, and worlds for it."""

from __future__ import annotations

import dataclasses
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from small_folder import save
from small_world import world

from auditkit.catalog.dataset import Dataset
from auditkit.recommenders.adapters.list_recommender import LanguageModelRecommender
from auditkit.recommenders.adapters.model_folder import load_folder


@cache
def _folder() -> Path:
    return save(Path(tempfile.mkdtemp()))


def tiny_model(*, fails: bool = False) -> LanguageModelRecommender:
    """The model; with `fails`, batches of fewer than 32 generated texts raise."""
    model = load_folder(_folder(), world())
    assert isinstance(model, LanguageModelRecommender)
    if fails:
        generate = model.generate

        def failing(prompts, **options):
            if len(prompts) < 32:
                raise RuntimeError("the service is overloaded")
            return generate(prompts, **options)

        model.generate = failing
    return model


def women_like_other_items() -> Dataset:
    """Histories of women have the odd items and those of men the even ones."""
    rows = world().interactions
    items = np.array(rows.item_index)
    for number in range(len(rows.user_ids)):
        own = slice(rows.offsets[number], rows.offsets[number + 1])
        woman = rows.attributes[number]["gender"] == "female"
        items[own] = items[own] // 2 * 2 + woman
    return Dataset(world().catalog, dataclasses.replace(rows, item_index=items))
