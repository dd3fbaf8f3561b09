"""BM25 retrieval: rank the catalog by the words that a query shares with titles and facts.

The query is the prompt of a request, so a search engine can be audited by itself, or follow a stage
that writes queries in a pipeline. The text of an item is its title and its labeled facts, such as
genres, brands and authors.

Source: Robertson & Zaragoza 2009, with the Lucene variant of bm25s (k1 = 1.5, b = .75); bm25s 0.3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.dataset import Dataset
from auditkit.errors import MissingDependency
from auditkit.recommenders.adapters.classic_scorers import best_rows
from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import RankedItem, Request, Response

if TYPE_CHECKING:
    import bm25s

__all__ = ["TextRetriever"]

_WORD = re.compile(r"\w+")


class TextRetriever:
    """Ranks catalog items by BM25 of the prompt; excludes the history.

    Args:
        name: name of the target, such as `baseline:bm25`. dataset: provides the catalog, which is
            indexed on first use.
    """

    reads_prompt = True

    def __init__(self, name: str, dataset: Dataset) -> None:
        self.name = name
        self._dataset = dataset

    def fingerprint(self) -> str:
        """SHA-256 of the name and of the data set."""
        return sha256_json([self.name, self._dataset.fingerprint])

    def recommend(self, requests: Sequence[Request]) -> list[Response]:
        """Return the best k items for every request, among its candidates or, without candidates,
        among all items outside the history. Only items that share a word with the prompt are
        listed; ties rank in catalog order.
        """
        return [self._answer(request) for request in requests]

    def scores(self, query: str) -> NDArray[np.float64]:
        """BM25 scores of a query for every catalog item, [items], at least 0."""
        words = [word for word in _words(query) if word in self._index.vocab_dict]
        if not words:
            return np.zeros(len(self._dataset.catalog.items))
        return np.asarray(self._index.get_scores(words), dtype=np.float64)

    def _answer(self, request: Request) -> Response:
        catalog = self._dataset.catalog
        seen = [catalog.index[one.id] for one in request.history if one.id in catalog.index]
        scores = self.scores(request.prompt)
        if request.candidates is not None:
            chosen = [
                catalog.index[one.id] for one in request.candidates if one.id in catalog.index
            ]
            only = np.zeros_like(scores)
            only[chosen] = scores[chosen]
            scores = only
        items = tuple(
            RankedItem(
                raw=catalog.items[row].display_title,
                item_id=catalog.items[row].id,
                link="id",
                score=float(scores[row]),
            )
            for row in best_rows(scores, k=request.k, without=seen)
            if scores[row] > 0
        )
        return Response(request_id=request.id, status="ok" if items else "no_answer", items=items)

    @cached_property
    def _index(self) -> bm25s.BM25:
        try:
            import bm25s
        except ImportError as error:
            raise MissingDependency("bm25s", extra="graph", purpose=self.name) from error
        index = bm25s.BM25()
        index.index(
            [_words(text) for text in item_texts(self._dataset.catalog)], show_progress=False
        )
        return index


def item_texts(catalog: Catalog) -> list[str]:
    """Title and labeled facts of every item, in catalog order."""
    graph = catalog.graph
    labeled = [predicate.name for predicate in graph.predicates if predicate.labeled]
    return [
        " ".join(
            [item.display_title, *(v for name in labeled for v in graph.values(item.id, name))]
        )
        for item in catalog.items
    ]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
