"""Attribution of a value to the spans of a request, and how well an attribution predicts removals.

The formulas are exact and use the values of all 2^n subsets of spans; bit i of a mask is set if
span i is kept. Sources: Shapley 1953; Banzhaf 1965; ERASER (DeYoung et al. 2020) for
comprehensiveness and sufficiency; infidelity (Yeh et al. 2019); linear datamodeling score (Park et
al. 2023), as used by ContextCite (Cohen-Wang et al. 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument
from auditkit.metrics.coalitions import (
    RemovalSets,
    kept_counts,
    minimal_removal_sets,
    table_of,
)

__all__ = [
    "Infidelity",
    "RemovalSets",
    "aopc",
    "banzhaf",
    "infidelity",
    "lds",
    "leave_one_out",
    "minimal_removal_sets",
    "shapley",
]

Array = NDArray[np.float64]
_EQUAL = 1e-12  # relative; sums of equal numbers differ by less


class Infidelity(NamedTuple):
    """Squared error of predicted drops.

    Attributes:
        raw: mean squared error, at least 0, in squared units of the value; ideal 0.
        rescaled: mean squared error after scaling the attribution by the factor that minimizes it;
            None if the attribution predicts no drop at all.
    """

    raw: float
    rescaled: float | None


def shapley(values: ArrayLike) -> Array:
    """Shapley values: the mean effect of adding a span, over all orders of the spans.

    Args:
        values: v(S) by mask, [2^n], n = 1..20.

    Returns:
        phi, [n], in units of the value; they sum to v(all) - v(none).

    Raises:
        InvalidArgument: the length is not a power of two, n > 20, or a value is not finite.

    Source: Shapley 1953; phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! times
    (v(S and i) - v(S)).
    """
    table, n = table_of(values, name="shapley")
    weights = np.array([1 / (n * math.comb(n - 1, size)) for size in range(n)])
    by_size = weights[kept_counts(n - 1)]
    return np.array([by_size @ _effects(table, n, i) for i in range(n)])


def banzhaf(values: ArrayLike) -> Array:
    """Banzhaf values: the mean effect of adding a span, over all subsets of the other spans.

    Args, Raises: as for `shapley`.

    Returns:
        beta, [n], in units of the value; they do not sum to v(all) - v(none).

    Source: Banzhaf 1965; beta_i = 2^-(n-1) times the sum over S without i of v(S and i) - v(S).
    """
    table, n = table_of(values, name="banzhaf")
    return np.array([_effects(table, n, i).mean() for i in range(n)])


def leave_one_out(values: ArrayLike) -> Array:
    """Drop of the value if span i is removed, v(all) - v(all without i), for every i, [n].

    If either of two spans suffices for the value, both have a drop of 0. Args, Raises: as for
    `shapley`.
    """
    table, n = table_of(values, name="leave_one_out")
    everything = len(table) - 1
    return np.array([table[everything] - table[everything ^ 1 << i] for i in range(n)])


def aopc(
    values: ArrayLike,
    order: Sequence[int],
    *,
    kind: Literal["comprehensiveness", "sufficiency"] = "comprehensiveness",
    percents: Sequence[int] | None = None,
) -> float:
    """Area over the perturbation curve (AOPC) of an order of the spans.

    Args:
        values: v(S) by mask, [2^n], n = 1..20.
        order: all n spans, the most important first.
        kind: `comprehensiveness` removes the first k spans, `sufficiency` keeps only them.
        percents: shares of the spans in percent, each at least 0, for the bins of ERASER, such as
            (1, 5, 10, 20, 50), with k = max(1, ceil(percent * n / 100)) and at most n; None for
            every k = 1..n.

    Returns:
        Mean over k of v(all) - v(remaining spans), in units of the value. Higher is better for
        comprehensiveness, lower for sufficiency.

    Raises:
        InvalidArgument: as for `shapley`, or `order` is not a permutation of the n spans, or
            `percents` is empty or has a negative entry.

    Source: DeYoung et al. 2020, section 4; the mean over k is that of Samek et al. 2017.
    """
    table, n = table_of(values, name="aopc")
    if sorted(order) != list(range(n)):
        raise InvalidArgument(
            f"aopc got the order {list(order)} of {n} spans. Give each span number from 0 to "
            f"{n - 1} once."
        )
    if percents is not None and (not percents or min(percents) < 0):
        raise InvalidArgument(
            f"aopc got percents={list(percents)}. Give at least one percentage, each at least 0."
        )
    sizes = (
        list(range(1, n + 1))
        if percents is None
        else [min(n, max(1, -(-percent * n // 100))) for percent in percents]
    )
    firsts = [sum(1 << span for span in order[:size]) for size in sizes]
    everything = len(table) - 1
    left = firsts if kind == "sufficiency" else [everything ^ first for first in firsts]
    return float(np.mean(table[everything] - table[left]))


def lds(
    attribution: ArrayLike, values: ArrayLike, *, masks: Sequence[int] | None = None
) -> float | None:
    """Linear datamodeling score: rank correlation of attributed and measured values of subsets.

    Args:
        attribution: one number per span, [n], n <= 62.
        values: v(S) for each of `masks`, [m]; without `masks`, v(S) of all 2^n subsets.
        masks: evaluation masks, which must differ from the masks that the attribution was fitted
            to.

    Returns:
        Spearman correlation of v(S) and the summed attribution of S, in [-1, 1]; ideal 1, which an
        additive attribution cannot always reach. None if either is constant, for fewer than three
        subsets, or for fewer than three spans.

    Raises:
        InvalidArgument: lengths that differ, or a number that is not finite.

    Source: Park et al. 2023 (TRAK), Eq. 6; Cohen-Wang et al. 2024.
    """
    from scipy.stats import rankdata  # 1 s of imports

    a, v, kept = _subsets(attribution, values, masks, name="lds")
    if len(a) < 3 or len(v) < 3:
        return None
    return _correlation(rankdata(_rounded(kept @ a)), rankdata(_rounded(v)))


def infidelity(
    attribution: ArrayLike,
    values: ArrayLike,
    *,
    masks: Sequence[int] | None = None,
    whole: float | None = None,
) -> Infidelity | None:
    """Mean squared error of the drops that an attribution predicts.

    Args:
        attribution, values, masks: as for `lds`.
        whole: v(all), needed with `masks`.

    Returns:
        Mean over the masks that remove at least one span; None if there is no such mask.

    Raises:
        InvalidArgument: as for `lds`, or `masks` without `whole`.

    Source: Yeh et al. 2019, Eq. 2, with removals as perturbations; the best factor is
    E[(I a) drop] / E[(I a)^2].
    """
    a, v, kept = _subsets(attribution, values, masks, name="infidelity")
    if masks is not None and (whole is None or not math.isfinite(whole)):
        raise InvalidArgument(
            "infidelity got masks without the value of the whole prompt. Give this value as "
            "`whole`, a finite number."
        )
    total = float(v[-1]) if masks is None or whole is None else whole
    removes = kept.sum(axis=1) < len(a)
    if not removes.any():
        return None
    predicted, drops = (1 - kept[removes]) @ a, total - v[removes]
    raw = float(np.mean((predicted - drops) ** 2))
    square = float(predicted @ predicted)
    if square == 0:
        return Infidelity(raw, None)
    factor = float(predicted @ drops) / square
    return Infidelity(raw, float(np.mean((factor * predicted - drops) ** 2)))


def _effects(table: Array, n: int, i: int) -> Array:
    """v(S and i) - v(S) for all S without i, [2^(n-1)], by the mask of the other spans."""
    pairs = table.reshape(1 << (n - 1 - i), 2, 1 << i)
    return np.asarray(pairs[:, 1] - pairs[:, 0]).ravel()


def _subsets(
    attribution: ArrayLike, values: ArrayLike, masks: Sequence[int] | None, *, name: str
) -> tuple[Array, Array, Array]:
    """Return the attribution [n], the values [m], and whether each subset keeps each span, [m,
    n].
    """
    a = np.asarray(attribution, dtype=np.float64)
    v = np.asarray(values, dtype=np.float64)
    if masks is None:
        v, n = table_of(v, name=name)
        masks = range(len(v))
    else:
        n = a.size
    if a.shape != (n,) or v.shape != (len(masks),) or not np.isfinite(a).all():
        raise InvalidArgument(
            f"{name} got attributions of shape {a.shape} and values of shape {v.shape} for "
            f"{len(masks)} masks. Give one finite attribution per span and one value per mask."
        )
    if not np.isfinite(v).all() or any(not 0 <= mask < 1 << n for mask in masks):
        raise InvalidArgument(
            f"{name} got a value that is not finite or a mask outside 0..2^{n} - 1. Leave out "
            "masks without a value, and count them as missing."
        )
    rows = np.asarray(masks, dtype=np.int64).reshape(-1, 1)
    return a, v, (rows >> np.arange(n) & 1).astype(np.float64)


def _rounded(numbers: Array) -> Array:
    """Round numbers so that equal sums, added in different orders, compare equal."""
    scale = float(np.abs(numbers).max()) * _EQUAL
    return np.asarray(np.round(numbers / scale) * scale) if scale else numbers


def _correlation(x: Array, y: Array) -> float | None:
    """Pearson correlation; None if x or y is constant."""
    x, y = x - x.mean(), y - y.mean()
    size = math.sqrt(float(x @ x) * float(y @ y))
    return max(-1.0, min(1.0, float(x @ y) / size)) if size else None
