"""Rate limiter that spreads requests or tokens evenly over each minute.

The tokens of a response are known only afterwards, so the level of a bucket may become negative;
then requests wait until it is positive again, which keeps the average rate.
Source: token bucket (Turner 1986), with a negative level allowed.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Bucket"]


class Bucket:
    """A token bucket with the capacity of one second at its rate, and at least one unit.

    Args:
        per_minute: units per minute.
        clock: monotonic time in seconds.
    """

    def __init__(self, per_minute: float, *, clock: Callable[[], float]) -> None:
        self._rate = per_minute / 60
        self._most = max(1.0, self._rate)
        self._clock = clock
        self._level, self._at = self._most, clock()

    @property
    def delay(self) -> float:
        """Seconds until units may be taken; 0 if they may be taken now."""
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        # Wait for one full unit; with less, rounding errors would cause endless tiny waits.
        return 0.0 if self._level > 1e-9 else (min(1.0, self._most) - self._level) / self._rate

    def take(self, units: float) -> None:
        """Take units, even if the level becomes negative."""
        self._level -= units
