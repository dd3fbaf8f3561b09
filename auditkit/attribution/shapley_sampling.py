"""Sampled Shapley values: permutations in antithetic pairs, and paired KernelSHAP.

The values of both methods sum to v(all) - v(none), so they depend on the value for an empty
history, which a language model may never have seen in training. The estimator `linear` does not
depend on it. Source: Castro et al. 2009 and Mitchell et al. 2022 (antithetic permutations);
Lundberg & Lee 2017; Covert & Lee 2021 (paired KernelSHAP).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from auditkit.attribution.linear import Fit
from auditkit.attribution.masks import bits_of, mask_of

__all__ = ["kernel_masks", "kernel_shap", "order_masks", "orders", "shapley_of_orders"]

_RESAMPLES = 1000


def orders(n: int, budget: int, rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    """Sample permutations, each followed by its reverse, that need at most `budget` evaluations.

    At least one pair of permutations is returned, which needs 2n evaluations.
    """
    n_pairs = max(1, (budget - 2) // max(1, 2 * (n - 1)))
    drawn = [tuple(int(i) for i in rng.permutation(n)) for _ in range(n_pairs)]
    return tuple(order for one in drawn for order in (one, one[::-1]))


def order_masks(paths: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the distinct masks that occur when spans are added in the given orders."""
    found = {0: None}
    for path in paths:
        found.update(dict.fromkeys(mask_of(path[:k]) for k in range(1, len(path) + 1)))
    return tuple(found)


def shapley_of_orders(
    known: Mapping[int, float], paths: Sequence[Sequence[int]], n: int, rng: np.random.Generator
) -> Fit | None:
    """Average marginal contributions over permutations, with a bootstrap over antithetic pairs.

    A pair with a missing value is left out. None if every pair has a missing value.
    """
    rows = []
    for first, second in zip(paths[::2], paths[1::2], strict=True):
        if all(mask in known for mask in order_masks([first, second])):
            rows.append((_marginals(known, first) + _marginals(known, second)) / 2)
    if not rows:
        return None
    marginals = np.array(rows)
    if len(rows) < 5:
        note = "no interval: fewer than 5 pairs of permutations"
        return Fit(marginals.mean(axis=0), note=note)
    drawn = rng.integers(0, len(rows), size=(_RESAMPLES, len(rows)))
    low, high = np.quantile(marginals[drawn].mean(axis=1), (0.025, 0.975), axis=0)
    return Fit(marginals.mean(axis=0), low, high)


def _marginals(known: Mapping[int, float], path: Sequence[int]) -> NDArray[np.float64]:
    found, mask = np.zeros(len(path)), 0
    for i in path:
        found[i] = known[mask | 1 << i] - known[mask]
        mask |= 1 << i
    return found


def kernel_masks(n: int, budget: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Sample complementary pairs of masks with KernelSHAP's weights, and add the empty and whole
    mask.

    Sizes s are sampled with probability proportional to 1 / (s (n - s)), which is the kernel times
    the number of subsets of size s. Masks may repeat.
    """
    whole, found = (1 << n) - 1, []
    if n > 1:
        sizes = np.arange(1, n)
        weights = 1 / (sizes * (n - sizes))
        for _ in range(max(1, (budget - 2) // 2)):
            size = int(rng.choice(sizes, p=weights / weights.sum()))
            mask = mask_of([int(i) for i in rng.permutation(n)[:size]])
            found += [mask, whole ^ mask]
    return (*found, 0, whole)


def kernel_shap(known: Mapping[int, float], masks: Sequence[int], n: int) -> NDArray[np.float64]:
    """Fit least squares under the constraint that the values sum to v(all) - v(none), [n].

    Args:
        known: values by mask, including the empty and the whole mask.
        masks: masks of the fit, ending with the empty and the whole mask.
        n: number of spans.
    """
    total = known[(1 << n) - 1] - known[0]
    if n == 1:
        return np.array([total])
    used = [mask for mask in masks[:-2] if mask in known]
    design = bits_of(used, n)
    values = np.array([known[mask] for mask in used]) - known[0]
    # The constraint is eliminated: the last value is the total minus the others.
    left, *_ = np.linalg.lstsq(
        design[:, :-1] - design[:, -1:], values - design[:, -1] * total, rcond=None
    )
    return np.append(left, total - left.sum())
