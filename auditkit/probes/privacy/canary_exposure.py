"""Exposure of the last item of a canary, compared with all items that could be in its place."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from auditkit.metrics.privacy import exposure
from auditkit.privacy.canary_file import Canary
from auditkit.probes.base import Context, finding, unit_of
from auditkit.recommenders.execution.target import Target
from auditkit.stats.bootstrap import bootstrap_mean
from auditkit.types import Finding, Item, Request, Response

__all__ = ["exposure_findings"]

METRIC = "privacy.canary.exposure"
Listed = tuple[Canary, list[Item]]


def exposure_findings(
    target: Target,
    context: Context,
    listed: Sequence[Listed],
    *,
    n_canaries: int,
    n_secrets: int,
) -> Iterator[Finding]:
    """Yield the mean exposure of planted canaries, with that of the other canaries as baseline.

    Args:
        listed: all canaries with their items.
        n_canaries: number of canaries, sampled regardless of whether they were planted.
        n_secrets: number of other items to compare with, sampled if the catalog has more.
    """
    order = context.rng("exposure").permutation(len(listed))[:n_canaries]
    chosen = [listed[int(i)] for i in np.sort(order)]
    secrets = [_secrets(context, canary, items, n_secrets) for canary, items in chosen]
    requests = [_request(target, canary, items) for canary, items in chosen]
    responses = target.score(
        requests, [[target.reference(item) for item in options] for options in secrets]
    )
    found = [_exposure(response) for response in responses]
    sides: dict[bool, list[float]] = {True: [], False: []}
    for (canary, _), bits in zip(chosen, found, strict=True):
        if bits is not None:
            sides[canary.planted].append(bits)
    unit, direction = unit_of(METRIC)
    most = math.log2(max(map(len, secrets)))
    n_missing = sum(bits is None for bits in found)
    measured, baseline = (
        bootstrap_mean(
            sides[planted], rng=context.rng("exposure", str(planted)), unit=unit,
            direction=direction, n_missing=n_missing, limits=(0.0, most), draws=2_000,
            reason="no canary of this group could be scored",
        )
        for planted in (True, False)
    )  # fmt: skip
    yield finding(
        context,
        METRIC,
        measured,
        baseline=baseline.estimate,
        parameters={"secrets": max(map(len, secrets)), "canaries": len(chosen)},
        notes=["baseline: canaries that were not planted; the mean by chance is 1.44 bits"],
    )


def _secrets(context: Context, canary: Canary, items: Sequence[Item], most: int) -> list[Item]:
    """Return the last item of a canary, then other items that could be in its place.

    Items that occur earlier in the canary are excluded.
    """
    others = [item for item in context.dataset.catalog.items if item.id not in set(canary.items)]
    order = context.rng("secrets", canary.id).permutation(len(others))[:most]
    return [items[-1], *(Item(others[i].id, others[i].display_title) for i in order)]


def _request(target: Target, canary: Canary, items: Sequence[Item]) -> Request:
    request = Request(user_id=canary.id, history=tuple(items[:-1]), k=10)
    return Request(user_id=canary.id, history=request.history, k=10, prompt=target.render(request))


def _exposure(response: Response) -> float | None:
    """Compute the exposure, in bits, of the first continuation among all continuations."""
    tokens = response.derived.get("tokens")
    if response.status != "ok" or not isinstance(tokens, list):
        return None
    losses = -np.array([math.fsum(row) for row in tokens])  # type: ignore[arg-type]
    return exposure(1 + int(np.sum(losses[1:] < losses[0])), len(losses))
