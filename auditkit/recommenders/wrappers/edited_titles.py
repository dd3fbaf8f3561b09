"""Change the titles of a request's items wherever the request has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from auditkit.recommenders.prompting.prompts import escape
from auditkit.types import Item, Request

__all__ = ["with_titles"]


def with_titles(request: Request, change: Callable[[str], str]) -> Request:
    """Return the request with changed titles in its history, candidates, messages and prompt.

    Args:
        change: returns the new title of an item, or the same one; ids are kept.
    """
    candidates = request.candidates
    items = (*request.history, *(candidates or ()))
    changed = {i.title: new for i in items if (new := change(i.title)) != i.title}
    if not changed:
        return request

    def edited(text: str) -> str:
        for title in sorted(changed, key=len, reverse=True):
            text = text.replace(title, changed[title])
            text = text.replace(escape(title), escape(changed[title]))
        return text

    def renamed(listed: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(replace(item, title=changed.get(item.title, item.title)) for item in listed)

    return replace(
        request,
        history=renamed(request.history),
        candidates=None if candidates is None else renamed(candidates),
        messages=tuple(replace(turn, content=edited(turn.content)) for turn in request.messages),
        prompt=edited(request.prompt),
    )
