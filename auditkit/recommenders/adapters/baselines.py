"""Baseline recommenders without a neural network, as references for utility and exposure.

They can be audited like any other recommender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.dataset import Dataset
from auditkit.errors import TargetUnavailable, did_you_mean
from auditkit.recommenders.adapters.classic_scorers import (
    Scorer,
    ease,
    item_knn,
    item_knn_recent,
    popularity,
    transition_counts,
)
from auditkit.seeding import generator
from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import RankedItem, Request, Response

__all__ = ["BASELINES", "BaselineRecommender", "load_baseline"]


class BaselineRecommender:
    """Ranks the catalog by the scores that a function computes from the history; excludes the
    history.

    Args:
        name: of the baseline, such as `baseline:popularity`.
        scorer: (request, history as catalog rows) -> scores over the catalog; higher is better.
    """

    reads_prompt = False

    def __init__(
        self,
        name: str,
        dataset: Dataset,
        scorer: Callable[[Request, Sequence[int]], NDArray[np.float64]],
    ) -> None:
        self.name = name
        self._dataset, self._scorer = dataset, scorer

    def fingerprint(self) -> str:
        """SHA-256 of the name and of the data set."""
        return sha256_json([self.name, self._dataset.fingerprint])

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """The best k items outside the history for every request; ties rank in catalog order."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Response:
        catalog = self._dataset.catalog
        history = [catalog.index[item.id] for item in request.history if item.id in catalog.index]
        scores = np.asarray(self._scorer(request, history), dtype=np.float64)
        allowed = np.ones(len(scores), dtype=bool)
        if request.candidates is not None:
            allowed[:] = False
            allowed[
                [catalog.index[item.id] for item in request.candidates if item.id in catalog.index]
            ] = True
        allowed[history] = False
        order = np.argsort(-scores, kind="stable")
        best = order[allowed[order]][: request.k]
        items = tuple(
            RankedItem(
                raw=catalog.items[row].display_title,
                item_id=catalog.items[row].id,
                score=float(scores[row]),
            )
            for row in best
        )
        return Response(request_id=request.id, status="ok" if items else "no_answer", items=items)


def _fitted(fit: Callable[[Dataset], Scorer]) -> Callable[[str, Dataset], BaselineRecommender]:
    def build(name: str, dataset: Dataset) -> BaselineRecommender:
        scorer = fit(dataset)
        return BaselineRecommender(name, dataset, lambda _, history: scorer(history))

    return build


def _random(name: str, dataset: Dataset) -> BaselineRecommender:
    """The random baseline: each list depends only on the id of its request."""
    size = len(dataset.catalog.items)
    return BaselineRecommender(
        name, dataset, lambda request, _: generator(request.seed, name).random(size)
    )


def _sequences(dataset: Dataset) -> list[NDArray[np.int32]]:
    """Histories without the last two items, on which the transition baseline is fitted."""
    interactions = dataset.interactions
    users = range(len(interactions.user_ids))
    return [interactions.history(user, until="validation") for user in users]


BASELINES: Mapping[str, Callable[[str, Dataset], BaselineRecommender]] = MappingProxyType(
    {
        "popularity": _fitted(lambda data: popularity(data.interactions.matrix(until="test"))),
        "item-knn": _fitted(lambda data: item_knn(data.interactions.matrix(until="test"))),
        "item-knn-recent": _fitted(
            lambda data: item_knn_recent(data.interactions.matrix(until="test"))
        ),
        "ease": _fitted(lambda data: ease(data.interactions.matrix(until="test"))),
        "transitions": _fitted(
            lambda data: transition_counts(_sequences(data), n_items=len(data.catalog.items))
        ),
        "random": _random,
    }
)


def load_baseline(name: str, dataset: Dataset) -> BaselineRecommender:
    """Fit a baseline without the test items (transition counts also omit the validation items).

    Raises:
        TargetUnavailable: unknown name.
    """
    if name not in BASELINES:
        raise TargetUnavailable(
            f"unknown baseline {name!r}.{did_you_mean(name, BASELINES)} Known: "
            f"{', '.join(BASELINES)}."
        )
    return BASELINES[name](f"baseline:{name}", dataset)
