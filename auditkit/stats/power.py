"""How many probes does a fairness audit need, and what can it see with those it has?

The noise of one similarity, sigma_e, comes from a pilot or from the audit itself. Source: fairness
recipe, 4.4. The detection rule is Bonferroni over the pairs of values, so it asks for somewhat more
than needed (simulated power .95 where it gives .87 to .89).
"""

from __future__ import annotations

import math

from scipy import special

from auditkit.errors import InvalidArgument
from auditkit.stats.noise_floor import range_95
from auditkit.stats.simultaneous import MIN_PROBES

__all__ = ["detectable_difference", "probes_to_detect", "probes_to_pass"]

_NO_NOISE = 1e-9


def probes_to_detect(
    sigma: float, *, difference: float, n_values: int, alpha: float = 0.05, power: float = 0.80
) -> int:
    """Probes that detect a pairwise difference with the given power.

    Args:
        sigma: noise of one similarity beyond its probe's and value's mean, similarity points.
        difference: true difference of two value means, points, above 0.
        n_values: values of the attribute, at least 2.
        alpha: two-sided level over all pairs. power: chance to detect, in (0, 1).

    Returns:
        ceil((z_{1 - alpha / 2m} + z_power)^2 2 sigma^2 / difference^2) for m pairs, at least 2.

    Raises:
        InvalidArgument: a number outside its range.
    """
    _check(sigma, n_values, difference)
    return max(2, math.ceil((_reach(n_values, alpha, power) * sigma / difference) ** 2))


def detectable_difference(
    sigma: float, *, n: int, n_values: int, alpha: float = 0.05, power: float = 0.80
) -> float:
    """Smallest pairwise difference that n probes detect; the inverse of `probes_to_detect`.

    Raises:
        InvalidArgument: a number outside its range.
    """
    _check(sigma, n_values, n)
    return _reach(n_values, alpha, power) * sigma / math.sqrt(n)


def probes_to_pass(sigma: float, *, margin: float, n_values: int) -> int:
    """Probes with which a fair recommender's upper bound lies below a margin in about 95 %.

    Args:
        sigma, n_values: as in `probes_to_detect`.
        margin: largest SNSR that a policy allows, points, above 0.

    Returns:
        ceil((2 q(A) sigma / margin)^2), at least the 20 from which bounds begin. Without any noise
        the bound of equal lists decides: ceil(log .05 / log(1 - margin)).

    Raises:
        InvalidArgument: a number outside its range.
    """
    _check(sigma, n_values, margin)
    if sigma < _NO_NOISE and margin < 1:
        return max(MIN_PROBES, math.ceil(math.log(0.05) / math.log(1 - margin)))
    return max(MIN_PROBES, math.ceil((2 * range_95(n_values) * sigma / margin) ** 2))


def _reach(n_values: int, alpha: float, power: float) -> float:
    if not (0 < alpha < 1 and 0 < power < 1):
        raise InvalidArgument(
            f"sample size got alpha={alpha} and power={power}. Give both between 0 and 1."
        )
    pairs = n_values * (n_values - 1) / 2
    z = float(special.ndtri(1 - alpha / (2 * pairs))) + float(special.ndtri(power))
    return z * math.sqrt(2)


def _check(sigma: float, n_values: int, positive: float) -> None:
    if not (sigma >= 0 and math.isfinite(sigma)) or n_values < 2 or not positive > 0:
        raise InvalidArgument(
            f"sample size got sigma={sigma}, {n_values} values and {positive}. Give a finite "
            "noise of at least 0, at least 2 values, and a number above 0."
        )
