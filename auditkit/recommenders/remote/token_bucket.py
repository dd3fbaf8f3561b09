"""Spread requests or tokens evenly over each minute.

What an answer costs in tokens is known only afterwards, so a bucket may owe: then nothing is asked
until the debt is paid, and the average holds.
Source: token bucket (Turner 1986), with debt.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Bucket"]


class Bucket:
    """Fills at a steady rate up to what one second brings, or one unit where that is less.

    Args:
        per_minute: units.
        clock: seconds, monotonic.
    """

    def __init__(self, per_minute: float, *, clock: Callable[[], float]) -> None:
        self._rate = per_minute / 60
        self._most = max(1.0, self._rate)
        self._clock = clock
        self._level, self._at = self._most, clock()

    @property
    def delay(self) -> float:
        """Seconds until something may be taken, 0 for now."""
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        # A whole unit is waited for; less would turn rounding into endless tiny waits.
        return 0.0 if self._level > 1e-9 else (min(1.0, self._most) - self._level) / self._rate

    def take(self, units: float) -> None:
        """Use units up, more than are there if need be."""
        self._level -= units
