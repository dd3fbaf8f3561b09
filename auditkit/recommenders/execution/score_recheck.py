"""Score a sample again by the plainest computation, so that fast scores are not taken on trust.

About one request in a hundred, chosen by its id alone, so that a resumed or distributed run checks
the same ones; at least one of 32, at most 64 of one call: a plain score costs as much as dozens of
packed ones. The difference stands in the run log; one above the bound is an error of the probe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.errors import AuditkitError
from auditkit.recommenders.protocols import Rechecks, TokenScores
from auditkit.serialization.canonical_json import sha256_json
from auditkit.types import Request, Response

__all__ = [
    "BOUND",
    "as_derived",
    "differences",
    "largest_difference",
    "require_within_bound",
    "sample",
]

BOUND = 1e-3  # nats a title, the engine's contract in float32
_SHARE, _SOME, _MOST = 0.01, 32, 64
_KEY = "recheck_nats"


def sample(request_ids: Sequence[str]) -> frozenset[str]:
    """The ids that are scored again."""
    ordered = sorted(set(request_ids), key=_draw)
    below = sum(_draw(id_) < _SHARE for id_ in ordered)
    least = 1 if len(ordered) >= _SOME else 0
    return frozenset(ordered[: min(max(below, least), _MOST)])


def differences(
    recommender: Rechecks,
    requests: Sequence[Request],
    continuations: Sequence[Sequence[str]],
    scores: Sequence[Sequence[TokenScores]],
) -> dict[str, float]:
    """Largest difference of a title's sum, nats, by request id."""
    again = recommender.rescore([request.prompt for request in requests], continuations)
    return {
        request.id: max(abs(a.total - b.total) for a, b in zip(fast, plain, strict=True))
        for request, fast, plain in zip(requests, scores, again, strict=True)
    }


def _draw(request_id: str) -> float:
    """A number in [0, 1) that depends on the request alone."""
    return int(sha256_json(["recheck", request_id])[:12], 16) / 16**12


def as_derived(difference: float | None) -> dict[str, float]:
    """How a difference stands in the run log."""
    return {} if difference is None else {_KEY: difference}


def require_within_bound(responses: Sequence[Response]) -> None:
    """Raise if a rechecked score was wrong.

    Raises:
        AuditkitError: a difference above the bound.
    """
    worst = largest_difference([response.derived for response in responses])
    if worst is not None and worst[1] > BOUND:
        raise AuditkitError(
            f"a score differs by {worst[1]:.2g} nats from the plain computation, more than {BOUND}."
            " Run with AUDITKIT_EXECUTOR=plain and report the model's architecture."
        )


def largest_difference(derived: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    """Number of rechecked requests and the largest difference, nats; None where none was."""
    found = [float(row[_KEY]) for row in derived if _KEY in row]
    return (len(found), max(found)) if found else None
