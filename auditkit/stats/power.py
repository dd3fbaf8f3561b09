"""Number of probes that a fairness audit needs, and the difference that it can detect.

The noise of one similarity, sigma_e, comes from a pilot or from the audit itself. The detection
formula is the normal approximation with Bonferroni over the pairs of values, so it returns somewhat
more probes than necessary: where it predicts a power of .87 to .89, the simulated power is .95.
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
    """Number of probes that detect a pairwise difference with the given power.

    Args:
        sigma: standard deviation of a similarity after removing probe and value means, in
            similarity points.
        difference: true difference of two value means, in similarity points, above 0.
        n_values: number of values of the attribute, at least 2.
        alpha: two-sided level over all pairs, in (0, 1).
        power: probability of detection, in (0, 1).

    Returns:
        ceil((z_{1 - alpha / 2m} + z_power)^2 2 sigma^2 / difference^2) for m pairs, at least 2.

    Raises:
        InvalidArgument: a number outside its range.
    """
    _check_design(sigma, n_values, difference)
    return max(2, math.ceil((_reach(n_values, alpha, power) * sigma / difference) ** 2))


def detectable_difference(
    sigma: float, *, n: int, n_values: int, alpha: float = 0.05, power: float = 0.80
) -> float:
    """Smallest pairwise difference that n probes detect; the inverse of `probes_to_detect`.

    Raises:
        InvalidArgument: a number outside its range.
    """
    _check_design(sigma, n_values, n)
    return _reach(n_values, alpha, power) * sigma / math.sqrt(n)


def probes_to_pass(sigma: float, *, margin: float, n_values: int) -> int:
    """Number of probes for which a fair recommender meets a limit on SNSR in about 95 % of audits.

    Args:
        sigma, n_values: as in `probes_to_detect`.
        margin: largest SNSR that a policy allows, in similarity points, above 0.

    Returns:
        ceil((2 q(A) sigma / margin)^2), at least 20, the minimum for bounds. For sigma = 0, the
        number of equal lists whose bound is below the margin: ceil(log .05 / log(1 - margin)).

    Raises:
        InvalidArgument: a number outside its range.
    """
    _check_design(sigma, n_values, margin)
    if sigma < _NO_NOISE and margin < 1:
        return max(MIN_PROBES, math.ceil(math.log(0.05) / math.log(1 - margin)))
    return max(MIN_PROBES, math.ceil((2 * range_95(n_values) * sigma / margin) ** 2))


def _reach(n_values: int, alpha: float, power: float) -> float:
    if not (0 < alpha < 1 and 0 < power < 1):
        raise InvalidArgument(
            f"The sample size got alpha={alpha} and power={power}. Give both between 0 and 1."
        )
    pairs = n_values * (n_values - 1) / 2
    z = float(special.ndtri(1 - alpha / (2 * pairs))) + float(special.ndtri(power))
    return z * math.sqrt(2)


def _check_design(sigma: float, n_values: int, positive: float) -> None:
    if not (sigma >= 0 and math.isfinite(sigma)) or n_values < 2 or not positive > 0:
        raise InvalidArgument(
            f"The sample size got sigma={sigma}, n_values={n_values} and {positive} as margin, "
            "difference or number of probes. Give a finite sigma of at least 0, at least 2 "
            "values, and a margin, difference or number above 0."
        )
