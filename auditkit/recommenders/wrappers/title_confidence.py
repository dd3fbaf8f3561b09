"""Confidence of the recommender in each title of its list.

Confidence is the mean log-probability, in nats, of a title's tokens and of the token that ends it.
Two continuations are scored: the text that preceded the title, and this text with the title; the
tokens that only the second has are those of the title. If the tokens of the first are not a prefix
of the tokens of the second, the title has no separate tokens and no confidence
(docs/explain/hallucination-mitigation.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from auditkit.types import Item, Request, Response

__all__ = ["title_confidences", "title_spans"]

_SAME = 1e-3  # nats per token; tolerance of two scores of the same tokens

Ask = Callable[[Sequence[Request], Sequence[Sequence[str]]], Sequence[Response]]


def title_spans(text: str, titles: Sequence[str]) -> list[tuple[int, int] | None]:
    """Find the span of each title in a text, including the spaces before the title and the
    character after it; None for a title that is not found.
    """
    spans: list[tuple[int, int] | None] = []
    position = 0
    for title in titles:
        start = text.find(title, position)
        if start < 0:
            spans.append(None)
            continue
        position = start + len(title)
        begin = len(text[:start].rstrip(" "))  # a space is part of the token of the next word
        spans.append((begin, min(position + 1, len(text))))
    return spans


def title_confidences(
    requests: Sequence[Request],
    responses: Sequence[Response],
    score: Ask,
    reference: Callable[[Item], str],
) -> list[list[float | None]]:
    """Return the confidence of every item of every response, in nats, at most 0; None if undefined.

    Args:
        requests: requests with rendered prompts. responses: responses with linked items.
        score: returns responses with log-probabilities of continuations in `derived["tokens"]`.
        reference: returns the text of an item, for responses without a text.
    """
    plans = [_Plan(response, reference) for response in responses]
    asked = [i for i, plan in enumerate(plans) if plan.texts]
    scored = score([requests[i] for i in asked], [plans[i].texts for i in asked]) if asked else ()
    tables = dict(zip(asked, scored, strict=True))
    return [
        plan.read(tables[i]) if i in tables and tables[i].status == "ok" else [None] * plan.n_items
        for i, plan in enumerate(plans)
    ]


class _Plan:
    """The continuations to score for one response, and for each item the indices of its two
    continuations.
    """

    def __init__(self, response: Response, reference: Callable[[Item], str]) -> None:
        titles = [item.raw for item in response.items]
        self.n_items = len(titles)
        self._pairs: list[tuple[str, str] | None]
        if response.text is None:
            named = [Item(item.item_id or "", item.raw) for item in response.items]
            self._pairs = [("", reference(item)) for item in named]
        else:
            text = response.text
            self._pairs = [
                None if span is None else (text[: span[0]], text[: span[1]])
                for span in title_spans(text, titles)
            ]
        both = (part for pair in self._pairs if pair for part in pair)
        self.texts = list(dict.fromkeys(part for part in both if part))

    def read(self, response: Response) -> list[float | None]:
        """The confidences, from the token log-probabilities of every continuation."""
        found = cast(list[list[float]], response.derived["tokens"])
        tokens = {"": [], **dict(zip(self.texts, found, strict=True))}
        return [
            None if pair is None else _mean_after(tokens[pair[0]], tokens[pair[1]])
            for pair in self._pairs
        ]


def _mean_after(before: Sequence[float], whole: Sequence[float]) -> float | None:
    """Mean over the tokens that `whole` has after those of `before`; None if `before` is not a
    prefix.
    """
    own = whole[len(before) :]
    same = all(abs(a - b) < _SAME for a, b in zip(before, whole, strict=False))
    return sum(own) / len(own) if own and same and len(whole) > len(before) else None
