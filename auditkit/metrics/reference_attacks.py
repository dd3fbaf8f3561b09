"""Membership attacks with reference models: the likelihood ratio (LiRA) and RMIA.

A reference model is trained like the audited one, but on another random part of the data, so its
training records are known. Losses are mean negative log-likelihoods per token; their arrays have
one row per record and one column per reference model. A score that cannot be computed is None and
must be counted as missing.

Source: Carlini et al. 2022 (LiRA, section VI); Zarifzadeh et al. 2024 (RMIA, equations 3 to 5).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from auditkit.errors import InvalidArgument

__all__ = ["Mode", "lira", "rmia"]

Mode = Literal["online", "offline"]
_SMALLEST_LOSS = 1e-12
_SMALLEST_PROBABILITY = 1e-12
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def lira(
    losses: ArrayLike,
    reference_losses: ArrayLike,
    is_member: ArrayLike,
    *,
    mode: Mode = "online",
    variance: Literal["row", "pooled"] = "row",
) -> list[float | None]:
    """Likelihood-ratio score of every record.

    With p = exp(-loss) and phi = ln(p / (1 - p)): online, log N(phi; mean_in, s_in) - log N(phi;
    mean_out, s_out); offline, Phi((phi - mean_out) / s_out). Standard deviations divide by n.

    Args:
        losses: loss of the audited model on every record, nats, [records].
        reference_losses: losses of the reference models, nats, [records, models].
        is_member: whether each reference model was trained on each record, bool, [records, models].
        mode: `offline` uses only models that were not trained on the record.
        variance: `row` computes a standard deviation for each record, and uses the pooled one where
            it is 0; `pooled` is for fewer than 64 models.

    Returns:
        One score per record, higher is more member-like; offline in [0, 1]. None if the record has
        fewer than two reference models trained on it (online) or not trained on it (both modes), or
        if their losses have no spread.

    Raises:
        InvalidArgument: the shapes do not match, or a loss is negative or not finite.

    Source: Carlini et al. 2022. The released code pools the standard deviation over all values,
    which includes the differences between records; we pool the deviations from each record's mean.
    """
    own, others, inside = _checked("lira", losses, reference_losses, is_member)
    phi, reference = _logit(own), _logit(others)
    mean_out, std_out = _moments(reference, ~inside, variance)
    if mode == "offline":
        return _listed(ndtr((phi - mean_out) / std_out))
    mean_in, std_in = _moments(reference, inside, variance)
    from scipy.stats import norm  # 1 s of imports

    return _listed(norm.logpdf(phi, mean_in, std_in) - norm.logpdf(phi, mean_out, std_out))


def rmia(
    losses: ArrayLike,
    reference_losses: ArrayLike,
    is_member: ArrayLike,
    *,
    population_losses: ArrayLike,
    population_reference_losses: ArrayLike,
    population_is_member: ArrayLike | None = None,
    mode: Mode = "offline",
    gamma: float = 2.0,
    a: float = 0.3,
) -> list[float | None]:
    """Share of population records z that a record x dominates: ratio(x) / ratio(z) >= gamma.

    ratio = p / p_ref with p = exp(-loss). Online, p_ref is the mean over all reference models;
    offline, ((1 + a) mean_out + (1 - a)) / 2. p_ref is at least 1e-12.

    Args:
        losses, reference_losses, is_member: as in `lira`.
        population_losses: loss of the audited model on each z, nats, [population]; the z are
            non-members outside of the tested records.
        population_reference_losses: losses of the reference models on each z, nats, [population,
            models].
        population_is_member: whether each reference model was trained on each z, bool, [population,
            models]; None if none was.
        gamma: threshold of the ratio, at least 1.
        a: slope in [0, 1] of the offline estimate of a record's probability in models trained on
            it.

    Returns:
        One score per record, in [0, 1]; higher is more member-like. None if no reference model
        could be used for the record, or if there is no z with a ratio.

    Raises:
        InvalidArgument: the shapes do not match, a loss is invalid, or gamma or a is outside its
            range.
    """
    if gamma < 1 or not 0 <= a <= 1:
        raise InvalidArgument(
            f"rmia got gamma={gamma:g} and a={a:g}. Give a gamma of at least 1, and a in [0, 1]."
        )
    found = _ratios(_checked("rmia", losses, reference_losses, is_member), mode, a)
    z_inside = (
        np.zeros_like(np.asarray(population_reference_losses), dtype=bool)
        if population_is_member is None
        else population_is_member
    )
    z = _checked("rmia", population_losses, population_reference_losses, z_inside)
    below = _ratios(z, mode, a)
    below = below[np.isfinite(below)]
    if not len(below):
        return [None] * len(found)
    return [float(np.mean(one / below >= gamma)) if np.isfinite(one) else None for one in found]


def _ratios(data: tuple[Array, Array, Mask], mode: Mode, a: float) -> Array:
    """p / p_ref of every record; NaN without a reference model."""
    own, others, inside = data
    used = np.ones_like(inside) if mode == "online" else ~inside
    counts = used.sum(axis=1)
    sums = np.where(used, np.exp(-others), 0.0).sum(axis=1)
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    reference = mean if mode == "online" else ((1 + a) * mean + (1 - a)) / 2
    ratios: Array = np.exp(-own) / np.maximum(reference, _SMALLEST_PROBABILITY)
    return ratios


def _logit(losses: Array) -> Array:
    """ln(p / (1 - p)) of p = exp(-loss), exact for losses near 0."""
    bounded = np.maximum(losses, _SMALLEST_LOSS)
    logits: Array = -bounded - np.log(-np.expm1(-bounded))
    return logits


def _moments(values: Array, used: Mask, variance: str) -> tuple[Array, Array]:
    """Mean and standard deviation of each row over the used columns; NaN where they are missing."""
    counts = used.sum(axis=1)
    enough = counts >= 2
    divisor = np.maximum(counts, 1)
    mean = np.where(used, values, 0.0).sum(axis=1) / divisor
    squares = np.where(used, (values - mean[:, None]) ** 2, 0.0).sum(axis=1)
    total = int(counts[enough].sum())
    pooled = float(np.sqrt(squares[enough].sum() / total)) if total else 0.0
    std = np.sqrt(squares / divisor) if variance == "row" else np.full(len(mean), pooled)
    std = np.where(std > 0, std, pooled)
    return mean, np.where(enough & (std > 0), std, np.nan)


def _listed(scores: Array) -> list[float | None]:
    return [float(one) if np.isfinite(one) else None for one in scores]


def _checked(
    name: str, losses: ArrayLike, reference_losses: ArrayLike, is_member: ArrayLike
) -> tuple[Array, Array, Mask]:
    own = np.asarray(losses, dtype=np.float64)
    others = np.asarray(reference_losses, dtype=np.float64)
    inside = np.asarray(is_member, dtype=bool)
    if others.size == 0:
        columns = others.shape[1] if others.ndim == 2 else 0
        others, inside = others.reshape(len(own), columns), inside.reshape(len(own), columns)
    fits = own.ndim == 1 and others.ndim == 2 and others.shape[0] == len(own)
    if not fits or inside.shape != others.shape:
        raise InvalidArgument(
            f"{name} got losses of shape {own.shape}, reference losses of shape {others.shape} and "
            f"memberships of shape {inside.shape}. Give [records], [records, models] and [records, "
            "models]."
        )
    for values in (own, others):
        if not np.all(np.isfinite(values)) or np.any(values < 0):
            raise InvalidArgument(
                f"{name} got a loss that is negative or not finite. Give the mean negative "
                "log-likelihood per token in nats, and leave out records without one."
            )
    return own, others, inside
