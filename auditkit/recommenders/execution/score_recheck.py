"""Recompute a sample of scores with one forward pass each, to check the optimized executor.

About one request in a hundred is rechecked. The choice depends only on the request id, so that a
resumed or distributed run rechecks the same requests. Of 32 or more requests, at least one is
rechecked; per call, at most 64 are, because a plain score costs as much as dozens of packed scores.
The difference is written to the run log; a difference above the bound is an error of the probe.
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

BOUND = 1e-3  # nats per title; tolerance of the engine in float32 (docs/explain/engine.md)
_SHARE, _SOME, _MOST = 0.01, 32, 64
_KEY = "recheck_nats"


def sample(request_ids: Sequence[str]) -> frozenset[str]:
    """Choose the requests whose scores are recomputed; return their ids."""
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
    """Score a sample of requests again. Returns, by request id, the largest absolute difference of
    a title's summed log-probability, in nats.
    """
    again = recommender.rescore([request.prompt for request in requests], continuations)
    return {
        request.id: max(abs(a.total - b.total) for a, b in zip(fast, plain, strict=True))
        for request, fast, plain in zip(requests, scores, again, strict=True)
    }


def _draw(request_id: str) -> float:
    """A pseudorandom number in [0, 1) that depends only on the request."""
    return int(sha256_json(["recheck", request_id])[:12], 16) / 16**12


def as_derived(difference: float | None) -> dict[str, float]:
    """The difference as an entry of `Response.derived`, which is stored in the run log.

    The entry is empty if the request was not scored again (`difference` is None).
    """
    return {} if difference is None else {_KEY: difference}


def require_within_bound(responses: Sequence[Response]) -> None:
    """Require that every recomputed score agrees with the original one within the bound.

    Raises:
        AuditkitError: a difference is above the bound.
    """
    worst = largest_difference([response.derived for response in responses])
    if worst is not None and worst[1] > BOUND:
        raise AuditkitError(
            f"a score differs by {worst[1]:.2g} nats from the one computed without shared "
            f"prefixes; the limit is {BOUND} nats. Run with AUDITKIT_EXECUTOR=plain and report "
            "the architecture of the model."
        )


def largest_difference(derived: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    """Number of rechecked requests and their largest difference in nats; None if no request was
    rechecked.
    """
    found = [float(row[_KEY]) for row in derived if _KEY in row]
    return (len(found), max(found)) if found else None
