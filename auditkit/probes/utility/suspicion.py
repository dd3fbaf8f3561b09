"""Suspiciously good results: is the model better than training without leakage explains?

A model that saw the held-out items during training reproduces them, which other metrics do not
detect. Two measurements detect it: by how much NDCG@10 exceeds `MARGIN` times that of the best
baseline, and which held-out items are in the same user's training rows. The second measurement is
conclusive only if the recommender declares its training data.

The margin is our choice. Of seven published neural recommenders that could be reproduced, six were
outperformed by tuned neighborhood methods, and the seventh did not outperform all of these methods
(Ferrari Dacrema et al. 2019), so a model that doubles the best of five such baselines needs an
explanation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from auditkit.catalog.interactions import Interactions
from auditkit.probes.base import Context, User, finding, unit_of
from auditkit.stats.bootstrap import ResampledEstimate, paired_difference, undefined
from auditkit.types import Estimate, Exact, Finding

__all__ = ["MARGIN", "excess_over_baselines", "held_out_in_training", "suspicion_findings"]

MARGIN = 2.0
_NOT_CHECKED = (
    "whether the training data contain held-out items could not be checked, because the "
    "recommender does not declare its training data"
)
_DECLARED = (
    "the recommender declares training on the audited data without the held-out items; this is a "
    "declaration, not a measurement"
)


@dataclass(frozen=True)
class Excess:
    """Result of `excess_over_baselines`.

    Attributes:
        best: name of the baseline with the highest mean; None without baselines.
        ratio: mean NDCG@10 of the model divided by that of the best baseline; None if the latter is
            0.
        values: ours - MARGIN * best per user, shape [n]; empty without baselines.
        measured: mean difference with its interval.
    """

    best: str | None
    ratio: float | None
    values: NDArray[np.float64]
    measured: ResampledEstimate


def excess_over_baselines(
    ours: NDArray[np.float64],
    baselines: Mapping[str, NDArray[np.float64]],
    *,
    rng: np.random.Generator,
    n_missing: int = 0,
) -> Excess:
    """Estimate by how much NDCG@10 of the model exceeds `MARGIN` times that of the best baseline.

    A difference is used because a ratio is undefined for baselines without hits. The best baseline
    is chosen by its mean on the same users, which can only lower the difference.

    Args:
        ours: NDCG@10 of the model per user, in [0, 1], shape [n].
        baselines: NDCG@10 of each baseline, by name, for the same users in the same order, shape
            [n].
        rng: generator of the bootstrap over users.
        n_missing: number of users without a usable response.

    Returns:
        Mean of ours - MARGIN * best, in [-MARGIN, 1]; above 0 is suspicious. Undefined without
        baselines or users.
    """
    unit, direction = unit_of("utility.ranking.excess_over_baseline")
    if not baselines or not len(ours):
        why = "no user has a usable response" if baselines else "no baseline could be fitted"
        none = undefined(unit, direction, reason=why, n_missing=n_missing)
        return Excess(None, None, np.empty(0), none)
    best = max(baselines, key=lambda name: float(baselines[name].mean()))
    scaled = MARGIN * baselines[best]
    measured = paired_difference(
        scaled,
        ours,
        rng=rng,
        unit=unit,
        direction=direction,
        n_missing=n_missing,
        limits=(0, MARGIN),
    )
    mean = float(baselines[best].mean())
    return Excess(best, float(ours.mean()) / mean if mean else None, ours - scaled, measured)


def held_out_in_training(interactions: Interactions) -> tuple[int, int]:
    """Count held-out interactions whose item is in the same user's training rows, and all held-out
    ones.

    All rows of the data are counted, so the share has no sampling error.
    """
    split = interactions.split()
    n_items = len(interactions.item_ids)
    pairs = interactions.user_index.astype(np.int64) * n_items + interactions.item_index
    known = np.concatenate([pairs[split.train], pairs[split.validation]])
    return int(np.isin(pairs[split.test], known).sum()), len(split.test)


def suspicion_findings(
    context: Context,
    users: Sequence[User],
    ours: NDArray[np.float64],
    baselines: Mapping[str, NDArray[np.float64]],
    *,
    n_missing: int,
) -> Iterator[Finding]:
    """Yield the excess over the best baseline, and the share of held-out items in training.

    Args:
        users: the users with a response.
        ours, baselines, n_missing: as in `excess_over_baselines`; the rows are those of `users`.
    """
    metric = f"{context.probe_id}.excess_over_baseline"
    found = excess_over_baselines(ours, baselines, rng=context.rng(metric), n_missing=n_missing)
    again, n = held_out_in_training(context.dataset.interactions)
    yield finding(
        context,
        metric,
        found.measured,
        parameters={"margin": MARGIN, "best_baseline": found.best, "ratio": found.ratio},
        units=list(zip((user.id for user in users), found.values.tolist(), repeat(1.0))),
        notes=[_leakage_in_words(context, again, n)],
    )
    metric = f"{context.probe_id}.held_out_in_training"
    unit, direction = unit_of(metric)
    share = again / n
    exact = Estimate(value=share, low=share, high=share, n=n, unit=unit, direction=direction)
    yield finding(
        context,
        metric,
        ResampledEstimate(exact, Exact()),
        notes=[f"{again} of {n} held-out interactions, counted over all users of the audited data"],
    )


def _leakage_in_words(context: Context, again: int, n: int) -> str:
    """Describe what is known about held-out items in training, the strongest fact first."""
    if again:
        return f"{again} of {n} held-out items are in the same user's training rows"
    training = context.manifest.get("training")
    declared = isinstance(training, dict) and training.get("data_sha256") is not None
    return _DECLARED if declared else _NOT_CHECKED
