"""Tests whether an attribution predicts removals: LDS, infidelity, and AOPC with controls.

All functions take values by mask (bit i is set if span i is kept), so they do not need all subsets.
An undefined result is Missing with a reason, never NaN or 0. The random-order and best-order
controls of comprehensiveness and sufficiency make drops of different requests comparable. Sources:
as in `metrics.attribution`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.attribution.masks import mask_of
from auditkit.attribution.missing import Missing
from auditkit.metrics.attacks import kendall_tau_b
from auditkit.metrics.attribution import Infidelity, aopc, infidelity, lds

__all__ = [
    "Agreement", "Aopc", "AopcKind", "above_random", "agreement", "aopc_of", "infidelity_of",
    "lds_of", "path_masks", "pearson", "spearman",
]  # fmt: skip

Vector = NDArray[np.float64]
Known = Mapping[int, float]
AopcKind = Literal["comprehensiveness", "sufficiency"]


def lds_of(known: Known, masks: Sequence[int], attribution: Vector) -> float | Missing:
    """Compute the linear datamodeling score over the measured `masks`, in [-1, 1]; 1 is ideal."""
    if len(attribution) < 3:
        return Missing("needs at least 3 spans")
    left = [mask for mask in masks if mask in known]
    found = lds(attribution, [known[mask] for mask in left], masks=left)
    return Missing("the values or the predictions are constant") if found is None else found


def spearman(left: Vector, right: Vector) -> float | Missing:
    """Spearman correlation with average ranks for ties, in [-1, 1]."""
    from scipy.stats import rankdata  # 1 s of imports

    return pearson(np.asarray(rankdata(left)), np.asarray(rankdata(right)))


def pearson(left: Vector, right: Vector) -> float | Missing:
    """Pearson correlation in [-1, 1]; values with a relative difference below 1e-12 count as
    equal.
    """
    if len(left) < 2:
        return Missing("fewer than 2 values")
    a, b = left - left.mean(), right - right.mean()
    for values, centered in ((left, a), (right, b)):
        if np.abs(centered).max() <= 1e-12 * np.abs(values).max():
            return Missing("all values are equal")
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


class Aopc(NamedTuple):
    """Area over the perturbation curve (AOPC) of an order of spans.

    Attributes:
        value: mean over k = 1..n of the drop v(all) - v(S), where S excludes the top k spans
            (comprehensiveness) or contains only them (sufficiency).
        random: mean drop for random orders.
        best: mean drop for the best order, or why it is unknown.
        normalized: (value - random) / (best - random), for both kinds; 0 for a random order, ideal
            1.
    """

    value: float
    random: float
    best: float | Missing
    normalized: float | Missing


def path_masks(order: Sequence[int], kind: AopcKind) -> list[int]:
    """Return the n masks of an order, for k = 1..n removed or kept spans."""
    n = len(order)
    kept = [order[k:] if kind == "comprehensiveness" else order[:k] for k in range(1, n + 1)]
    return [mask_of(one) for one in kept]


def aopc_of(
    known: Known,
    order: Sequence[int],
    random_orders: Sequence[Sequence[int]],
    kind: AopcKind,
    *,
    scale: Callable[[float], float] = lambda value: value,
) -> Aopc | Missing:
    """Compute the mean drop along an order of spans, along random orders and along the best order.

    With a full table of at most 8 spans, the random control is its exact expectation and the best
    order is found by dynamic programming over subsets.

    Args:
        known: values by mask.
        order: the spans, the most important first.
        random_orders: control orders, used unless all subsets are known.
        kind: `comprehensiveness` or `sufficiency`.
        scale: function that is applied to every value, such as exp for drops in probability.
    """
    n = len(order)
    if n <= 8 and all(mask in known for mask in range(1 << n)):
        return _on_table(np.array([scale(known[mask]) for mask in range(1 << n)]), order, kind)
    if not random_orders:
        return Missing("no random orders were measured")
    paths = [path_masks(path, kind) for path in (order, *random_orders)]
    if any(mask not in known for mask in ((1 << n) - 1, *(m for path in paths for m in path))):
        return Missing("a value along the order is missing")
    whole = scale(known[(1 << n) - 1])
    means = [float(np.mean([whole - scale(known[mask]) for mask in path])) for path in paths]
    unknown = Missing("this row needs the values of all subsets of at most 8 spans")
    return Aopc(means[0], float(np.mean(means[1:])), unknown, unknown)


def above_random(
    known: Known, order: Sequence[int], random_orders: Sequence[Sequence[int]], kind: AopcKind
) -> float | Missing:
    """Compute the mean drop along an order minus that of random orders, without trivial steps.

    Comprehensiveness uses k = 2..n-1 removed spans, because single removals may have determined the
    order, and sufficiency uses k = 1..n-1 kept spans. For k = n, all orders are equal. The
    expectation for a noisy order is 0. With the values of all subsets, the control is exact.
    """
    n = len(order)
    steps = range(2 if kind == "comprehensiveness" else 1, n)
    if n < 3:
        return Missing("needs at least 3 spans")
    if n <= 8 and all(mask in known for mask in range(1 << n)):
        sizes = [n - k if kind == "comprehensiveness" else k for k in steps]
        every = {
            size: np.mean([known[m] for m in range(1 << n) if m.bit_count() == size])
            for size in sizes
        }
        controls = [float(np.mean([every[size] for size in sizes]))]
    else:
        paths = [path_masks(one, kind) for one in random_orders]
        if not paths or any(path[k - 1] not in known for path in paths for k in steps):
            return Missing("a value along a random order is missing")
        controls = [float(np.mean([known[path[k - 1]] for k in steps])) for path in paths]
    own = path_masks(order, kind)
    if any(own[k - 1] not in known for k in steps):
        return Missing("a value along the order of the attribution is missing")
    return float(np.mean(controls) - np.mean([known[own[k - 1]] for k in steps]))


def _on_table(table: Vector, order: Sequence[int], kind: AopcKind) -> Aopc:
    n = len(order)
    value, drops = aopc(table, order, kind=kind), table[-1] - table
    sizes = np.array([mask.bit_count() for mask in range(1 << n)])
    reached = range(n) if kind == "comprehensiveness" else range(1, n + 1)
    random = float(np.mean([drops[sizes == size].mean() for size in reached]))
    best = _best(drops, n, kind)
    spread = best - random
    flat = abs(spread) <= 1e-12 * max(1.0, float(np.abs(drops).max()))
    normalized = (
        Missing("all orders have the same mean drop") if flat else (value - random) / spread
    )
    return Aopc(value, random, best, normalized)


def _best(drops: Vector, n: int, kind: AopcKind) -> float:
    """Return the largest mean drop of any order of removing spans, or the smallest of keeping
    them.
    """
    removing = kind == "comprehensiveness"
    start, sign = ((1 << n) - 1, 1.0) if removing else (0, -1.0)
    best = np.full(1 << n, -np.inf)
    best[start] = 0.0
    masks = range(1 << n)
    for mask in reversed(masks) if removing else masks:
        for i in range(n):
            if bool(mask >> i & 1) == removing:
                after = mask ^ 1 << i
                best[after] = max(best[after], best[mask] + sign * drops[after])
    return float(sign * best[0 if removing else (1 << n) - 1] / n)


def infidelity_of(known: Known, masks: Sequence[int], attribution: Vector) -> Infidelity | Missing:
    """Compute the squared error of predicted drops over the measured masks, raw and rescaled,
    nats^2.
    """
    whole = known.get((1 << len(attribution)) - 1)
    if whole is None:
        return Missing("the value of the whole request is missing")
    left = [mask for mask in masks if mask in known]
    found = infidelity(attribution, [known[mask] for mask in left], masks=left, whole=whole)
    return Missing("no removal was measured") if found is None else found


class Agreement(NamedTuple):
    """Agreement of two attributions of one request.

    Attributes:
        pearson: Pearson correlation in [-1, 1].
        jaccard: Jaccard overlap of the top 3 spans, in [0, 1].
        kendall: Kendall's tau-b in [-1, 1].
    """

    pearson: float | Missing
    jaccard: float
    kendall: float | Missing


def agreement(left: Vector, right: Vector) -> Agreement:
    """Compare two attributions [n]; correlations with a constant attribution are missing."""
    k = min(3, len(left))
    tops = [set(np.argsort(-side, kind="stable")[:k].tolist()) for side in (left, right)]
    jaccard = len(tops[0] & tops[1]) / len(tops[0] | tops[1]) if k else 1.0
    tau = kendall_tau_b(left.tolist(), right.tolist())
    return Agreement(
        pearson(left, right), jaccard, Missing("all values are equal") if tau is None else tau
    )
