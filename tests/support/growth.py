"""Does work grow linearly with its input? A ratio of processor times, tried again under load."""

from __future__ import annotations

import time
from collections.abc import Callable

TRIES = 5


def grows_linearly(work: Callable[[int], object], size: int, *, times: int = 8) -> bool:
    """Whether input `times` as long takes far less than the `times` squared of quadratic work.

    Other processes lengthen single measurements, so that one try in which the ratio stays below
    a third of the quadratic one is enough; quadratic work passes none.
    """
    return any(
        _seconds(work, size * times) < times**2 / 3 * _seconds(work, size) for _ in range(TRIES)
    )


def _seconds(work: Callable[[int], object], size: int) -> float:
    begun = time.process_time()
    work(size)
    return max(time.process_time() - begun, 1e-3)
