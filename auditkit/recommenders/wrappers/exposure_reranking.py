"""Re-rank lists by exposure, to limit how far an item group exceeds its share of the histories.

The algorithm is greedy: each position gets the item with the largest min-max normalized score minus
`weight` times the excess of its group's share of the list over the group's share of all histories.
Source: modeled on IFairLRS (Jiang et al. 2024) with a different formula, so results are not
numerically equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument, TargetError
from auditkit.recommenders.protocols import RawResponse, Recommends
from auditkit.recommenders.wrappers.delegation import OF_LISTS, offer
from auditkit.recommenders.wrappers.item_groups import ItemGroups
from auditkit.types import Request, Response

__all__ = ["Reranked", "rerank"]

_CANDIDATES = 5  # times k


def rerank(
    scores: ArrayLike,
    membership: ArrayLike,
    history_share: ArrayLike,
    *,
    weight: float,
    k: int,
) -> list[int]:
    """Choose k items greedily by score and exposure.

    Args:
        scores: [n] scores of the candidates in their original order. A score that is NaN or above
            the previous one is replaced by the previous one, so `weight` 0 returns the original
            order. Items from the first -inf on are appended unchanged; +inf counts as the largest
            finite score.
        membership: [n, groups] fraction of each item in each group; rows sum to 1, or to 0 for an
            item without a known group.
        history_share: [groups] share of the users' histories, GH(g).
        weight: lambda, at least 0.

    Returns:
        min(n, k) candidate indices, best first.

    Raises:
        InvalidArgument: a negative weight.
    """
    if weight < 0:
        raise InvalidArgument(f"rerank got the weight {weight}. Give at least 0.")
    stated = np.asarray(scores, dtype=np.float64)
    falling = np.minimum.accumulate(np.where(np.isnan(stated), np.inf, stated))
    own = falling[falling > -np.inf]
    finite = own[np.isfinite(own)]
    own = np.minimum(own, finite[0] if len(finite) else 0.0)
    parts = np.asarray(membership, dtype=np.float64)[: len(own)]
    supported = np.asarray(history_share, dtype=np.float64)
    spread = own[0] - own[-1] if len(own) else 0.0
    relevance = (own - own[-1]) / spread if spread > 0 else np.zeros(len(own))
    left, listed, order = np.ones(len(own), dtype=bool), np.zeros(len(supported)), []
    for place in range(min(k, len(own))):
        share = (listed + parts) / (place + 1)
        excess = (parts * np.maximum(0, share - supported)).sum(axis=1)
        value = np.where(left, relevance - weight * excess, -np.inf)
        chosen = int(np.argmax(value))  # ties by original rank
        order.append(chosen)
        left[chosen] = False
        listed += parts[chosen]
    return [*order, *range(len(own), min(k, len(falling)))]


class Reranked:
    """Re-ranks lists that are requested with five times as many items.

    It provides only lists, because re-ranking does not apply to texts and log-probabilities.

    Args:
        weight: lambda; 0 keeps the original order.
    """

    def __init__(self, name: str, inner: Recommends, groups: ItemGroups, *, weight: float) -> None:
        self.name = name
        self._inner, self._groups, self._weight = inner, groups, weight
        offer(self, inner, as_they_are=OF_LISTS, changed={})

    def recommend(self, requests: Sequence[Request]) -> list[RawResponse]:
        """Request 5 k items per list, re-rank them and return the best k.

        Raises:
            TargetError: the wrapped recommender returned no list, or items without scores.
        """
        wider = [replace(request, k=_CANDIDATES * request.k) for request in requests]
        answers = self._inner.recommend(wider)
        return [self._reordered(r, answer) for r, answer in zip(requests, answers, strict=True)]

    def _reordered(self, request: Request, answer: RawResponse) -> RawResponse:
        if isinstance(answer, Response) and not answer.items:
            return answer
        items = answer.items if isinstance(answer, Response) else ()
        scores = [item.score for item in items if item.score is not None]
        if not isinstance(answer, Response) or len(scores) < len(items):
            raise TargetError(
                "wrong_type", detail="re-ranking needs lists whose items have a score"
            )
        order = rerank(
            scores,
            self._membership([item.item_id for item in items]),
            self._groups.history_share,
            weight=self._weight,
            k=request.k,
        )
        return replace(answer, items=tuple(items[i] for i in order))

    def _membership(self, ids: Sequence[str | None]) -> NDArray[np.float64]:
        """Group membership [items, groups]; an item that is not in the data set belongs to no
        group.
        """
        none = np.zeros(len(self._groups.history_share))
        return np.array([self._groups.membership.get(one or "", none) for one in ids])
