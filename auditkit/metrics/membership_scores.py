"""Membership scores of one text from its token log-probabilities, without a reference model.

Source: Carlini et al. 2021 (zlib); Shi et al. 2024 (Min-K%); Zhang et al. 2024 (Min-K%++).
"""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InvalidArgument

__all__ = ["Moments", "min_k", "min_k_plus_plus", "next_token_moments", "zlib_ratio"]

_SMALLEST_DEVIATION = 1e-6  # a token that was certain says nothing


class Moments(NamedTuple):
    """Mean and standard deviation of the next token's log-probability, nats, [tokens] each."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def zlib_ratio(logprobs: ArrayLike, text: str) -> float | None:
    """Negative log-likelihood of a text over its compressed length.

    A low ratio means that the model finds a text likely although the text does not compress well,
    which suggests that it was in the training data. The membership score is minus this ratio.

    Args:
        logprobs: log-probability of every token of the text, nats, [tokens].
        text: the text of these tokens; its UTF-8 bytes are compressed.

    Returns:
        Nats per byte, at least 0. None without a token.

    Raises:
        InvalidArgument: a log-probability above 0, or one that is not finite.
    """
    values = _checked("zlib_ratio", logprobs)
    if not len(values):
        return None
    return float(-values.sum() / len(zlib.compress(text.encode("utf-8"))))


def min_k(logprobs: ArrayLike, *, fraction: float = 0.2) -> float | None:
    """Mean of the lowest token log-probabilities, which are higher for texts of the training data.

    Args:
        logprobs: log-probability of every token, nats, [tokens].
        fraction: share f of the tokens, in (0, 1]; max(1, floor(f T)) of T tokens are averaged.

    Returns:
        Nats, at most 0; higher is more member-like. None without a token.

    Raises:
        InvalidArgument: a fraction outside (0, 1], or an invalid log-probability.
    """
    values = _checked("min_k", logprobs)
    return _lowest(values, fraction)


def min_k_plus_plus(
    logprobs: ArrayLike, mean: ArrayLike, std: ArrayLike, *, fraction: float = 0.2
) -> float | None:
    """Mean of the lowest standardized log-probabilities z = (logprob - mean) / std.

    A likely token has a higher z where the next-token distribution is flat than where it is peaked.
    z is 0 where the standard deviation is below 1e-6.

    Args:
        logprobs: log-probability of every token, nats, [tokens].
        mean, std: mean and standard deviation of the log-probability of the next token at each
            position, nats, [tokens] each; see `next_token_moments`.
        fraction: share of the tokens, as in `min_k`.

    Returns:
        Mean z, in standard deviations; higher is more member-like. None without a token.

    Raises:
        InvalidArgument: a fraction outside (0, 1], lengths that differ, or an invalid value.
    """
    values = _checked("min_k_plus_plus", logprobs)
    center = np.asarray(mean, dtype=np.float64)
    spread = np.asarray(std, dtype=np.float64)
    if not center.shape == spread.shape == values.shape or not np.all(
        np.isfinite(center) & np.isfinite(spread) & (spread >= 0)
    ):
        raise InvalidArgument(
            f"min_k_plus_plus got log-probabilities of shape {values.shape}, means of shape "
            f"{center.shape} and standard deviations of shape {spread.shape}. Give one finite "
            "mean and one standard deviation of at least 0 per token."
        )
    unsure = spread >= _SMALLEST_DEVIATION
    scaled = np.where(unsure, (values - center) / np.where(unsure, spread, 1.0), 0.0)
    return _lowest(scaled, fraction)


def next_token_moments(log_probabilities: ArrayLike) -> Moments:
    """Mean and standard deviation of log p under the next-token distribution p of each position.

    mean = sum p log p and std^2 = sum p (log p)^2 - mean^2, with 0 log 0 = 0.

    Args:
        log_probabilities: log-probability of every token of the vocabulary at each position, nats,
            [tokens, vocabulary]; minus infinity is allowed.

    Returns:
        The mean, which is the negative entropy, and the standard deviation, nats, [tokens] each.

    Raises:
        InvalidArgument: not a table, or a row that is not a distribution.
    """
    table = np.asarray(log_probabilities, dtype=np.float64)
    if table.ndim != 2 or np.isnan(table).any():
        raise InvalidArgument(
            f"next_token_moments got an array of shape {table.shape}, or one with NaN. Give the "
            "log-probability of every token of the vocabulary, one row per position."
        )
    p = np.exp(table)
    if not np.allclose(p.sum(axis=1), 1.0, atol=1e-4):
        raise InvalidArgument(
            "next_token_moments got a row whose probabilities do not sum to 1. Give "
            "log-probabilities of the whole vocabulary, not logits or only the top "
            "log-probabilities."
        )
    finite = np.where(p > 0, table, 0.0)
    mean = (p * finite).sum(axis=1)
    return Moments(mean, np.sqrt(np.maximum(0.0, (p * finite**2).sum(axis=1) - mean**2)))


def _lowest(values: NDArray[np.float64], fraction: float) -> float | None:
    if not 0 < fraction <= 1:
        raise InvalidArgument(f"min_k got fraction={fraction:g}. Give a fraction in (0, 1].")
    if not len(values):
        return None
    # 0.29 * 100 is 28.999...; such a product means 29.
    n = max(1, math.floor(fraction * len(values) + 1e-9))
    return float(np.sort(values)[:n].mean())


def _checked(name: str, logprobs: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(logprobs, dtype=np.float64)
    if values.ndim != 1 or not np.all(np.isfinite(values)) or np.any(values > 1e-6):
        raise InvalidArgument(
            f"{name} got log-probabilities that are not a list of finite numbers of at most 0. "
            "Give the natural logarithm of the probability of each token."
        )
    return values
