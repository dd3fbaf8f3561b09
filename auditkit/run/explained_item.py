"""What `auditkit explain` explains: the user, the item and the request as the prompt shows it."""

from __future__ import annotations

from dataclasses import replace

from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.probes.base import User, load_users
from auditkit.probes.explanation.top_items import STORED
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.recommenders.protocols import Recommends, Scores
from auditkit.types import Item, RankedItem, Request

__all__ = ["explained_item", "require_explainable", "shown_request", "user_of"]


def require_explainable(target: Target, name: str, item_id: str | None) -> None:
    """Reject what no removal can change, and a scorer without an item to score.

    Args:
        name: of the recommender. item_id: catalog id of the item; None for the first of the list.

    Raises:
        ConfigurationError: stored results, neither lists nor scores, or scores without an item.
    """
    if not target.reads_history:
        raise ConfigurationError(f"{name} cannot be explained: {STORED}.")
    if isinstance(target.recommender, Recommends):
        return
    if not isinstance(target.recommender, Scores):
        raise ConfigurationError(
            f"{name} returns neither lists nor scores, so there is nothing to explain. Use a "
            "recommender with recommend() or score()."
        )
    if item_id is None:
        raise ConfigurationError(
            f"{name} returns no lists, so there is no first item. Name the item whose score is to "
            "be explained with --item."
        )


def user_of(dataset: Dataset, user_id: str) -> User:
    """The user with an id.

    Raises:
        ConfigurationError: the data have no such user.
    """
    ids = list(dataset.interactions.user_ids)
    if user_id not in ids:
        raise ConfigurationError(
            f"the data have no user {user_id!r}.{did_you_mean(user_id, ids)} Give an id of the "
            f"data set, such as {ids[0]!r}."
        )
    return load_users(dataset)[ids.index(user_id)]


def explained_item(
    target: Target, listed: tuple[RankedItem, ...], item_id: str | None, user: User
) -> tuple[Item, int | None]:
    """The item to explain and its rank, from 1; None if it is not listed.

    Args:
        listed: the user's list, best first. item_id: catalog id; None for the first listed item.

    Raises:
        ConfigurationError: no item of the list is in the catalog, or the item is not.
    """
    ranks = {one.item_id: rank for rank, one in reversed(list(enumerate(listed, start=1)))}
    if item_id is None:
        first = next((one.item_id for one in listed if one.item_id is not None), None)
        if first is None:
            raise ConfigurationError(
                f"the list of user {user.id!r} has no item of the catalog. Name an item with "
                "--item."
            )
        item_id = first
    if item_id not in target.catalog.index:
        known = list(target.catalog.index)
        raise ConfigurationError(
            f"the catalog has no item {item_id!r}.{did_you_mean(item_id, known)} Give a catalog id."
        )
    return Item(item_id, target.catalog[item_id].display_title), ranks.get(item_id)


def shown_request(request: Request, loaded: LoadedRecommender) -> Request:
    """The request with the part of the history that the prompt shows, so that removing an item does
    not bring in an older one.
    """
    decoding = loaded.manifest.get("decoding")
    window = decoding.get("history_window") if isinstance(decoding, dict) else None
    return (
        replace(request, history=request.history[-window:]) if isinstance(window, int) else request
    )
