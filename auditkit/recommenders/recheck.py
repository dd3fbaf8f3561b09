"""Score a sample again by the plainest computation, so that fast scores are not taken on trust.

About one request in a hundred, chosen by its id, at least one of each of the first batches, at most
64 in a run: a plain score costs as much as dozens of packed ones. The difference stands in the run
log; one above the bound is an error of the probe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.canonical import sha256_json
from auditkit.errors import AuditkitError
from auditkit.recommenders.protocols import Rechecks, TokenScores
from auditkit.types import Request, Response

__all__ = ["BOUND", "Rechecker", "as_derived", "largest_difference", "refuse_beyond_bound"]

BOUND = 1e-3  # nats a title, the engine's contract in float32
_SHARE, _LEAST, _MOST = 0.01, 8, 64
_KEY = "recheck_nats"


class Rechecker:
    """Chooses and rescores; one per run."""

    def __init__(self, recommender: object) -> None:
        self._recommender = recommender if isinstance(recommender, Rechecks) else None
        self._done = 0

    def differences(
        self,
        requests: Sequence[Request],
        continuations: Sequence[Sequence[str]],
        scores: Sequence[Sequence[TokenScores]],
    ) -> dict[str, float]:
        """Largest difference of a title's sum, nats, by request id, for the rows of the sample."""
        if self._recommender is None or not requests:
            return {}
        draws = {i: _draw(request.id) for i, request in enumerate(requests)}
        chosen = [i for i in draws if draws[i] < _SHARE]
        if not chosen and self._done < _LEAST:
            chosen = [min(draws, key=draws.__getitem__)]
        chosen = chosen[: _MOST - self._done]
        self._done += len(chosen)
        again = self._recommender.rescore(
            [requests[i].prompt for i in chosen], [continuations[i] for i in chosen]
        )
        return {
            requests[i].id: max(abs(a.total - b.total) for a, b in zip(scores[i], row, strict=True))
            for i, row in zip(chosen, again, strict=True)
        }


def _draw(request_id: str) -> float:
    """A number in [0, 1) that depends on the request alone."""
    return int(sha256_json(["recheck", request_id])[:12], 16) / 16**12


def as_derived(difference: float | None) -> dict[str, float]:
    """How a difference stands in the run log."""
    return {} if difference is None else {_KEY: difference}


def refuse_beyond_bound(responses: Sequence[Response]) -> None:
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
