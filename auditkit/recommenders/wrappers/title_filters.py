"""Filter the catalog titles for a request: not consumed, among the candidates, and certain in the
knowledge graph to satisfy the constraints.

This is the variant `trie_filtered` of docs/explain/hallucination-mitigation.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.catalog import Catalog
from auditkit.catalog.graph.knowledge_graph import Constraint
from auditkit.recommenders.protocols import WritesTitles
from auditkit.types import Request, Response

__all__ = ["FilteredTitles"]


class FilteredTitles:
    """A recommender that lists only titles that the request allows, each once.

    Args:
        writer: recommender that writes only display titles of the catalog.
        constraints: constraints of each user's request, by user id.
    """

    def __init__(
        self,
        writer: WritesTitles,
        catalog: Catalog,
        constraints: Mapping[str, Sequence[Constraint]],
    ) -> None:
        self.name = f"{writer.name}, filtered"
        self._writer, self._catalog, self._constraints = writer, catalog, constraints

    def recommend(self, requests: Sequence[Request]) -> Sequence[Response]:
        """Return lists of up to k distinct titles that the request allows."""
        return self._writer.recommend(requests, allowed=self.allowed)

    def allowed(self, request: Request) -> NDArray[np.bool_]:
        """Which titles may be listed, bool [titles]. A title that several items share is excluded
        if one of them is in the history, and allowed if one of them meets the constraints.
        """
        open_titles = np.ones(len(self._writer.titles), bool)
        if request.candidates is not None:
            open_titles &= self._marked([item.id for item in request.candidates])
        constraints = self._constraints.get(request.user_id, ())
        if constraints:
            rows = self._catalog.graph.select(constraints)
            meets = np.zeros(len(open_titles), bool)
            meets[self._column[rows]] = True
            open_titles &= meets
        return open_titles & ~self._marked([item.id for item in request.history])

    def _marked(self, item_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Mask of the titles of these items, bool [titles]; ids outside the catalog are ignored."""
        index = self._catalog.index
        rows = [index[item_id] for item_id in item_ids if item_id in index]
        marked = np.zeros(len(self._writer.titles), bool)
        marked[self._column[rows]] = True
        return marked

    @cached_property
    def _column(self) -> NDArray[np.int64]:
        """For each catalog row, the index of its title among the titles of the writer."""
        places = {title: place for place, title in enumerate(self._writer.titles)}
        return np.array([places[item.display_title] for item in self._catalog.items], np.int64)
