"""Time left in the current step of a probe, and money spent, for the progress display."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditkit.recommenders.execution.stop_rule import StopRule, Tokens
    from auditkit.recommenders.loading.target_card import Price

__all__ = ["StepProgress", "money_spent"]

_MINUTE = 60.0
_SURE = 2.0  # seconds of a step before its rate is extrapolated


class StepProgress:
    """Counts finished requests and extrapolates the rate of the current step.

    The numbers of requests of later steps and probes are unknown, so the time covers only the
    current step.

    Args:
        stop: counts the tokens of the run; None if tokens are not shown.
        price: price of a million tokens; None if unknown.
        clock: returns a time in seconds.
    """

    def __init__(
        self,
        stop: StopRule | None = None,
        price: Price | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stop, self._price, self._clock = stop, price, clock
        self._finished = self._left = self._of_step = 0
        self._began = clock()

    def add(self, done: int, left: int) -> None:
        """Add `done` finished requests; a new step begins if `left` exceeds the previous number of
        requests left.
        """
        if left >= self._left:  # recorded requests of a new step are reported at its beginning
            self._began, self._of_step = self._clock(), 0
        else:
            self._of_step += done
        self._finished += done
        self._left = left

    def text(self) -> str:
        """Progress as text, such as `1,200 requests, 3 min left in this step, 0.12 USD`."""
        parts = [f"{self._finished:,} requests"]
        seconds = self._clock() - self._began
        if self._left and self._of_step and seconds >= _SURE:
            remaining = seconds / self._of_step * self._left
            shown = f"{remaining / _MINUTE:.0f} min" if remaining >= _MINUTE else "under 1 min"
            parts.append(f"{shown} left in this step")
        if self._stop is not None and self._price is not None:
            parts.append(money_spent(self._stop.tokens, self._price))
        return ", ".join(parts)


def money_spent(tokens: Tokens, price: Price) -> str:
    """The cost of tokens as text, such as `0.12 USD`."""
    cost = (tokens.read * price.input + tokens.written * price.output) / 1e6
    return f"{cost:,.2f} {price.currency}"
