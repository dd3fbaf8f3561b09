"""Upper confidence bound of the mean of numbers in [0, 1] that are nearly all 0.

For such data a bootstrap has too few nonzero values to resample, and Clopper-Pearson on the share
above 0 ignores how small the values are. Gaffke's bound uses both: it equals Clopper-Pearson for
numbers that are 0 or 1, equals 1 - alpha^(1/n) if all are 0, and never exceeds Clopper-Pearson on
the share above 0. Its coverage is proved for two-valued numbers and conjectured otherwise;
`tests/stats/test_bounded_mean.py` simulates it. Source: Gaffke 2005; Learned-Miller & Thomas 2020
(arXiv 1905.06208).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from auditkit.errors import InvalidArgument

__all__ = ["gaffke_upper"]


def gaffke_upper(
    values: ArrayLike, *, level: float, rng: np.random.Generator, draws: int = 20_000
) -> float:
    """Upper confidence bound of the mean of numbers in [0, 1].

    The bound is the `level` quantile, over uniform order statistics u, of
    1 - sum_i u_(i) (z_(i+1) - z_(i)) with z sorted and z_(n+1) = 1.

    Args:
        values: independent numbers in [0, 1], shape [n].
        level: one-sided coverage, in (0, 1).
        rng: generator for the order statistics.
        draws: number of simulated sets of order statistics.

    Returns:
        Bound in [mean, 1].

    Raises:
        InvalidArgument: no values, or a value outside [0, 1].
    """
    z = np.sort(np.asarray(values, dtype=np.float64))
    if not len(z) or z[0] < 0 or z[-1] > 1:
        raise InvalidArgument(
            f"gaffke_upper got {len(z)} values, or one outside [0, 1]. Give at least one value, "
            "all in [0, 1]."
        )
    n = len(z)
    if z[-1] == 0:
        return float(1 - (1 - level) ** (1 / n))
    steps = np.diff(np.append(z, 1.0))  # of z_(i), i = 1..n
    # Only order statistics at which z increases contribute, and uniform order statistics can be
    # simulated from the largest down as products.
    rises = np.flatnonzero(steps > 0)
    if not len(rises):
        return 1.0
    ranks = np.arange(n, rises[0], -1)  # n, n - 1, ..., down to the first increase
    logs = np.log(rng.random((draws, len(ranks)))) / ranks
    order_statistics = np.exp(np.cumsum(logs, axis=1))
    means = 1 - order_statistics @ steps[ranks - 1]
    return float(max(np.quantile(means, level, method="higher"), z.mean()))
