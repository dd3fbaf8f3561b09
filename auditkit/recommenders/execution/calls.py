"""Calls to a recommender: their identity and their record in the run log.

A call is an operation on a Request with parameters. Its id is a hash of the probe and the request,
so that a resumed run recognizes it; its cache key omits the probe, so that probes share responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from auditkit.recommenders.protocols import Operation
from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import Item, Message, RankedItem, Request, Response

__all__ = ["Call", "body_of", "message_fields", "response_of"]


@dataclass(frozen=True)
class Call:
    """One operation on one request, to be sent to a recommender."""

    probe: str
    probe_version: int
    operation: Operation
    request: Request
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The call as JSON, without `id` and `seed`, which are derived from the call."""
        asked = self.request
        listed = asked.candidates
        return {
            "op": self.operation,
            "user_id": asked.user_id,
            "attributes": dict(asked.attributes),
            "history": [_plain(item) for item in asked.history],
            "instruction": asked.instruction,
            "k": asked.k,
            "candidates": None if listed is None else [_plain(item) for item in listed],
            "temperature": asked.temperature,
            "messages": [message_fields(message) for message in asked.messages],
            "prompt": asked.prompt,
            **({"who": asked.who} if asked.who else {}),
            **self.parameters,
        }

    @cached_property
    def id(self) -> str:
        """First 16 hex digits of the hash of the probe, its version, the request and the repeat."""
        identity = {
            "probe": self.probe,
            "version": self.probe_version,
            "request": self.fields,
            "repeat": self.request.repeat,
        }
        return sha256_json(identity)[:16]

    def cache_key(self, origin: str) -> str:
        """Key in the response cache, which is equal for equal calls of different probes to the same
        recommender.
        """
        return sha256_json(
            {"origin": origin, "request": self.fields, "repeat": self.request.repeat}
        )

    def identified(self, seed: int) -> Request:
        """The request with its id and seed, as it is passed to the recommender."""
        return replace(self.request, id=self.id, seed=seed)


def message_fields(message: Message) -> dict[str, Any]:
    """A turn as JSON. A turn without tools has no tool fields, so that the ids of calls without
    tools stay the same.
    """
    written = asdict(message)
    return {name: value for name, value in written.items() if value or name in ("role", "content")}


def _plain(item: Item) -> dict[str, str]:
    return {"id": item.id, "title": item.title}


def body_of(
    question: Call,
    response: Response,
    *,
    seed: int,
    cache_key: str,
    cached_from: str | None,
    supersedes: int | None = None,
) -> dict[str, Any]:
    """Log record of a response. `supersedes` is the number of the record of a failed call that this
    response replaces.
    """
    body = {
        "request_id": question.id,
        "probe": question.probe,
        "unit": question.request.user_id,
        "repeat": question.request.repeat,
        "request": question.fields,
        "status": response.status,
        "reason": response.reason,
        "text": response.text,
        "items": [asdict(item) for item in response.items],
        "usage": dict(response.usage),
        "trace": [dict(call) for call in response.trace],
        "derived": dict(response.derived),
        "seed": seed,
        "cache_key": cache_key,
    }
    if cached_from is not None:
        body["cached_from"] = cached_from
    if supersedes is not None:
        body["supersedes"] = supersedes
    return body


def response_of(body: Mapping[str, Any]) -> Response:
    """Rebuild the response from a log record."""
    return Response(
        request_id=body["request_id"],
        status=body["status"],
        reason=body["reason"],
        text=body["text"],
        items=tuple(RankedItem(**item) for item in body["items"]),
        usage=body["usage"],
        trace=tuple(body["trace"]),
        derived=body["derived"],
    )
