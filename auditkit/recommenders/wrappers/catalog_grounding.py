"""Catalog grounding: drop titles without a unique match in the catalog, and request replacements.

Dropping titles only makes a list shorter. The type of each link is kept, so that titles with an
inexact match ("rescued") can be distinguished from exact matches. The request for replacements
names no catalog titles: prompts with candidate titles are a separate variant
(docs/explain/hallucination-mitigation.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from auditkit.types import Message, RankedItem, Request, Response

__all__ = ["Grounded", "ask_again", "grounded"]

ROUNDS = 2


@dataclass(frozen=True)
class Grounded:
    """A list after grounding.

    Attributes:
        response: contains only linked items; replacements do not repeat an item.
        n_replaced: number of replacements, from further requests.
        turns: all requests and responses of the list, in order.
    """

    response: Response
    n_replaced: int
    turns: tuple[tuple[Request, Response], ...]


def grounded(response: Response) -> Response:
    """The response without its unlinked titles; its status is `no_answer` if no title is left."""
    if response.status != "ok":
        return response
    kept = tuple(item for item in response.items if item.item_id is not None)
    return replace(response, items=kept, status="ok" if kept else "no_answer")


def ask_again(
    requests: Sequence[Request],
    responses: Sequence[Response],
    ask: Callable[[Sequence[Request]], Sequence[Response]],
    *,
    again: str,
    opening: Sequence[Message] = (),
    rounds: int = ROUNDS,
) -> list[Grounded]:
    """Ground lists, and request replacements for dropped titles in a further turn of the
    conversation.

    Args:
        requests: with rendered prompts, as they were sent.
        responses: with linked items; a response whose status is not ok is not changed.
        ask: sends requests and returns responses with linked items.
        again: text of the further request, in which `{n}` is the number of missing titles.
        opening: first turns of every conversation.
        rounds: maximum number of further requests per list.
    """
    found = [
        Grounded(grounded(response), 0, ((request, response),))
        for request, response in zip(requests, responses, strict=True)
    ]
    for _ in range(rounds):
        short = [
            i
            for i, one in enumerate(found)
            if one.turns[-1][1].status == "ok" and len(one.response.items) < requests[i].k
        ]
        further = [_next_turn(requests[i], found[i], again, opening) for i in short]
        answers = ask(further) if further else ()
        for i, turn in zip(short, zip(further, answers, strict=True), strict=True):
            found[i] = _joined(found[i], turn, k=requests[i].k)
    return found


def _next_turn(
    request: Request, so_far: Grounded, again: str, opening: Sequence[Message]
) -> Request:
    turns: list[Message] = list(request.messages or opening)
    for asked, answer in so_far.turns:
        turns += [Message("user", asked.prompt), Message("assistant", _response_text(answer))]
    missing = request.k - len(so_far.response.items)
    prompt = again.replace("{n}", str(missing))
    return replace(request, id="", k=missing, messages=tuple(turns), prompt=prompt)


def _response_text(answer: Response) -> str:
    return (answer.text or "\n".join(item.raw for item in answer.items)).strip()


def _joined(so_far: Grounded, turn: tuple[Request, Response], *, k: int) -> Grounded:
    """The list with the new linked items of a turn appended, up to k items."""
    listed = {item.item_id for item in so_far.response.items}
    new: dict[str | None, RankedItem] = {}
    for item in grounded(turn[1]).items:
        if item.item_id not in listed:
            new.setdefault(item.item_id, item)
    added = tuple(new.values())[: k - len(so_far.response.items)]
    items = (*so_far.response.items, *added)
    response = replace(so_far.response, items=items, status="ok" if items else "no_answer")
    return Grounded(response, so_far.n_replaced + len(added), (*so_far.turns, turn))
