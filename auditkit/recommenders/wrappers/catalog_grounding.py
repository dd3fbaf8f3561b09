"""Keep what the catalog holds: lists without refused and ambiguous titles, and asking again.

Dropping a title never makes a list wrong, only shorter; the link that was made is kept, so an
inexactly linked ("rescued") title can be told from an exact one. Asking again names no title: a
recommender that is told what exists is another variant. Source: hallucination recipe, section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from auditkit.types import Message, RankedItem, Request, Response

__all__ = ["Grounded", "ask_again", "grounded"]

ROUNDS = 2
_AGAIN = "Recommend {n} other movies that are not in your list, in the same form."


@dataclass(frozen=True)
class Grounded:
    """A list after grounding.

    Attributes:
        response: holds linked items only, each entry once where it was asked for again.
        n_replaced: items that came from asking again.
        turns: every request and answer that the list was made of, the first ones first.
    """

    response: Response
    n_replaced: int
    turns: tuple[tuple[Request, Response], ...]


def grounded(response: Response) -> Response:
    """The same answer without titles that were not linked; `no_answer` where none is left."""
    if response.status != "ok":
        return response
    kept = tuple(item for item in response.items if item.item_id is not None)
    return replace(response, items=kept, status="ok" if kept else "no_answer")


def ask_again(
    requests: Sequence[Request],
    responses: Sequence[Response],
    ask: Callable[[Sequence[Request]], Sequence[Response]],
    *,
    opening: Sequence[Message] = (),
    rounds: int = ROUNDS,
) -> list[Grounded]:
    """Ground lists and ask for what is missing, as a further turn of the conversation.

    Args:
        requests: with rendered prompts, as they were asked.
        responses: their linked answers; one whose status is not ok is left as it is.
        ask: answers requests with linked responses.
        opening: turns that stand before every conversation.
        rounds: how often at most.
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
        again = [_next_turn(requests[i], found[i], opening) for i in short]
        answers = ask(again) if again else ()
        for i, turn in zip(short, zip(again, answers, strict=True), strict=True):
            found[i] = _joined(found[i], turn, k=requests[i].k)
    return found


def _next_turn(request: Request, so_far: Grounded, opening: Sequence[Message]) -> Request:
    turns: list[Message] = list(request.messages or opening)
    for asked, answer in so_far.turns:
        turns += [Message("user", asked.prompt), Message("assistant", _response_text(answer))]
    missing = request.k - len(so_far.response.items)
    prompt = _AGAIN.format(n=missing)
    return replace(request, id="", k=missing, messages=tuple(turns), prompt=prompt)


def _response_text(answer: Response) -> str:
    return (answer.text or "\n".join(item.raw for item in answer.items)).strip()


def _joined(so_far: Grounded, turn: tuple[Request, Response], *, k: int) -> Grounded:
    """The list with new linked items behind it, up to k."""
    listed = {item.item_id for item in so_far.response.items}
    new: dict[str | None, RankedItem] = {}
    for item in grounded(turn[1]).items:
        if item.item_id not in listed:
            new.setdefault(item.item_id, item)
    added = tuple(new.values())[: k - len(so_far.response.items)]
    items = (*so_far.response.items, *added)
    response = replace(so_far.response, items=items, status="ok" if items else "no_answer")
    return Grounded(response, so_far.n_replaced + len(added), (*so_far.turns, turn))
