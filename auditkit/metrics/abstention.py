"""Risk-coverage metrics of selective recommendation, where low-confidence items are withheld.

Items are sorted by decreasing confidence, and risk(j) is the share of wrong items among the first
j. Items of equal confidence form one block, and each item of a block gets the block's mean error.
Source: Geifman & El-Yaniv 2017 (selective risk); Geifman et al. 2019 (excess over the best order).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from auditkit.errors import InvalidArgument

__all__ = [
    "aurc",
    "aurc_excess",
    "confidence_aucs",
    "coverage_at_risk",
    "risk_at_coverage",
    "risk_curve",
    "risk_curves",
]

_LEVEL = 0.95


def risk_curve(confidence: ArrayLike, wrong: ArrayLike) -> NDArray[np.float64]:
    """Share of wrong items among the j most confident items, for j = 1..n.

    Args:
        confidence: finite numbers, one per item, shape [n]; only their order matters.
        wrong: 1 if the item is wrong, else 0, in the order of `confidence`.

    Returns:
        risk(1) .. risk(n), fractions in [0, 1], ideal 0; empty for no items.

    Raises:
        InvalidArgument: lengths differ, a confidence is not finite, or an entry of `wrong` is not 0
            or 1.
    """
    (curve,) = risk_curves(confidence, wrong, [np.ones(np.shape(confidence)[:1])])
    return curve


def risk_curves(
    confidence: ArrayLike, wrong: ArrayLike, times: Iterable[ArrayLike]
) -> Iterator[NDArray[np.float64]]:
    """Yield the risk curve of every resample of the items, which are sorted only once.

    Args:
        confidence, wrong: as in `risk_curve`, [n] each.
        times: for each resample, how often it contains every item, whole numbers [n].

    Yields:
        risk(1) .. risk(m), where m is the sum of the row of `times`.

    Raises:
        InvalidArgument: as in `risk_curve`.
    """
    block, errors = _blocks(confidence, wrong)
    for row in times:
        counts = np.asarray(row, np.float64)
        sizes = np.bincount(block, weights=counts)
        mean = np.bincount(block, weights=errors * counts) / np.maximum(sizes, 1)
        risks = np.repeat(mean, sizes.astype(np.int64))
        yield np.cumsum(risks) / np.arange(1, len(risks) + 1)


def confidence_aucs(
    confidence: ArrayLike, wrong: ArrayLike, times: Iterable[ArrayLike]
) -> Iterator[float | None]:
    """Yield the AUC of confidence for every resample of the items.

    The AUC is the probability that a right item has a higher confidence than a wrong one; ties
    count 1/2. Time and memory grow with the number of items, not of pairs.

    Args:
        confidence, wrong, times: as in `risk_curves`.

    Yields:
        AUC in [0, 1], ideal 1; 0.5 if confidence does not separate right from wrong items. None if
        all items are right or all are wrong.

    Raises:
        InvalidArgument: as in `risk_curve`.

    Source: AUROC of error detection (Hendrycks & Gimpel 2017).
    """
    block, errors = _blocks(confidence, wrong)
    for row in times:
        counts = np.asarray(row, np.float64)
        bad = np.bincount(block, weights=errors * counts)
        good = np.bincount(block, weights=(1 - errors) * counts)
        pairs = good.sum() * bad.sum()
        # The most confident block is the first, so the right items before a block are above it.
        above = np.cumsum(good) - good / 2
        yield float((bad * above).sum() / pairs) if pairs else None


def _blocks(
    confidence: ArrayLike, wrong: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each item the index of its block of equal confidence, and whether the item is
    wrong.

    Both arrays are sorted by decreasing confidence, [n] each.

    Raises:
        InvalidArgument: as in `risk_curve`.
    """
    order, errors = np.asarray(confidence, np.float64), np.asarray(wrong, np.float64)
    if order.shape != errors.shape or order.ndim != 1 or not np.isfinite(order).all():
        raise InvalidArgument(
            f"The risk curve got confidences of shape {order.shape} for errors of shape "
            f"{errors.shape}, or a confidence that is not finite. Leave out items without a "
            "confidence and count them as missing."
        )
    if not np.isin(errors, (0, 1)).all():
        raise InvalidArgument(
            "The risk curve got an entry of `wrong` other than 0 and 1. Give 1 for wrong items "
            "and 0 for right ones."
        )
    _, block = np.unique(-order, return_inverse=True)
    return block, errors


def aurc(risks: ArrayLike) -> float | None:
    """Area under a risk curve: the mean of risk(j).

    Returns:
        Fraction in [0, 1], ideal 0; None for no items.
    """
    values = np.asarray(risks, np.float64)
    return float(values.mean()) if len(values) else None


def aurc_excess(risks: ArrayLike) -> float | None:
    """Area under the risk curve minus the area for the best order, where all wrong items are last.

    If m of n items are wrong, the best area is (1/n) * sum over j = n - m + 1 .. n of (j - (n -
    m))/j.

    Returns:
        At least 0, ideal 0; None for no items.
    """
    values = np.asarray(risks, np.float64)
    n = len(values)
    if not n:
        return None
    right = n - round(float(values[-1]) * n)
    places = np.arange(right + 1, n + 1)
    best = float(((places - right) / places).sum()) / n
    return max(0.0, float(values.mean()) - best)


def risk_at_coverage(risks: ArrayLike, *, coverage: float) -> float | None:
    """Share of wrong items among the given share of most confident items.

    Args:
        risks: risk(1) .. risk(n), from `risk_curve`.
        coverage: fraction of items that are recommended, in (0, 1].

    Returns:
        risk(j) at j = coverage * n, rounded up; None for no items.

    Raises:
        InvalidArgument: coverage outside (0, 1].
    """
    if not 0 < coverage <= 1:
        raise InvalidArgument(
            f"risk_at_coverage got coverage={coverage}. Give a fraction above 0 and at most 1."
        )
    values = np.asarray(risks, np.float64)
    if not len(values):
        return None
    kept = math.ceil(coverage * len(values) - 1e-9)
    return float(values[kept - 1])


def coverage_at_risk(risks: ArrayLike, *, risk: float) -> float | None:
    """Largest share of items whose risk is shown to stay within a limit, at 95 % confidence.

    Args:
        risks: risk(1) .. risk(n), from `risk_curve`.
        risk: largest acceptable fraction of wrong items, in (0, 1).

    Returns:
        The largest j/n for which the upper end of the two-sided 95 % Clopper-Pearson interval over
        the j items is at most `risk`, or 0 if there is none; None for no items. Ideal 1. The
        interval treats items as independent, which items of the same list are not.

    Raises:
        InvalidArgument: risk outside (0, 1).
    """
    if not 0 < risk < 1:
        raise InvalidArgument(f"coverage_at_risk got risk={risk}. Give a fraction between 0 and 1.")
    values = np.asarray(risks, np.float64)
    n = len(values)
    if not n:
        return None
    kept = np.arange(1, n + 1)
    errors = np.minimum(values * kept, kept - 1e-12)
    # The upper end u solves P(X <= errors | u) = (1 - level) / 2, so u <= risk exactly if the beta
    # distribution function at `risk` is at least 1 - (1 - level) / 2.
    certain = special.betainc(errors + 1, kept - errors, risk) >= 1 - (1 - _LEVEL) / 2 - 1e-12
    return float(kept[certain].max() / n) if certain.any() else 0.0
