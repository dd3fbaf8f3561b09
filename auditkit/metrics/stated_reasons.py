"""Agreement of stated reasons with the measured causes of a recommendation.

A reason is a set of positions of the history. It is compared with an attribution of the same
recommendation. Deleting the stated items is compared with deleting as many other items. Source:
Turpin et al. 2023 (stated reasons that are not the cause); the tests are permutation tests,
explained in docs/explain/explanations.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from auditkit.errors import InvalidArgument

__all__ = ["Deletion", "chance_of_hit", "is_hit", "pooled_p_values", "positive_mass"]

FEWEST_CONTROLS = 99
_TOLERANCE = 1e-12


class Deletion(NamedTuple):
    """Effects of deleting the stated items of one reason, and of deleting as many other items.

    Attributes:
        size: number of stated items.
        stated: drop of the value after deleting the stated items.
        controls: drop after deleting each control set of the same size; at least one.
    """

    size: int
    stated: float
    controls: tuple[float, ...]

    @property
    def effect(self) -> float:
        """Drop after deleting the stated items minus the mean drop of the controls."""
        return self.stated - float(np.mean(self.controls))


def is_hit(order: Sequence[int], stated: Sequence[int], *, k: int) -> bool:
    """Whether a stated item is among the first k of an order by attribution.

    Args:
        order: all positions of the history, the largest attribution first.
        stated: stated positions, at least one.

    Raises:
        InvalidArgument: k < 1, no stated position, or a stated position that is not in `order`.
    """
    _check(len(order), len(stated), k)
    if not set(stated) <= set(order):
        raise InvalidArgument(
            f"is_hit got the stated positions {sorted(stated)} and an order of {len(order)} "
            "positions. Give at least one stated position, and only positions in the order."
        )
    return bool(set(order[:k]) & set(stated))


def chance_of_hit(n: int, size: int, *, k: int) -> float:
    """Probability that `size` random positions out of n include one of k given positions.

    Raises:
        InvalidArgument: k < 1, or size outside 1..n.
    """
    _check(n, size, k)
    return 1 - math.comb(n - min(k, n), size) / math.comb(n, size)


def positive_mass(attribution: Sequence[float], stated: Sequence[int]) -> float | None:
    """Share of the positive attribution that belongs to the stated positions, in [0, 1]; ideal 1.

    None if no attribution is positive.
    """
    positive = np.maximum(np.asarray(attribution, dtype=np.float64), 0)
    total = float(positive.sum())
    return float(positive[list(stated)].sum() / total) if total > 0 else None


def pooled_p_values(deletions: Mapping[str, Deletion]) -> dict[str, float | None]:
    """One-sided p-value of each deletion effect, compared with deletions of as many other items.

    The few controls of one prompt cannot give a small p-value. The controls of all prompts that
    delete the same number of items are therefore pooled, each centered on the other controls of its
    prompt.

    Args:
        deletions: for each user, the deletion effects of a stated reason and of its controls.

    Returns:
        p = (1 + number of control effects at least as large) / (1 + number of control effects), in
        (0, 1]; None with fewer than 99 control effects, which cannot show p < 0.01.

    Source: Phipson & Smyth 2010 for the +1.
    """
    pools: dict[int, list[float]] = {}
    for one in deletions.values():
        total, m = sum(one.controls), len(one.controls)
        if m > 1:
            centered = (drop - (total - drop) / (m - 1) for drop in one.controls)
            pools.setdefault(one.size, []).extend(centered)
    found: dict[str, float | None] = {}
    for user, one in deletions.items():
        pool = np.asarray(pools.get(one.size, ()), dtype=np.float64)
        at_least = int((pool >= one.effect - _TOLERANCE).sum())
        found[user] = (1 + at_least) / (1 + len(pool)) if len(pool) >= FEWEST_CONTROLS else None
    return found


def _check(n: int, size: int, k: int) -> None:
    if k < 1 or not 1 <= size <= n:
        raise InvalidArgument(
            f"The hit rate of reasons got k={k} and {size} stated of {n} items. Give a k of at "
            f"least 1, and from 1 to {n} stated items."
        )
