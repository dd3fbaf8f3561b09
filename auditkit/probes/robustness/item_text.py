"""Requests with candidates whose text in the prompt is edited, as a seller could edit it.

Only the prompt is edited: it shows the edited text of an item, and the response is linked by id or
original title. A model that ranks candidates by their log-probability therefore scores the original
titles after a prompt with the edited texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from auditkit.probes.base import NotAssessable, User, identity, neutral_request
from auditkit.probes.fairness.candidates import instructions
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.protocols import Sized, Staged
from auditkit.types import Item, Request, Response

__all__ = [
    "Surface", "listing_request", "rank_of", "require_item_text", "token_counter",
]  # fmt: skip

Surface = Literal["title", "description", "history"]
_FORMS: Mapping[Surface, str] = {
    "title": "{title} {text}",
    "description": "{title} - Description: {text}",
    "history": "{title} - Description: {text}",
}


def require_item_text(target: Target) -> None:
    """Require that the recommender reads texts of items in the prompt.

    Raises:
        NotAssessable: the recommender does not read such texts; the message states the reason.
    """
    if not target.reads_prompt:
        raise NotAssessable(
            "the recommender never reads the prompt text, so it does not read texts of items"
        )
    if target.prompts.history == "item_tokens":
        raise NotAssessable(
            "prompts refer to items by tokens and contain no text of items that could be edited"
        )
    if isinstance(target.recommender, Staged):
        raise NotAssessable(
            "a pipeline writes the texts of its candidates itself, so the probe cannot edit them"
        )


def listing_request(
    target: Target,
    user: User,
    candidates: Sequence[Item],
    texts: Mapping[str, str],
    *,
    k: int,
    surface: Surface = "description",
) -> Request:
    """Create a request for the best k of the candidates, with text added to some items.

    Args:
        target: the recommender.
        user: the user.
        candidates: candidates in the order of the prompt.
        texts: added text by item id; empty for the clean request.
        k: requested number of items.
        surface: position of the added text: after the title of a candidate, as description of a
            candidate, or as description of a history item.
    """
    words = _FORMS[surface]

    def shown(items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(
            replace(item, title=words.format(title=item.title, text=texts[item.id]))
            if item.id in texts
            else item
            for item in items
        )

    request = neutral_request(user, k=k)
    if surface == "history":
        request = replace(request, history=shown(request.history))
    else:
        candidates, original = shown(candidates), candidates
        if isinstance(target.recommender, Sized):
            listed = "\n".join(f"- {_without_slots(item.title)}" for item in candidates)
            own = target.prompts.recommend[0]
            text = f"{target.pack.filled('[Items] to choose from:')}\n{listed}\n\n{own}"
            return replace(request, instruction=text, candidates=tuple(original))
    return replace(request, instruction=_listing(target), candidates=tuple(candidates))


def _listing(target: Target) -> str:
    """Return the recommender's template for candidates, or its default template with a list
    added.
    """
    task = target.prompts.tasks.get("choose")
    if task is not None and "{candidates}" in task.ask[0]:
        return task.ask[0]
    own = target.prompts.recommend
    if "{candidates}" in own[0]:
        return own[0]
    (shown,) = instructions(own, n=1, pack=target.pack, history=True, listing=True)["phrases"]
    return shown


def rank_of(response: Response, item: Item) -> int | None:
    """Return the rank of an item in a response, from 1; None if it is not listed.

    A title that is listed together with its added text counts as the title.
    """
    title = identity(item.title)
    for rank, listed in enumerate(response.items, start=1):
        whole = listed.item_id is None and identity(listed.raw).startswith(title)
        if listed.item_id == item.id or whole:
            return rank
    return None


def token_counter(target: Target) -> Callable[[str], int] | None:
    """Return a function that counts tokens; None if the recommender has no tokenizer."""
    tokenizer = getattr(target.recommender, "tokenizer", None)
    if tokenizer is None:
        return None
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _without_slots(text: str) -> str:
    """Remove braces from a text, because they would be interpreted as slots of a template."""
    return text.replace("{", "(").replace("}", ")")
