"""Candidates whose text a seller has edited, as a recommender reads them in its prompt.

The surface is the prompt alone: the text of an item is edited where it is shown, and the response
is linked by id or original title. A model that ranks given candidates by their log-probability
therefore scores the original titles after a prompt with the edited ones.
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
    """Require that texts of items in the prompt reach the recommender.

    Raises:
        NotAssessable: they do not, with the reason.
    """
    if not target.reads_prompt:
        raise NotAssessable(
            "the recommender never reads the prompt text, so no text of an item reaches it"
        )
    if target.prompts.history == "item_tokens":
        raise NotAssessable(
            "prompts refer to items by tokens and show no text of an item that could be edited"
        )
    if isinstance(target.recommender, Staged):
        raise NotAssessable(
            "a pipeline writes the texts of its candidates itself, so they cannot be edited here"
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
    """A request for the best k of the candidates, with text added to some items.

    Args:
        candidates: in the order in which the prompt lists them.
        texts: added text by item id; empty for the clean request.
        k: requested number of items.
        surface: where the text is added: after the title of a candidate, as its description, or
            as the description of an item of the history.
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
    """The recommender's template for a choice from candidates, or its own with a list added."""
    task = target.prompts.tasks.get("choose")
    if task is not None and "{candidates}" in task.ask[0]:
        return task.ask[0]
    own = target.prompts.recommend
    if "{candidates}" in own[0]:
        return own[0]
    (shown,) = instructions(own, n=1, pack=target.pack, history=True, listing=True)["phrases"]
    return shown


def rank_of(response: Response, item: Item) -> int | None:
    """Rank of an item in a response, from 1; None if it is not listed.

    A title that is repeated together with its added text counts as the title.
    """
    title = identity(item.title)
    for rank, listed in enumerate(response.items, start=1):
        whole = listed.item_id is None and identity(listed.raw).startswith(title)
        if listed.item_id == item.id or whole:
            return rank
    return None


def token_counter(target: Target) -> Callable[[str], int] | None:
    """Counts tokens with the recommender's tokenizer; None for one without a tokenizer."""
    tokenizer = getattr(target.recommender, "tokenizer", None)
    if tokenizer is None:
        return None
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _without_slots(text: str) -> str:
    """Text without braces, which would be read as slots of the template."""
    return text.replace("{", "(").replace("}", ")")
