"""Many decisions at once: adjusted p-values that keep the chance of any wrong one small."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["holm"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment.

    Args:
        p_values: one per decision, in [0, 1], in any order.

    Returns:
        Adjusted p-values in the given order, in [0, 1], never below the given ones. Rejecting where
        the adjusted value is below alpha keeps the chance of any wrong rejection at most alpha,
        whatever the dependence.

    Source: Holm 1979; p_(j) = max over i <= j of min(1, (m - i + 1) p_(i)).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
