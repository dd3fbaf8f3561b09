"""Repeated lists for the same request, sampled at a temperature above 0.

The agreement of the samples is the confidence of an item if a recommender has no log-probabilities
(`metrics.sample_agreement`). A recommender that ignores temperature and seed returns equal samples,
which would look like perfect confidence; such recommenders are detected and get no confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditkit.errors import InvalidArgument
from auditkit.metrics.sample_agreement import agreement, majority
from auditkit.probes.base import NotAssessable, item_ids
from auditkit.recommenders.execution.target import Target
from auditkit.types import RankedItem, Request, Response, Status

__all__ = ["SampledLists", "Sampling", "sampled_lists"]

# A list that was cut or not read may contain the item or not; a refusal contains none.
_USABLE: tuple[Status, ...] = ("ok", "no_answer", "refusal")
_LEAST_VARIED = 0.05  # batching alone makes a few lists of a greedy server differ


@dataclass(frozen=True)
class Sampling:
    """Settings of the sampling of lists.

    Attributes:
        n: number of samples per request, at least 2.
        temperature: sampling temperature, above 0.
    """

    n: int = 8
    temperature: float = 0.7

    def __post_init__(self) -> None:
        if self.n < 2 or not self.temperature > 0:
            raise InvalidArgument(
                f"sampling got n_samples={self.n} and temperature={self.temperature}. Give at "
                "least 2 samples and a temperature above 0."
            )


@dataclass(frozen=True)
class SampledLists:
    """Samples of every request.

    Attributes:
        sampling: number of samples and temperature.
        responses: `sampling.n` responses per request, in the order of the requests.
    """

    sampling: Sampling
    responses: tuple[tuple[Response, ...], ...]

    @property
    def label(self) -> str:
        """Name of this measure of confidence in findings."""
        return f"agreement of {self.sampling.n} samples"

    def require_variation(self) -> None:
        """Require that the samples of a request differ from each other.

        Raises:
            NotAssessable: no request has two usable samples, or the samples of nearly every request
                are equal.
        """
        repeated = [own for i in range(len(self.responses)) if len(own := self._usable(i)) > 1]
        if not repeated:
            raise NotAssessable("no request has two samples that could be read")
        varied = sum(len({_form(one) for one in own}) > 1 for own in repeated)
        if varied < _LEAST_VARIED * len(repeated) or not varied:
            raise NotAssessable(
                f"the {self.sampling.n} samples of {len(repeated) - varied} of {len(repeated)} "
                f"requests are equal at temperature {self.sampling.temperature:g}: the recommender "
                "ignores temperature and seed, so agreement of samples is not a confidence"
            )

    def confidences(self, responses: Sequence[Response]) -> list[list[float | None]]:
        """Compute the share of samples, in [0, 1], that contain each item of each response.

        The share is None if fewer than half of the samples can be read.

        Two items are equal if they are linked to the same catalog item, or if they are not linked
        and have equal normalized titles.
        """
        found: list[list[float | None]] = []
        for i, response in enumerate(responses):
            own = self._read(i)
            shares = agreement(item_ids(response), own) if own else [None] * len(response.items)
            found.append([*shares])
        return found

    def votes(self, requests: Sequence[Request]) -> list[Response]:
        """Create, for each request, a list of the items that at least half of its samples
        contain.
        """
        return [self._vote(i, request) for i, request in enumerate(requests)]

    def _vote(self, i: int, request: Request) -> Response:
        own = self._read(i)
        if not own:
            unusable = next(one for one in self.responses[i] if one.status not in _USABLE)
            return replace(unusable, items=(), text=None)
        first = self._usable(i)[0]
        items: dict[str, RankedItem] = {}
        for one in self._usable(i):
            for key, item in zip(item_ids(one), one.items, strict=True):
                items.setdefault(key, item)
        kept = tuple(replace(items[key], score=None) for key, _ in majority(own, k=request.k))
        return Response(
            request_id=first.request_id, status="ok" if kept else "no_answer", items=kept
        )

    def _usable(self, i: int) -> list[Response]:
        return [one for one in self.responses[i] if one.status in _USABLE]

    def _read(self, i: int) -> list[list[str]]:
        """Return the item ids of the usable samples; empty if only one or fewer than half are
        usable.
        """
        own = [item_ids(one) for one in self._usable(i)]
        return own if len(own) >= max(2, self.sampling.n / 2) else []


def sampled_lists(target: Target, requests: Sequence[Request], sampling: Sampling) -> SampledLists:
    """Request every list several times, each time with another seed."""
    repeats = range(1, sampling.n + 1)
    asked = [
        replace(request, temperature=sampling.temperature, repeat=repeat)
        for request in requests
        for repeat in repeats
    ]
    answered = target.recommend(asked)
    rows = range(0, len(answered), sampling.n)
    return SampledLists(sampling, tuple(tuple(answered[i : i + sampling.n]) for i in rows))


def _form(response: Response) -> tuple[str, ...]:
    """Return what is compared to decide whether two samples are equal: the text, or else the
    titles.
    """
    if response.text is not None:
        return (response.text,)
    return (response.status, *(item.raw for item in response.items))
