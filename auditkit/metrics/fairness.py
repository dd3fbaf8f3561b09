"""SNSR and SNSV of FaiRLLM: differences in list shift between the values of an attribute.

Both measure the spread of mean similarities, so they are above 0 for any recommender that samples.
The noise floor and the bounds are in `auditkit.stats`. Source: Zhang et al. 2023 (FaiRLLM, Eq.
5-6).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InvalidArgument

__all__ = ["snsr", "snsv"]


def snsr(similarities: Mapping[str, Sequence[float | None]]) -> float | None:
    """Sensitive-to-neutral similarity range: largest minus smallest mean over the values.

    Args:
        similarities: for each value of the attribute, one similarity per probe, with the probes in
            the same order. None marks a missing response; its probe is excluded for all values.

    Returns:
        Similarity points, in [0, 1] for similarities in [0, 1]; ideal 0. None if no probe is
        complete.

    Raises:
        InvalidArgument: fewer than 2 values, values with different numbers of probes, or a
            similarity that is not finite.

    Source: FaiRLLM Eq. 5.
    """
    means = _value_means(similarities)
    return None if means is None else float(np.ptp(means))


def snsv(similarities: Mapping[str, Sequence[float | None]]) -> float | None:
    """Sensitive-to-neutral similarity variance: population SD of the mean similarities.

    Args:
        similarities: as in `snsr`.

    Returns:
        Similarity points, in [0, 1/2] for similarities in [0, 1]; SNSR / 2 for two values; ideal
        0. None if no probe is complete.

    Raises:
        InvalidArgument: as in `snsr`.

    Source: FaiRLLM Eq. 6.
    """
    means = _value_means(similarities)
    return None if means is None else float(means.std())


def _value_means(
    similarities: Mapping[str, Sequence[float | None]],
) -> NDArray[np.float64] | None:
    lengths = {value: len(row) for value, row in similarities.items()}
    if len(lengths) < 2 or len(set(lengths.values())) > 1:
        raise InvalidArgument(
            f"The similarities have {len(lengths)} attribute values with "
            f"{sorted(set(lengths.values()))} probes. Give at least 2 values, each with one entry "
            "per probe."
        )
    complete: list[list[float]] = []
    for probe in zip(*similarities.values(), strict=True):
        known = [float(entry) for entry in probe if entry is not None]
        if not all(map(math.isfinite, known)):
            raise InvalidArgument(
                "A similarity is not finite. Give None for a missing similarity, so that its "
                "probe is left out."
            )
        if len(known) == len(probe):
            complete.append(known)
    if not complete:
        return None
    means: NDArray[np.float64] = np.array(complete).mean(axis=0)
    return means
