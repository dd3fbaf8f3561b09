"""The user, the item and the request that `auditkit explain` explains."""

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
    """Reject recommenders whose results no removal can change, and scorers without an item to
    score.

    Args:
        target: the recommender.
        name: name of the recommender, for messages.
        item_id: catalog id of the item; None for the first item of the list.

    Raises:
        ConfigurationError: the results are stored, the recommender returns no lists and no scores,
            or it returns only scores and no item is named.
    """
    if not target.reads_history:
        raise ConfigurationError(f"{name} cannot be explained: {STORED}.")
    if isinstance(target.recommender, Recommends):
        return
    if not isinstance(target.recommender, Scores):
        raise ConfigurationError(
            f"{name} returns no lists and no scores, so there is nothing to explain. Use a "
            "recommender with recommend() or score()."
        )
    if item_id is None:
        raise ConfigurationError(
            f"{name} returns no lists, so there is no first item. Name an item with --item to "
            "explain its score."
        )


def user_of(dataset: Dataset, user_id: str) -> User:
    """Return the user with an id.

    Raises:
        ConfigurationError: the data have no user with this id.
    """
    ids = list(dataset.interactions.user_ids)
    if user_id not in ids:
        raise ConfigurationError(
            f"the data have no user {user_id!r}.{did_you_mean(user_id, ids)} Give a user id of "
            f"the data set, such as {ids[0]!r}."
        )
    return load_users(dataset)[ids.index(user_id)]


def explained_item(
    target: Target, listed: tuple[RankedItem, ...], item_id: str | None, user: User
) -> tuple[Item, int | None]:
    """Return the item to explain, and its rank in the list, from 1, or None if it is not listed.

    Args:
        target: the recommender.
        listed: the user's list, best first.
        item_id: catalog id of the item; None for the first listed catalog item.
        user: the user, for messages.

    Raises:
        ConfigurationError: the named item is not in the catalog, or no item is named and no listed
            item is in the catalog.
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
            f"the catalog has no item {item_id!r}.{did_you_mean(item_id, known)} Give the id of a "
            "catalog item."
        )
    return Item(item_id, target.catalog[item_id].display_title), ranks.get(item_id)


def shown_request(request: Request, loaded: LoadedRecommender) -> Request:
    """Cut the history of a request to the items that the prompt shows.

    Otherwise, removing an item would bring an older item into the prompt.
    """
    decoding = loaded.manifest.get("decoding")
    window = decoding.get("history_window") if isinstance(decoding, dict) else None
    return (
        replace(request, history=request.history[-window:]) if isinstance(window, int) else request
    )
