"""Request recommendations with reasons, and link the reasons to the user's history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from auditkit.attribution.spans import masked, spans_of
from auditkit.attribution.values import Game
from auditkit.claims.stated_reasons import StatedReason, first_item_text, read_reasons
from auditkit.probes.base import User, identity
from auditkit.probes.explanation.top_items import By, Explained, source_of
from auditkit.recommenders.execution.list_linking import link_list
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.prompting.answers import read_list
from auditkit.types import Item, Request, Response

__all__ = ["Statement", "ask_again", "ask_for_reasons", "reasons_for"]

_TOKENS_A_REASON = 60


@dataclass(frozen=True)
class Statement:
    """A recommendation with the reason that the recommender states for its first item."""

    explained: Explained
    reason: StatedReason
    text: str
    request_id: str


def ask_for_reasons(
    target: Target, users: Sequence[User], *, n_items: int, k: int, by: By
) -> tuple[list[Statement], dict[str, int]]:
    """Generate a list with reasons for every user.

    Returns:
        One statement per readable list, which may name no item, and the number of users without a
        statement, by reason.
    """
    wording = target.pack.filled(str(_prompt()["instruction"]))
    requests = [
        Request(user_id=user.id, history=user.history[-n_items:], k=k, instruction=wording)
        for user in users
    ]
    responses = _generated(target, requests)
    lists = [_listed(target, q, r) for q, r in zip(requests, responses, strict=True)]
    missing: dict[str, int] = {}
    kept: list[tuple[Explained, str, str]] = []
    for user, request, response, items in zip(users, requests, responses, lists, strict=True):
        why = _unusable(request, response, items)
        if why:
            missing[why] = missing.get(why, 0) + 1
            continue
        spans = spans_of(request, most=n_items)
        candidates = tuple(items.values())
        scored = source_of(target, by) == "scores"
        game = Game(request, spans, candidates) if scored else None
        explained = Explained(user, request, spans, candidates[0], candidates, game)
        about = first_item_text(response.text or "", next(iter(items)))
        kept.append((explained, about, response.request_id))
    read = read_reasons(
        target.catalog,
        [about for _, about, _ in kept],
        [[item.id for item in one.request.history] for one, _, _ in kept],
        [one.item.id for one, _, _ in kept],
    )
    statements = [
        Statement(explained, reason, about, request_id)
        for (explained, about, request_id), reason in zip(kept, read, strict=True)
    ]
    return statements, missing


def ask_again(target: Target, statements: Sequence[Statement]) -> list[bool | None]:
    """Request reasons again without the stated items, and check whether a reason names one of them.

    Returns:
        Whether the new reason names a removed item, for each statement; None if unreadable.
    """
    requests = [
        masked(
            one.explained.request, one.explained.spans, one.explained.without(one.reason.positions)
        )
        for one in statements
    ]
    responses = _generated(target, requests)
    lists = [_listed(target, q, r) for q, r in zip(requests, responses, strict=True)]
    texts = [
        first_item_text(response.text or "", next(iter(items), ""))
        for response, items in zip(responses, lists, strict=True)
    ]
    read = read_reasons(
        target.catalog,
        texts,
        [[item.id for item in one.explained.request.history] for one in statements],
        [next((item.id for item in items.values()), "") for items in lists],
    )
    return [
        bool(set(reason.positions) & set(one.reason.positions)) if items else None
        for one, reason, items in zip(statements, read, lists, strict=True)
    ]


def reasons_for(target: Target, requests: Sequence[Request]) -> dict[str, str]:
    """Request lists with reasons; return the texts by user, without unreadable responses.

    Args:
        requests: requests, which are rendered with the task `reasons` of the recommender's prompts;
            this template does not prescribe what a reason names.
    """
    wording = target.prompts.tasks["reasons"].ask[0]
    worded = [replace(request, instruction=wording) for request in requests]
    pairs = zip(worded, _generated(target, worded), strict=True)
    return {q.user_id: r.text for q, r in pairs if r.status == "ok" and r.text}


def _generated(target: Target, requests: Sequence[Request]) -> list[Response]:
    rendered = [replace(request, prompt=target.render(request)) for request in requests]
    k = max((request.k for request in requests), default=1)
    return target.generate(rendered, max_new_tokens=_TOKENS_A_REASON * k)


def _listed(target: Target, request: Request, response: Response) -> dict[str, Item]:
    """Return the listed items that are not in the history, by their text, best first."""
    if response.status != "ok":
        return {}
    texts = [item.raw for item in read_list(response.text or "", k=request.k).items]
    seen, found, known = {item.id for item in request.history}, dict[str, Item](), set[str]()
    for text, link in zip(texts, link_list(texts, target.catalog), strict=True):
        key = link.item_id or f"raw:{identity(text)}"
        if key not in seen | known:
            title = target.catalog[key].display_title if link.item_id else text
            found[text] = Item(key, title)
            known.add(key)
    return found


def _unusable(request: Request, response: Response, items: Mapping[str, Item]) -> str:
    if len(request.history) < 2:
        return "fewer than two items in the history"
    if response.status != "ok":
        return response.reason or response.status
    return "" if len(items) > 1 else "fewer than two listed items"


@cache
def _prompt() -> dict[str, Any]:
    text = (files("auditkit.probes.explanation") / "reason_prompt.yaml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded
