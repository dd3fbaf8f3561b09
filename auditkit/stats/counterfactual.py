"""SNSR and SNSV of one attribute, with noise floor, permutation p-value and simultaneous bounds.

SNSR is a range of means. Even for a fair recommender that samples, this range is above 0 and grows
with the number of values, and the paper gives no interval for it. Source: Zhang et al. 2023
(FaiRLLM, Eq. 5 and 6) for SNSR and SNSV; docs/explain/fairness.md for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from auditkit.errors import InvalidArgument
from auditkit.stats.list_shift import list_shift_tests
from auditkit.stats.noise_floor import noise_floor
from auditkit.stats.simultaneous import snsr_bounds

__all__ = ["CounterfactualTest", "counterfactual_test"]


@dataclass(frozen=True, kw_only=True)
class CounterfactualTest:
    """SNSR and SNSV of one attribute with their uncertainty, in similarity points.

    Attributes:
        snsr: largest minus smallest mean similarity over the values, [0, 1]; ideal 0, compare with
            `noise_floor`.
        snsv: population standard deviation of the mean similarities.
        snsv_corrected: SNSV after subtracting the variance expected from noise, at least 0.
        noise_floor: expected SNSR of a fair recommender with the same noise, d2(A) sigma / sqrt(n).
        p_value: p-value of SNSR from permuting values inside probes, (0, 1].
        low, high: simultaneous 95 % bounds of SNSR; None below 20 probes.
        n, n_missing: number of complete probes, and number of probes dropped because a cell is
            missing.

    With fewer than 2 complete probes or 2 values, every number except n and n_missing is None.
    """

    snsr: float | None
    snsv: float | None
    snsv_corrected: float | None
    noise_floor: float | None
    p_value: float | None
    low: float | None
    high: float | None
    n: int
    n_missing: int


def counterfactual_test(
    similarities: ArrayLike,
    *,
    rng: np.random.Generator,
    n_permutations: int = 9_999,
    n_bootstrap: int = 2_000,
) -> CounterfactualTest:
    """Test whether some values of an attribute change the list more than others.

    Args:
        similarities: [n_probes, n_values] in [0, 1], mean similarity of a value's lists to the
            neutral list of the same probe; NaN marks a missing cell and drops that probe.
        rng: generator for the permutations, then for the resamples.
        n_permutations: number of permutations of the values inside probes.
        n_bootstrap: number of resamples of whole probes.

    Raises:
        InvalidArgument: not a table, or a similarity outside [0, 1].
    """
    table = np.asarray(similarities, dtype=np.float64)
    if table.ndim != 2 or np.any((table < 0) | (table > 1)):
        raise InvalidArgument(
            f"counterfactual_test got an array of shape {table.shape}. Give similarities in [0, "
            "1], one row per probe and one column per value of the attribute."
        )
    complete = table[~np.isnan(table).any(axis=1)]
    n, n_missing = len(complete), len(table) - len(complete)
    if n < 2 or table.shape[1] < 2:
        return CounterfactualTest(
            snsr=None, snsv=None, snsv_corrected=None, noise_floor=None, p_value=None,
            low=None, high=None, n=n, n_missing=n_missing,
        )  # fmt: skip
    (tested,) = list_shift_tests(complete[None], rng=rng, draws=n_permutations)
    bounds = snsr_bounds(complete, rng=rng, draws=n_bootstrap)
    floor = noise_floor(complete)
    return CounterfactualTest(
        snsr=bounds.value,
        snsv=tested.snsv.statistic,
        snsv_corrected=floor.snsv_corrected,
        noise_floor=floor.expected_snsr,
        p_value=tested.snsr.p,
        low=bounds.bounds.low if bounds.bounds else None,
        high=bounds.bounds.high if bounds.bounds else None,
        n=n,
        n_missing=n_missing,
    )
