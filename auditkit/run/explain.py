"""Explain one user's recommendation, without an audit: list, attribution, card.

Nothing is recorded: the run log is in a temporary folder. The request is the user's neutral one, as
in an audit, with the part of the history that the prompt shows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from auditkit.attribution.captum_methods import CaptumMethod
from auditkit.attribution.estimators import Estimator
from auditkit.attribution.explanation import Explanation, Settings, explain
from auditkit.attribution.missing import Missing
from auditkit.attribution.spans import spans_of
from auditkit.attribution.values import Game
from auditkit.catalog.dataset import Dataset
from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.evidence.run_log import RunLog
from auditkit.probes.base import User, load_users, neutral_request
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.recommenders.protocols import Recommends, Scores, Works
from auditkit.run.data import load_data
from auditkit.run.opened import deadline_of, opened_recommender
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.types import Item, RankedItem, Request

__all__ = ["ExplainOptions", "UserExplanation", "explain_user"]

_RUN_KEY = "0" * 64
_K = 10


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """What to explain and how.

    Attributes:
        item_id: catalog id of the item to explain; None for the first of the list.
        estimator: the explainer. budget: its evaluations; None for the default.
        n_spans: number of single history items; older items are one span.
        captum: methods of Captum to compare with. seed: of masks and orders.
    """

    item_id: str | None = None
    estimator: Estimator = "linear"
    budget: int | None = None
    n_spans: int = 10
    captum: tuple[CaptumMethod, ...] = ()
    seed: int = 0


@dataclass(frozen=True, eq=False)
class UserExplanation:
    """One user's list and the explanation of one of its items.

    Attributes:
        target: name of the recommender. user_id: as in the data.
        listed: the list, best first. item: the explained item. rank: from 1; None if not listed.
        explanation: attribution and card, or why there is none.
        unit: of the effects. coarse: the recommender has no scores, so ranks were explained.
        seconds: wall time of loading, of the list and of the explanation.
        tokens: computed tokens by step; None if the recommender does not count them.
    """

    target: str
    user_id: str
    listed: tuple[RankedItem, ...]
    item: Item
    rank: int | None
    explanation: Explanation | Missing
    unit: str
    coarse: bool
    seconds: Mapping[str, float]
    tokens: Mapping[str, int] | None


def explain_user(
    target: str,
    user_id: str,
    recipe: AuditRecipe,
    *,
    how: ExplainOptions = ExplainOptions(),
    options: AuditOptions = AuditOptions(),
) -> UserExplanation:
    """Load a recommender, get one user's list and explain one item.

    Args:
        target: as for `run_audit`. recipe: names the data. options: catalog and what code may do.

    Raises:
        ConfigurationError: no such user or item, or an empty list.
        TargetUnavailable: the recommender cannot be loaded.
    """
    started = time.monotonic()
    dataset, catalog = load_data(
        recipe,
        catalog=options.catalog,
        domain=options.domain,
        allow_outside=options.allow_outside,
    )
    with (
        opened_recommender(target, recipe, dataset, options) as loaded,
        tempfile.TemporaryDirectory() as folder,
    ):
        log = RunLog(Path(folder), _RUN_KEY)
        with (
            closing(log),
            closing(
                Target(
                    loaded.recommender,
                    catalog=catalog,
                    log=log,
                    seed=how.seed,
                    fingerprint=loaded.fingerprint,
                    prompts=loaded.prompts,
                    batch_size=recipe.batch_size,
                    seconds=deadline_of(loaded, options),
                )
            ) as asked,
        ):
            found = _explained(asked, loaded, _user(dataset, user_id), how, started)
    return found


def _explained(
    target: Target, loaded: LoadedRecommender, user: User, how: ExplainOptions, started: float
) -> UserExplanation:
    name = str(getattr(loaded.recommender, "name", "the recommender"))
    if not isinstance(loaded.recommender, Recommends):
        raise ConfigurationError(
            f"{name} returns no lists, so there is nothing to explain. Use a recommender with "
            "lists, or the capability `Recommends`."
        )
    ready, work = time.monotonic(), _tokens(loaded.recommender)
    request = neutral_request(user, k=_K)
    (response,) = target.recommend([request])
    listed, between = time.monotonic(), _tokens(loaded.recommender)
    item, rank = _item(target, response.items, how.item_id, user)
    scored = isinstance(loaded.recommender, Scores)
    shown = _shown(request, loaded)
    game = Game(
        shown,
        spans_of(shown, most=how.n_spans),
        (item,),
        source="logp" if scored else "reciprocal_rank",
    )
    settings = Settings(
        estimator=how.estimator,
        budget=how.budget,
        value="logp" if scored else "reciprocal_rank",
        n_orders=8,
        gradients=scored,
        captum=how.captum,
    )
    (explanation,) = explain(target, [game], settings=settings, seed=how.seed)
    done, after = time.monotonic(), _tokens(loaded.recommender)
    return UserExplanation(
        target=name,
        user_id=user.id,
        listed=tuple(response.items),
        item=item,
        rank=rank,
        explanation=explanation,
        unit="nats" if scored else "reciprocal rank",
        coarse=not scored,
        seconds={
            "loading": ready - started, "list": listed - ready, "explanation": done - listed,
        },
        tokens=None
        if work is None or between is None or after is None
        else {"list": between - work, "explanation": after - between},
    )  # fmt: skip


def _tokens(recommender: object) -> int | None:
    counts = recommender.work() if isinstance(recommender, Works) else {}
    return counts.get("tokens_forwarded")


def _user(dataset: Dataset, user_id: str) -> User:
    ids = list(dataset.interactions.user_ids)
    if user_id not in ids:
        raise ConfigurationError(
            f"the data have no user {user_id!r}.{did_you_mean(user_id, ids)} Give an id of the "
            f"data set, such as {ids[0]!r}."
        )
    return load_users(dataset)[ids.index(user_id)]


def _item(
    target: Target, listed: tuple[RankedItem, ...], item_id: str | None, user: User
) -> tuple[Item, int | None]:
    """The item to explain and its rank."""
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


def _shown(request: Request, loaded: LoadedRecommender) -> Request:
    """The request with the part of the history that the prompt shows, so that removing an item does
    not bring in an older one.
    """
    decoding = loaded.manifest.get("decoding")
    window = decoding.get("history_window") if isinstance(decoding, dict) else None
    return (
        replace(request, history=request.history[-window:]) if isinstance(window, int) else request
    )
