"""Attribution estimators: the masks that each needs, and the attribution from the measured values.

An estimator is used in two steps, so that the masks of all estimators and tests of one prompt can
be measured in one call: `plan` samples masks, and `estimate` computes the attribution from their
values. Both are deterministic given the generator. With few spans, all masks fit into the default
budget, and the default estimator returns exact Banzhaf values. Sources: see `linear` and
`shapley_sampling`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.attribution.linear import Fit, lasso, paired_least_squares, ridge
from auditkit.attribution.masks import every_mask, paired_masks, uniform_masks
from auditkit.attribution.missing import Missing
from auditkit.attribution.shapley_sampling import (
    kernel_masks,
    kernel_shap,
    order_masks,
    orders,
    shapley_of_orders,
)
from auditkit.errors import InvalidArgument
from auditkit.metrics.attribution import banzhaf, shapley

__all__ = [
    "ESTIMATORS", "Attribution", "Estimator", "Plan", "estimate", "plan", "ranking",
]  # fmt: skip

Estimator = Literal["linear", "lasso", "loo", "shapley", "kernelshap", "banzhaf", "exact"]
ESTIMATORS: tuple[Estimator, ...] = (
    "linear", "lasso", "loo", "shapley", "kernelshap", "banzhaf", "exact",
)  # fmt: skip
MOST_EXACT = 10
Known = Mapping[int, float]


@dataclass(frozen=True)
class Plan:
    """Masks that an estimator needs.

    Attributes:
        estimator: name; `exact` means exact Shapley values and `banzhaf` exact Banzhaf values, both
            from all 2^n masks.
        n: number of spans.
        masks: masks in the order of the estimator, possibly with repeats.
        orders: permutations of the spans, for `shapley`.
        paired: whether the masks are complementary pairs.
    """

    estimator: Estimator
    n: int
    masks: tuple[int, ...]
    orders: tuple[tuple[int, ...], ...] = ()
    paired: bool = False

    @property
    def needed(self) -> tuple[int, ...]:
        """The distinct masks, including the empty and the whole mask."""
        return tuple(dict.fromkeys((*self.masks, 0, (1 << self.n) - 1)))


@dataclass(frozen=True, eq=False)
class Attribution:
    """Effect of every span on the value of one item.

    Attributes:
        estimator: name of the estimator.
        values: effects [n], in the unit of the value function.
        low, high: ends of 95 % intervals [n]; equal to the values if these are deterministic, None
            if there is no interval.
        note: why there is no interval; otherwise empty.
        evaluations: number of masks in the fit, counting repeats.
    """

    estimator: Estimator
    values: NDArray[np.float64]
    low: NDArray[np.float64] | None
    high: NDArray[np.float64] | None
    evaluations: int
    note: str = ""


def ranking(values: NDArray[np.float64]) -> list[int]:
    """Return span positions by descending attribution; of equal spans, the lower position is
    first.
    """
    return [int(i) for i in np.argsort(-values, kind="stable")]


def plan(
    estimator: Estimator,
    n: int,
    rng: np.random.Generator,
    *,
    budget: int | None = None,
    min_kept: int = 0,
) -> Plan:
    """Sample the masks of an estimator.

    Args:
        estimator: name of the estimator.
        n: number of spans, at least 1.
        rng: generator for the masks.
        budget: largest number of evaluations; None for max(32, 4n), or for 25 permutations with
            `shapley`. `loo` always needs n + 1 evaluations, `banzhaf` and `exact` need 2^n.
        min_kept: smallest number of kept spans in a mask of `linear`, for models whose value for an
            empty history is an outlier.

    Raises:
        InvalidArgument: there are no spans, or too many for exact values.
    """
    if n < 1:
        raise InvalidArgument(
            "an attribution estimator got no spans. Explain a request with a history."
        )
    m = budget or (25 * n + 1 if estimator == "shapley" else max(32, 4 * n))
    whole = (1 << n) - 1
    if estimator in ("banzhaf", "exact"):
        if n > MOST_EXACT:
            raise InvalidArgument(
                f"exact values of {n} spans need {1 << n} evaluations. Use at most {MOST_EXACT} "
                "spans, or the estimator `linear`."
            )
        return Plan(estimator, n, every_mask(n))
    if estimator == "loo":
        return Plan(estimator, n, (whole, *(whole ^ 1 << i for i in range(n))))
    if estimator == "shapley":
        paths = orders(n, m, rng)
        return Plan(estimator, n, order_masks(paths), paths)
    if estimator == "kernelshap":
        return Plan(estimator, n, kernel_masks(n, m, rng))
    if 1 << n <= m:
        return Plan("banzhaf" if estimator == "linear" else estimator, n, every_mask(n))
    if estimator == "linear" and m >= 2 * (n + 1):
        return Plan(estimator, n, paired_masks(n, m, rng, min_kept=min_kept), paired=True)
    return Plan(estimator, n, uniform_masks(n, m, rng, min_kept=min_kept))


def estimate(
    planned: Plan, known: Known, rng: np.random.Generator, *, n_tokens: int = 1
) -> Attribution | Missing:
    """Compute the attribution from the measured values.

    Args:
        planned: the result of `plan`.
        known: values by mask; masks that are absent count as missing.
        rng: generator for the bootstrap over permutations.
        n_tokens: number of tokens of the item, for `lasso`.

    Returns:
        The attribution; Missing if too few values are known.
    """
    n, name = planned.n, planned.estimator
    ends = 0, (1 << n) - 1
    if name in ("banzhaf", "exact", "loo") or n == 1:
        lacking = [m for m in (planned.masks if n > 1 else ends) if m not in known]
        if lacking:
            return Missing(f"{len(lacking)} of {len(planned.masks)} values are missing")
        return _deterministic(planned, known)
    if name == "kernelshap" and not all(mask in known for mask in ends):
        return Missing("the value of the whole request or of the empty request is missing")
    if name == "shapley":
        fit = shapley_of_orders(known, planned.orders, n, rng)
        if fit is None:
            return Missing("every pair of permutations has a missing value")
        evaluations = n * len(planned.orders) + 1
    else:
        left = [mask for mask in planned.masks if mask in known]
        if len(left) <= 2:
            return Missing(f"only {len(left)} of {len(planned.masks)} values are known")
        fit, evaluations = _fit(planned, known, left, n_tokens), len(planned.masks)
    return Attribution(name, fit.values, fit.low, fit.high, evaluations, fit.note)


def _deterministic(planned: Plan, known: Known) -> Attribution:
    n, whole = planned.n, (1 << planned.n) - 1
    if n == 1:
        values = np.array([known[whole] - known[0]])
    elif planned.estimator == "loo":
        values = np.array([known[whole] - known[whole ^ 1 << i] for i in range(n)])
    else:
        table = np.array([known[mask] for mask in range(1 << n)])
        values = np.asarray(shapley(table) if planned.estimator == "exact" else banzhaf(table))
    note = "deterministic"
    return Attribution(planned.estimator, values, values, values, len(planned.masks), note)


def _fit(planned: Plan, known: Known, left: list[int], n_tokens: int) -> Fit:
    n = planned.n
    if planned.estimator == "kernelshap":
        return Fit(kernel_shap(known, planned.masks, n), note="no interval is known")
    if planned.estimator == "lasso":
        return Fit(lasso(known, left, n, n_tokens=n_tokens), note="no interval is known")
    if planned.paired:
        return paired_least_squares(known, planned.masks, n)
    return Fit(ridge(known, left, n), note="no interval: masks are not paired")
