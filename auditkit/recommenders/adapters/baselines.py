"""Baseline recommenders without a neural network, as references for utility and exposure.

They can be audited like any other recommender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.errors import TargetUnavailable, did_you_mean
from auditkit.recommenders.adapters.classic_scorers import (
    Scorer,
    best_rows,
    ease,
    item_knn,
    item_knn_recent,
    popularity,
    transition_counts,
)
from auditkit.recommenders.adapters.text_retriever import TextRetriever
from auditkit.seeding import generator
from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import Item, RankedItem, Request, Response

__all__ = ["BASELINES", "BaselineRecommender", "load_baseline"]


class BaselineRecommender:
    """Ranks the catalog by scores computed from the history; never recommends a history item.

    Args:
        name: name of the baseline, such as `baseline:popularity`.
        scorer: function (request, history as catalog rows) -> scores [items]; higher is better.
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
        """Return the best k items outside the history for each request; ties keep catalog order."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Response:
        catalog = self._dataset.catalog
        history = _rows(catalog, request.history)
        scores = np.asarray(self._scorer(request, history), dtype=np.float64)
        if request.candidates is None:
            best = best_rows(scores, k=request.k, without=history)
        else:
            candidates = sorted(set(_rows(catalog, request.candidates)) - set(history))
            order = np.argsort(-scores[candidates], kind="stable")[: request.k]
            best = np.array(candidates, dtype=np.int64)[order]
        items = tuple(
            RankedItem(
                raw=catalog.items[row].display_title,
                item_id=catalog.items[row].id,
                score=float(scores[row]),
            )
            for row in best
        )
        return Response(request_id=request.id, status="ok" if items else "no_answer", items=items)


def _rows(catalog: Catalog, items: Sequence[Item]) -> list[int]:
    return [catalog.index[item.id] for item in items if item.id in catalog.index]


Baseline = BaselineRecommender | TextRetriever


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


def _transitions(dataset: Dataset) -> Scorer:
    """Transition counts of the histories without the last two items."""
    items, offsets = dataset.interactions.histories(until="validation")
    return transition_counts(items, offsets, n_items=len(dataset.catalog.items))


BASELINES: Mapping[str, Callable[[str, Dataset], Baseline]] = MappingProxyType(
    {
        "popularity": _fitted(lambda data: popularity(data.interactions.matrix(until="test"))),
        "item-knn": _fitted(lambda data: item_knn(data.interactions.matrix(until="test"))),
        "item-knn-recent": _fitted(
            lambda data: item_knn_recent(data.interactions.matrix(until="test"))
        ),
        "ease": _fitted(lambda data: ease(data.interactions.matrix(until="test"))),
        "transitions": _fitted(_transitions),
        "random": _random,
        "bm25": TextRetriever,
    }
)


def load_baseline(name: str, dataset: Dataset) -> Baseline:
    """Fit a baseline on all interactions except the test items (transition counts also omit the
    validation items).

    Raises:
        TargetUnavailable: `name` is not a known baseline.
        InvalidArgument: the baseline is EASE and the catalog has more items than EASE supports.
    """
    if name not in BASELINES:
        raise TargetUnavailable(
            f"unknown baseline {name!r}.{did_you_mean(name, BASELINES)} Known: "
            f"{', '.join(BASELINES)}."
        )
    return BASELINES[name](f"baseline:{name}", dataset)
