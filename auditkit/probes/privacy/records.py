"""Training records of users and canaries as prompt and continuation; members and non-members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import JsonValue

from auditkit.probes.base import Context, NotAssessable, User
from auditkit.probes.users import history_lengths, ids_of
from auditkit.recommenders.execution.target import Target
from auditkit.types import Item, Request

__all__ = [
    "Record",
    "Split",
    "block",
    "canary_record",
    "claim_of",
    "members_and_others",
    "seen_in_training",
    "training_record",
]


class Record(NamedTuple):
    """A request with its prompt, and the continuation that was a training target."""

    request: Request
    continuation: str


class Split(NamedTuple):
    """Members and non-members of the training data.

    Attributes:
        members: sampled training users.
        others: held-out users.
        n_short: number of held-out users whose history is too short to score.
    """

    members: list[User]
    others: list[User]
    n_short: int


def block(context: Context, name: str) -> Mapping[str, Any] | None:
    """Return a section of recommender.yaml; None if it is missing."""
    section: JsonValue = context.manifest.get(name)
    return section if isinstance(section, dict) else None


def claim_of(context: Context) -> Mapping[str, Any] | None:
    """Return the section `privacy` of recommender.yaml; None if it claims no differential
    privacy.
    """
    claim = block(context, "privacy")
    return claim if claim is not None and claim.get("claim") == "dp" else None


def members_and_others(context: Context, n_members: int) -> Split:
    """Return a sample of training users, and all held-out users.

    Raises:
        NotAssessable: no held-out users are declared.
    """
    training = block(context, "training")
    held_out_ids = set(training.get("holdout_users", [])) if training else set()
    if not held_out_ids:
        raise NotAssessable(
            "recommender.yaml declares no training.holdout_users, so there are no known non-members"
        )
    users = context.users
    scorable = np.flatnonzero(history_lengths(users) > 1)
    outside = np.array([ident in held_out_ids for ident in ids_of(users)], dtype=bool)[scorable]
    held_out, trained = scorable[outside], scorable[~outside]
    order = context.rng("members").permutation(len(trained))[:n_members]
    members = [users[int(row)] for row in trained[np.sort(order)]]
    others = [users[int(row)] for row in held_out]
    return Split(members, others, len(held_out_ids) - len(held_out))


def seen_in_training(user: User, context: Context) -> tuple[Item, ...]:
    """Return the items of a user that training could use, oldest first."""
    training = block(context, "training") or {}
    return user.history if training.get("fit") == "all_but_test" else user.history[:-1]


def training_record(user: User, target: Target, context: Context) -> Record:
    """Return the training record of a user, as prompt and continuation.

    A model with item tokens was trained on every item of a history window, so the entire latest
    window is scored; a model that reads titles is scored on the latest title, given the earlier
    titles.
    """
    decoding = block(context, "decoding") or {}
    window = int(decoding.get("history_window", 50))
    recent = seen_in_training(user, context)[-window:]
    whole = target.prompts.history == "item_tokens"
    given = () if whole else recent[:-1]
    return _record(user.id, given, recent if whole else recent[-1:], target)


def canary_record(name: str, items: Sequence[Item], target: Target) -> Record:
    """Return the whole record of a canary.

    The record is all items after an empty history, or the list of titles as in the prompt of a
    training row.
    """
    if target.prompts.history == "item_tokens":
        return _record(name, (), items, target)
    prompt = target.render(Request(user_id=name, history=tuple(items), k=10))
    first = prompt.find(f"- {items[0].title}")
    if first < 1:
        return _record(name, items[:-1], items[-1:], target)
    begin = prompt[:first]
    return Record(Request(user_id=name, k=10, prompt=begin), prompt[first:])


def _record(name: str, given: Sequence[Item], scored: Sequence[Item], target: Target) -> Record:
    request = Request(user_id=name, history=tuple(given), k=10)
    prompt = target.render(request)
    continuation = "".join(target.reference(item) for item in scored)
    request = Request(user_id=name, history=tuple(given), k=10, prompt=prompt)
    return Record(request, continuation)
