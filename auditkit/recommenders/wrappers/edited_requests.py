"""A wrapper that edits requests before a recommender reads them.

The run log contains the original requests and the recommender reads the edited requests, so the
same probe can measure the recommender with and without the edit. The wrapper does not give access
to the model (`Differentiable`, `Constrains`), because gradients and constrained decoding would
bypass the edit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from auditkit.recommenders.protocols import (
    ItemQuestion,
    Operation,
    RawResponse,
    RawTurn,
    TokenScores,
)
from auditkit.recommenders.wrappers.delegation import offer
from auditkit.types import Item, Request, Response

__all__ = ["EditedRequests"]

_AS_THEY_ARE = (
    "prompts", "render", "reference", "describe_prompt", "manifest", "reads_prompt",
    "reads_history", "work", "run_notes", "close", "request_limits", "n_parameters", "stages",
    "score_parameters",
)  # fmt: skip


class EditedRequests:
    """A recommender with edited requests.

    Args:
        name: name of the wrapped recommender with the prefix, such as `neutralized:p5-mini`.
        inner: the recommender that reads the edited requests.
        request: function that edits a request, including its rendered prompt, but not its id.
        text: function that edits a text that is not part of a request.
        turn: function that edits a request of a conversation, including its earlier turns; None if
            the edit has no meaning there, so that the wrapped recommender does not converse.
    """

    def __init__(
        self,
        name: str,
        inner: object,
        *,
        request: Callable[[Request], Request],
        text: Callable[[str], str],
        turn: Callable[[Request], Request] | None = None,
    ) -> None:
        self.name = name
        self._inner: Any = inner  # checked by `offer`, name by name
        self._request, self._text, self._turn = request, text, turn
        offer(
            self,
            inner,
            as_they_are=_AS_THEY_ARE,
            changed={
                "recommend": self._recommend,
                "answer": self._answer,
                "item_question": self._item_question,
                "planned_prompt": self._planned_prompt,
                "room": self._room,
                "embed": self._embed,
                "generate": self._generate,
                "score": self._score,
                "rescore": self._rescore,
                "cost": self._cost,
                **({} if turn is None else {"converse": self._converse}),
            },
        )

    # --- requests

    def _recommend(self, requests: Sequence[Request]) -> Sequence[RawResponse]:
        answers: Sequence[RawResponse] = self._inner.recommend([self._request(r) for r in requests])
        return answers

    async def _answer(
        self, operation: Operation, request: Request, parameters: Mapping[str, Any]
    ) -> Response:
        edit = self._turn if operation == "converse" and self._turn else self._request
        response: Response = await self._inner.answer(operation, edit(request), parameters)
        return response

    def _converse(
        self, requests: Sequence[Request], *, tools: Sequence[Mapping[str, Any]]
    ) -> Sequence[RawTurn]:
        edit = self._turn or self._request
        turns: Sequence[RawTurn] = self._inner.converse([edit(r) for r in requests], tools=tools)
        return turns

    def _item_question(
        self, task: str, request: Request, item: Item, *, disliked: Sequence[Item] = ()
    ) -> ItemQuestion | None:
        asked: ItemQuestion | None = self._inner.item_question(
            task, self._request(request), item, disliked=disliked
        )
        return asked

    def _planned_prompt(self, request: Request) -> str:
        prompt: str = self._inner.planned_prompt(self._request(request))
        return prompt

    def _room(self, request: Request) -> int | None:
        room: int | None = self._inner.room(self._request(request))
        return room

    # --- texts

    def _embed(self, texts: Sequence[str]) -> Any:
        return self._inner.embed([self._text(text) for text in texts])

    def _generate(self, prompts: Sequence[str], **how: Any) -> Sequence[str]:
        written: Sequence[str] = self._inner.generate([self._text(p) for p in prompts], **how)
        return written

    def _score(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[TokenScores]]:
        scores: Sequence[Sequence[TokenScores]] = self._inner.score(
            [self._text(prompt) for prompt in prompts], continuations
        )
        return scores

    def _rescore(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[TokenScores]]:
        scores: Sequence[Sequence[TokenScores]] = self._inner.rescore(
            [self._text(prompt) for prompt in prompts], continuations
        )
        return scores

    def _cost(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]]
    ) -> Mapping[str, float]:
        cost: Mapping[str, float] = self._inner.cost(
            [self._text(prompt) for prompt in prompts], continuations
        )
        return cost
