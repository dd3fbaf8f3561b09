"""Faithfulness card of one attribution; each row is a number, or the reason why there is none.

Evaluation masks are uniform and are not used by any estimator, so an attribution cannot be fitted
to them. The card is computed in the same way for every explainer, even for random scores. Sources:
see `faithfulness`, `randomization` and `edits`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.attribution.estimators import Attribution, ranking
from auditkit.attribution.faithfulness import (
    Agreement,
    Aopc,
    agreement,
    aopc_of,
    infidelity_of,
    lds_of,
)
from auditkit.attribution.masks import bits_of, mask_of
from auditkit.attribution.missing import Missing
from auditkit.metrics.attribution import Infidelity, banzhaf

__all__ = ["Blindness", "Card", "card_of", "lds_ceiling_of", "pair_masks"]

Vector = NDArray[np.float64]
_RESAMPLES = 200
_NO_EDIT, _NO_SEED = Missing("no edit was measured"), Missing("no second seed was measured")
_NO_ORDER = Missing("the order was not changed")
_NO_WEIGHTS = Missing("not measured: this test needs several users and the weights of the model")
# Thresholds of the flag, in nats, as a share of the effect, and in units of the LDS. With two
# redundant causes among ten spans, the LDS of both methods is noisy on 64 masks, so their
# difference alone finds only 3 in 4 of them; the measured redundancy of the pair finds all.
_LEAST_EFFECT, _LOST_SHARE, _LDS_GAIN = 1.0, 0.5, 0.10


class Blindness(NamedTuple):
    """Test whether leave-one-out misses redundant causes.

    Attributes:
        flagged: whether leave-one-out misses causes: the history has an effect of at least 1 nat,
            the leave-one-out effects cover at most half of it, and either leave-one-out predicts
            removals worse than the explainer, or two of the explainer's top spans can replace each
            other.
        pair: positions of the two spans with the largest `redundancy`; None if not flagged, or if
            no pair was measured.
        redundancy: drop after removing both spans minus the sum of the drops after removing one,
            nats.
    """

    flagged: bool
    pair: tuple[int, int] | None = None
    redundancy: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Card:
    """Tests of one attribution.

    Attributes:
        n: number of spans.
        evaluations: number of masks in the fit.
        masks: number of distinct measured masks.
        n_missing: number of masks without a value.
        seed: seed of the run.
        whole, empty: values of the whole and of the empty request.
        empty_z: difference between the value of the empty request and the mean value of the fit
            masks, in standard deviations of these values; the empty request is an outlier beyond 3.
        lds, lds_interval: linear datamodeling score, and its interval by a bootstrap over masks.
        lds_masks: number of evaluation masks.
        lds_ceiling: LDS of exact Banzhaf values.
        comprehensiveness, sufficiency: drops in nats.
        comprehensiveness_p, sufficiency_p: drops in probability.
        infidelity: mean squared error of predicted drops, nats^2.
        sensitivity, noise, order: relative change of the attribution: the largest under benign
            edits, under another mask seed, and under the reversed history.
        agreement: agreement with other methods, by name.
        unavailable: reason by method, for methods that cannot be used.
        loo: test whether leave-one-out misses redundant causes.
        randomization: rank correlation with the explanation of a model with random weights, [0, 1].
    """

    n: int
    evaluations: int
    masks: int
    n_missing: int
    seed: int
    whole: float | Missing
    empty: float | Missing
    empty_z: float | Missing
    lds: float | Missing
    lds_interval: tuple[float, float] | Missing
    lds_masks: int
    lds_ceiling: float | Missing
    comprehensiveness: Aopc | Missing
    sufficiency: Aopc | Missing
    comprehensiveness_p: Aopc | Missing
    sufficiency_p: Aopc | Missing
    infidelity: Infidelity | Missing
    loo: Blindness | Missing
    agreement: Mapping[str, Agreement]
    sensitivity: float | Missing = _NO_EDIT
    noise: float | Missing = _NO_SEED
    order: float | Missing = _NO_ORDER
    randomization: float | Missing = _NO_WEIGHTS
    unavailable: Mapping[str, Missing] = field(default_factory=dict)

    @property
    def interaction_share(self) -> float | Missing:
        """1 - ceiling, in [0, 2]: the part that no additive explanation can capture."""
        return self.lds_ceiling if isinstance(self.lds_ceiling, Missing) else 1 - self.lds_ceiling


def card_of(
    attribution: Attribution,
    known: Mapping[int, float],
    *,
    fitted: Sequence[int],
    evaluation: Sequence[int],
    orders: Sequence[Sequence[int]],
    others: Mapping[str, Vector],
    n_asked: int,
    seed: int,
    rng: np.random.Generator,
    in_nats: bool = True,
) -> Card:
    """Compute the rows of the card that depend only on the values of one request.

    Args:
        attribution: the explanation to test.
        known: measured values by mask.
        fitted: masks of the fit.
        evaluation: masks for LDS and infidelity.
        orders: random control orders of the spans.
        others: attributions by other methods; `loo` decides the blindness row.
        n_asked: number of requested masks.
        seed: seed of the run.
        rng: generator for bootstraps.
        in_nats: whether the values are log-probabilities, so that drops in probability exist.
    """
    values, n = attribution.values, len(attribution.values)
    whole, order = (1 << n) - 1, ranking(attribution.values)
    full = n <= 8 and all(mask in known for mask in range(whole + 1))
    masks = range(whole + 1) if full else evaluation
    score, ceiling = lds_of(known, masks, values), lds_ceiling_of(known, n, full=full)
    no_probability = Missing("the value is not a log-probability")
    unknown = Missing("was not measured")
    in_probability = [
        aopc_of(known, order, orders, kind, scale=lambda v: float(np.exp(v)))
        if in_nats
        else no_probability
        for kind in ("comprehensiveness", "sufficiency")
    ]
    return Card(
        n=n,
        evaluations=attribution.evaluations,
        masks=len(known),
        n_missing=n_asked - len(known),
        seed=seed,
        whole=known.get(whole, unknown),
        empty=known.get(0, unknown),
        empty_z=_empty_z(known, fitted),
        lds=score,
        lds_interval=_lds_interval(known, masks, values, full=full, rng=rng),
        lds_masks=sum(mask in known for mask in masks),
        lds_ceiling=ceiling,
        comprehensiveness=aopc_of(known, order, orders, "comprehensiveness"),
        sufficiency=aopc_of(known, order, orders, "sufficiency"),
        comprehensiveness_p=in_probability[0],
        sufficiency_p=in_probability[1],
        infidelity=infidelity_of(known, masks, values),
        loo=_blindness(known, masks, values, others.get("loo")),
        agreement={name: agreement(values, other) for name, other in others.items()},
    )


def lds_ceiling_of(known: Mapping[int, float], n: int, *, full: bool) -> float | Missing:
    """Compute the LDS of exact Banzhaf values over all subsets, the best for an additive
    explanation.
    """
    if not full:
        return Missing("this row needs the values of all subsets of at most 8 spans")
    table = [known[mask] for mask in range(1 << n)]
    return lds_of(known, range(1 << n), banzhaf(table))


def pair_masks(loo: Vector, linear: Vector) -> list[int]:
    """Return the masks that remove two of the four spans with the largest attributions, at most
    six.
    """
    top, whole = ranking(linear)[:4], (1 << len(loo)) - 1
    return [whole ^ mask_of([i, j]) for at, i in enumerate(top) for j in top[at + 1 :]]


def _blindness(
    known: Mapping[int, float], masks: Sequence[int], linear: Vector, loo: Vector | None
) -> Blindness | Missing:
    n = len(linear)
    whole = (1 << n) - 1
    if loo is None or whole not in known or 0 not in known:
        return Missing("leave-one-out or the empty request was not measured")
    effect = known[whole] - known[0]
    if effect < _LEAST_EFFECT or float(loo.sum()) > _LOST_SHARE * effect:
        return Blindness(False)
    scores = [lds_of(known, masks, one) for one in (linear, loo)]
    if isinstance(scores[0], Missing):
        return scores[0]
    # A constant leave-one-out predicts nothing, as an LDS of 0 does.
    seen = 0.0 if isinstance(scores[1], Missing) else scores[1]
    worse = scores[0] - seen >= _LDS_GAIN
    found = [
        (known[whole] - known[mask] - sum(loo[i] for i in gone), gone)
        for mask in pair_masks(loo, linear)
        if mask in known
        for gone in [tuple(i for i in range(n) if not mask >> i & 1)]
    ]
    if not found:
        return Blindness(worse)
    redundancy, gone = max(found, key=lambda one: (one[0], [-i for i in one[1]]))
    if not worse and redundancy < _LOST_SHARE * effect:
        return Blindness(False)
    return Blindness(True, (gone[0], gone[1]), float(redundancy))


def _empty_z(known: Mapping[int, float], fitted: Sequence[int]) -> float | Missing:
    values = np.array([known[mask] for mask in fitted if mask in known])
    if 0 not in known or len(values) < 2 or not np.ptp(values):
        return Missing(
            "the values of the masks have no variance, or the empty request has no value"
        )
    return float((known[0] - values.mean()) / values.std())


def _lds_interval(
    known: Mapping[int, float],
    masks: Sequence[int],
    values: Vector,
    *,
    full: bool,
    rng: np.random.Generator,
) -> tuple[float, float] | Missing:
    if full:
        return Missing("all subsets: no sampling error")
    from scipy.stats import rankdata  # 1 s of imports

    left = [mask for mask in masks if mask in known]
    if len(left) < 2:
        return Missing("fewer than 2 values")
    drawn = rng.integers(0, len(left), size=(_RESAMPLES, len(left)))
    sides = (np.array([known[mask] for mask in left]), bits_of(left, len(values)) @ values)
    ranks = [np.asarray(rankdata(side[drawn], axis=1)) for side in sides]
    x, y = (one - one.mean(axis=1, keepdims=True) for one in ranks)
    sizes = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    if np.count_nonzero(sizes) < _RESAMPLES / 2:
        return Missing("too few resamples have an LDS")
    low, high = np.quantile((x * y).sum(axis=1)[sizes > 0] / sizes[sizes > 0], (0.025, 0.975))
    return float(low), float(high)
