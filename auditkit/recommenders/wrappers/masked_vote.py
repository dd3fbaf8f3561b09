"""Lists by a vote over masked copies of the instruction.

Every request is sent as several copies that keep a few words of the instruction, with all slots.
Items are ordered by the number of copies that list them first, then by the sum of 1 / rank. If few
copies exist, all are sent, and `auditkit.metrics.certificate` computes how many words may be
replaced without changing the first item. A request costs as many calls as it has copies.

Source: Zeng et al. 2023 (RanMASK), with removed instead of masked words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Protocol

from auditkit.recommenders.execution.response_checks import check_response, require_one_each
from auditkit.recommenders.prompting.word_masks import WordMasks, words_of
from auditkit.recommenders.protocols import RawResponse, Recommends, Renders
from auditkit.recommenders.wrappers.delegation import OF_LISTS, offer
from auditkit.seeding import generator
from auditkit.types import RankedItem, Request, Response

__all__ = ["KEPT_SHARE", "MaskedVote", "item_key", "tally"]

KEPT_SHARE = 0.2  # of the words


class _Voter(Recommends, Renders, Protocol):
    """What a vote needs: lists, and prompts rendered from an instruction."""


class MaskedVote:
    """Requests lists for masked copies of each request and combines these lists by a vote.

    It provides only lists, because texts and log-probabilities cannot be combined by this vote.

    Args:
        instruction: default wording of requests without an instruction.
        copies: largest number of copies of a request.
    """

    def __init__(self, name: str, inner: _Voter, *, instruction: str, copies: int) -> None:
        self.name = name
        self._inner, self._instruction, self._copies = inner, instruction, copies
        offer(self, inner, as_they_are=OF_LISTS, changed={})

    def recommend(self, requests: Sequence[Request]) -> list[RawResponse]:
        """Request the lists of all copies in one call, and return one combined list per request.

        Raises:
            TargetError: the wrapped recommender returned an invalid response.
        """
        asked = [self._copied(request) for request in requests]
        every = [copy for copies in asked for copy in copies]
        answers = self._inner.recommend(every)
        require_one_each(answers, every)
        left = iter(zip(every, answers, strict=True))
        return [
            self._voted(request, [check_response(*pair) for pair in islice(left, len(copies))])
            for request, copies in zip(requests, asked, strict=True)
        ]

    def _copied(self, request: Request) -> list[Request]:
        instruction = request.instruction or self._instruction
        words = len(words_of(instruction))
        if not words:
            return [request]
        # Masks depend on the number of words only, so an attacker cannot choose them.
        masks = WordMasks.draw(
            words, share=KEPT_SHARE, copies=self._copies, rng=generator(0, "masked vote", words)
        )
        found = []
        for number, text in enumerate(masks.copies(instruction)):
            copy = replace(request, id=f"{request.id}.{number}", instruction=text)
            found.append(replace(copy, prompt=self._inner.render(copy)))
        return found

    @staticmethod
    def _voted(request: Request, responses: Sequence[Response | None]) -> RawResponse:
        lists = [response for response in responses if response and response.status == "ok"]
        if not lists:
            first = next((response for response in responses if response), None)
            return replace(first, request_id=request.id) if first else None
        items = tally([response.items for response in lists])
        return Response(request_id=request.id, status="ok", items=tuple(items[: request.k]))


def tally(lists: Sequence[Sequence[RankedItem]]) -> list[RankedItem]:
    """Rank all items by number of first places, then by sum of 1 / rank, then by first appearance.

    Returns:
        The items, best first. The score of an item is the share of lists that begin with this item.
    """
    first: Counter[str] = Counter()
    weight: defaultdict[str, float] = defaultdict(float)
    seen: dict[str, RankedItem] = {}
    for items in lists:
        for rank, item in enumerate(items, start=1):
            key = item_key(item)
            seen.setdefault(key, item)
            first[key] += rank == 1
            weight[key] += 1 / rank
    order = sorted(seen, key=lambda key: (-first[key], -weight[key]))
    return [replace(seen[key], score=first[key] / len(lists)) for key in order]


def item_key(item: RankedItem) -> str:
    """Identity of an item across lists: its catalog id or, if it has none, its text."""
    return item.item_id or item.raw
