"""Requests of a run, rebuilt from its evidence so that they can be sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.errors import ConfigurationError, did_you_mean
from auditkit.probes.base import Adaptive
from auditkit.run.recipe import AuditRecipe
from auditkit.types import Item, Message, Request

__all__ = ["RecordedRequest", "by_probe", "find_request", "recorded_request", "repeatable_requests"]

Body = Mapping[str, Any]
# Fields of a recorded request that belong to the request; all others are parameters of its call.
_FIELDS = frozenset(
    {
        "op", "user_id", "attributes", "history", "instruction", "k", "candidates", "temperature",
        "messages", "prompt", "who",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RecordedRequest:
    """One recorded request as it was sent.

    Attributes:
        operation: `recommend`, `generate` or `score`.
        parameters: parameters of the call, such as `continuations`, `max_new_tokens` or `variant`.
        body: the record in the evidence.
    """

    request_id: str
    probe: str
    operation: str
    request: Request
    parameters: Mapping[str, Any]
    body: Body


def recorded_request(body: Body) -> RecordedRequest:
    """Rebuild a request from its record."""
    asked = body["request"]
    listed = asked["candidates"]
    return RecordedRequest(
        request_id=body["request_id"],
        probe=body["probe"],
        operation=asked["op"],
        request=Request(
            user_id=asked["user_id"],
            attributes=asked["attributes"],
            history=tuple(Item(**item) for item in asked["history"]),
            instruction=asked["instruction"],
            k=asked["k"],
            candidates=None if listed is None else tuple(Item(**item) for item in listed),
            temperature=asked["temperature"],
            messages=tuple(Message(**message) for message in asked["messages"]),
            prompt=asked["prompt"],
            who=asked.get("who", ""),
            repeat=body["repeat"],
        ),
        parameters={name: value for name, value in asked.items() if name not in _FIELDS},
        body=body,
    )


def find_request(records: Mapping[str, Body], request_id: str) -> RecordedRequest:
    """Find the request with an id, or with the only id that begins with `request_id`.

    Raises:
        ConfigurationError: no request or several requests match, or the request was sent to a
            variant of the recommender that its probe built.
    """
    fitting = [key for key in records if key == request_id] or [
        key for key in records if request_id and key.startswith(request_id)
    ]
    if len(fitting) != 1:
        what = f"{len(fitting)} requests whose id begins with" if fitting else "no request with id"
        raise ConfigurationError(
            f"the run has {what} {request_id!r}.{did_you_mean(request_id, records)} The report "
            "shows the id of every cited request."
        )
    found = recorded_request(records[fitting[0]])
    if variant := found.parameters.get("variant"):
        raise ConfigurationError(
            f"request {found.request_id} was sent to the variant {variant!r} that probe "
            f"{found.probe} built from the recommender. Choose a request of another probe."
        )
    return found


def repeatable_requests(
    records: Mapping[str, Body], recipe: AuditRecipe
) -> tuple[list[RecordedRequest], Counter[str]]:
    """Find the requests for lists that do not depend on earlier responses.

    Args:
        records: the last record of every request, by id.
        recipe: recipe of the run, which determines the adaptive probes.

    Returns:
        The requests in the order of the evidence, and the number of other requests by reason.
    """
    adaptive = {name for name in recipe.probes if isinstance(recipe.build(name), Adaptive)}
    chosen, left_out = [], Counter[str]()
    for body in records.values():
        one = recorded_request(body)
        if one.probe in adaptive:
            left_out[f"of the adaptive probe {one.probe}"] += 1
        elif one.operation != "recommend":
            left_out[
                f"of operation {one.operation}, which a file of recorded responses cannot contain"
            ] += 1
        elif one.parameters:
            left_out[f"to variants of the recommender that probe {one.probe} built"] += 1
        else:
            chosen.append(one)
    return chosen, left_out


def by_probe(requests: Sequence[RecordedRequest]) -> dict[str, list[RecordedRequest]]:
    """Group requests by their probe, in order."""
    groups: dict[str, list[RecordedRequest]] = {}
    for one in requests:
        groups.setdefault(one.probe, []).append(one)
    return groups
