"""Explain one user's recommendation outside an audit: list, attribution and faithfulness card.

Nothing is recorded: the run log is in a temporary folder. The request is the user's neutral
request, as in an audit, with the part of the history that the prompt shows.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from auditkit.attribution.captum_methods import CaptumMethod
from auditkit.attribution.estimators import Estimator
from auditkit.attribution.explanation import Explanation, Settings, explain
from auditkit.attribution.missing import Missing
from auditkit.attribution.spans import spans_of
from auditkit.attribution.token_map import TokenMap, token_map, token_texts
from auditkit.attribution.values import Game
from auditkit.evidence.run_log import RunLog
from auditkit.probes.base import User, neutral_request
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.recommenders.protocols import Recommends, Scores, Works
from auditkit.run.data import load_data
from auditkit.run.explained_item import (
    explained_item,
    require_explainable,
    shown_request,
    user_of,
)
from auditkit.run.opened import deadline_of, opened_recommender
from auditkit.run.options import AuditOptions
from auditkit.run.recipe import AuditRecipe
from auditkit.types import Item, RankedItem

__all__ = ["ExplainOptions", "UserExplanation", "explain_user"]

_RUN_KEY = "0" * 64
_K = 10


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """Options of an explanation.

    Attributes:
        item_id: catalog id of the item to explain; None for the first of the list.
        estimator: name of the attribution estimator.
        budget: number of evaluations of the estimator; None for its default.
        n_spans: number of latest history items that are one span each; all older items are one
            span.
        captum: names of Captum methods to compare with.
        seed: seed of the masks and orders.
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
        target: name of the recommender.
        user_id: user id in the data.
        listed: the user's list, best first.
        item: the explained item.
        rank: rank of the item in the list, from 1; None if it is not listed.
        explanation: attribution and card, or the reason why there is none.
        by_token: effects by token of the item's title, or the reason why there are none.
        unit: unit of the effects.
        coarse: whether ranks were explained because the recommender has no scores.
        seconds: wall time by step: loading, list and explanation.
        tokens: number of processed tokens by step; None if the recommender does not count them.
    """

    target: str
    user_id: str
    listed: tuple[RankedItem, ...]
    item: Item
    rank: int | None
    explanation: Explanation | Missing
    by_token: TokenMap | Missing
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
        target: TARGET argument, as for `run_audit`.
        user_id: id of the user in the data.
        recipe: recipe that names the data.
        how: item, estimator and budget.
        options: catalog, and permissions of code.

    Raises:
        ConfigurationError: the user or item does not exist, the list is empty, the recommender
            returns no lists and no item is named, or the results are stored, so that no removal
            changes them.
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
            found = _explained(asked, loaded, user_of(dataset, user_id), how, started)
    return found


def _explained(
    target: Target, loaded: LoadedRecommender, user: User, how: ExplainOptions, started: float
) -> UserExplanation:
    name = str(getattr(loaded.recommender, "name", "the recommender"))
    require_explainable(target, name, how.item_id)
    ready, work = time.monotonic(), _tokens(loaded.recommender)
    request = neutral_request(user, k=_K)
    found = target.recommend([request]) if isinstance(loaded.recommender, Recommends) else []
    items = tuple(item for response in found for item in response.items)
    listed, between = time.monotonic(), _tokens(loaded.recommender)
    item, rank = explained_item(target, items, how.item_id, user)
    scored = isinstance(loaded.recommender, Scores)
    shown = shown_request(request, loaded)
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
    if isinstance(explanation, Missing):
        explanation = _with_cause(explanation, game)
    done, after = time.monotonic(), _tokens(loaded.recommender)
    return UserExplanation(
        target=name,
        user_id=user.id,
        listed=items,
        item=item,
        rank=rank,
        explanation=explanation,
        by_token=_by_token(target, explanation, item),
        unit="nats" if scored else "reciprocal rank",
        coarse=not scored,
        seconds={
            "loading": ready - started, "list": listed - ready, "explanation": done - listed,
        },
        tokens=None
        if work is None or between is None or after is None
        else {"list": between - work, "explanation": after - between},
    )  # fmt: skip


def _by_token(target: Target, one: Explanation | Missing, item: Item) -> TokenMap | Missing:
    if isinstance(one, Missing):
        return one
    return token_map(one, token_texts(target.recommender, one.game.request, item))


def _with_cause(missing: Missing, game: Game) -> Missing:
    """Add the most frequent error of the requests to the reason; unchanged if no request failed."""
    failures = Counter(row.reason for row in game.rows.values() if row.reason is not None)
    if not failures:
        return missing
    ((cause, n),) = failures.most_common(1)
    return Missing(
        f"{missing.reason}; {n} of {len(game.rows)} requests failed with `{cause}`. Run `auditkit "
        "doctor TARGET` to see one response"
    )


def _tokens(recommender: object) -> int | None:
    counts = recommender.work() if isinstance(recommender, Works) else {}
    return counts.get("tokens_forwarded")
