"""Weights of training targets by item group, from each group's exposure in the base model's lists.

A group with more exposure than its share of the histories gets a smaller weight, and vice versa:
GH(g) is the share of group g in the training histories, GP(g) its share in the base model's top-10
lists for the same users. Source: modeled on IFairLRS (Jiang et al. 2024); the formula differs, so
results are not numerically equal.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError
from auditkit.recommenders.adapters.list_recommender import LanguageModelRecommender
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.wrappers.item_groups import ItemGroups, group_items
from auditkit.training.recipe import TrainingRecipe
from auditkit.training.rows.history_sampling import training_histories
from auditkit.types import Item, Request

__all__ = ["group_weights", "target_weights"]

_CUTOFF, _BATCH = 10, 64
_LEAST, _MOST = 0.2, 5.0


def group_weights(
    history_share: ArrayLike, exposure_share: ArrayLike, *, gamma: float
) -> NDArray[np.float64]:
    """Compute group weights clip((GH / GP) ** gamma, 0.2, 5); 5 for a group without exposure.

    Args:
        history_share, exposure_share: GH and GP of each group, in [0, 1], [groups].
        gamma: strength; 0 gives all groups with exposure the same weight.
    """
    supported, shown = np.asarray(history_share, float), np.asarray(exposure_share, float)
    ratio = np.divide(supported, shown, out=np.full(len(shown), np.inf), where=shown > 0)
    return np.where(shown > 0, np.clip(ratio**gamma, _LEAST, _MOST), _MOST)


def target_weights(
    recipe: TrainingRecipe, dataset: Dataset, base: Path | None, holdout: Collection[int]
) -> NDArray[np.float64] | None:
    """Compute target weights [catalog items] with mean 1 over the training interactions.

    An item of several groups gets the mean of their weights. The weights are deterministic, so a
    resumed run computes the same weights. The result is None for a recipe without reweighting.
    """
    wanted = recipe.data.reweighting
    if wanted is None or base is None:
        return None
    everybody = enumerate(training_histories(dataset, fit=recipe.data.fit))
    histories = [items for user, items in everybody if user not in holdout]
    groups = group_items(dataset, wanted.groups, histories)
    by_group = group_weights(
        groups.history_share, _exposure(base, dataset, histories, groups), gamma=wanted.gamma
    )
    parts = np.array([groups.membership[item.id] for item in dataset.catalog.items])
    weights = np.where(parts.any(axis=1), parts @ by_group, 1.0)  # 1 for an item without a group
    return np.asarray(weights / np.mean(np.concatenate([weights[own] for own in histories])))


def _exposure(
    base: Path, dataset: Dataset, histories: list[NDArray[np.int32]], groups: ItemGroups
) -> NDArray[np.float64]:
    """Return each group's share of all positions in the base's lists for audit requests,
    [groups].
    """
    recommender = load_folder(base, dataset)
    if not isinstance(recommender, LanguageModelRecommender):
        raise ConfigurationError(
            "data.reweighting needs a model.base that recommends lists. Choose another base."
        )
    items = [Item(entry.id, entry.display_title) for entry in dataset.catalog.items]
    asked = [Request(history=tuple(items[row] for row in own), k=_CUTOFF) for own in histories]
    asked = [replace(request, prompt=recommender.render(request)) for request in asked]
    room = np.zeros(len(groups.names))
    for begin in range(0, len(asked), _BATCH):
        for answer in recommender.recommend(asked[begin : begin + _BATCH]):
            room += sum(groups.membership[item.item_id or ""] for item in answer.items)
    return np.asarray(room / max(1.0, float(room.sum())))
