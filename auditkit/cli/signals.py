"""Ctrl-C and SIGTERM: the first signal ends the run after the current call, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

__all__ = ["Interrupted", "Signals", "exit_code_of", "handled_signals"]

_GRACE_SECONDS = 10.0
_HANDLED = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal ended the command; `exit_code` is 130 for SIGINT, 143 for SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def exit_code_of(interrupt: KeyboardInterrupt) -> int:
    """Exit code after a signal: 130 for SIGINT, 143 for SIGTERM."""
    return interrupt.exit_code if isinstance(interrupt, Interrupted) else 128 + signal.SIGINT


class Signals:
    """Handlers of SIGINT and SIGTERM, which let a call in progress finish."""

    def __init__(self) -> None:
        self._received = 0
        self._in_flight = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: raise `Interrupted`, or remember a first signal that is deferred."""
        if self._received:
            os._exit(128 + number)
        self._received = number
        if not self._in_flight:
            raise Interrupted(number)
        signal.setitimer(signal.ITIMER_REAL, _GRACE_SECONDS)

    def expire(self, number: int, frame: FrameType | None) -> None:
        """Raise `Interrupted` in a call that is still in progress after the grace period."""
        if self._in_flight:
            raise Interrupted(self._received)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Context manager that defers a first signal to the end of the block, for at most 10
        seconds.
        """
        self._in_flight = True
        try:
            yield
        finally:
            self._in_flight = False
        if self._received:
            raise Interrupted(self._received)


@contextlib.contextmanager
def handled_signals() -> Iterator[Signals]:
    """Context manager that installs the signal handlers."""
    signals = Signals()
    kept = {number: signal.signal(number, signals.receive) for number in _HANDLED}
    kept[signal.SIGALRM] = signal.signal(signal.SIGALRM, signals.expire)
    try:
        yield signals
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in kept.items():
            signal.signal(number, handler)
