"""Call user-supplied code with a deadline; a call that exceeds it is abandoned, but not
terminated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["DeadlinePassed", "call_within"]

T = TypeVar("T")


class DeadlinePassed(TimeoutError):
    """A call exceeded its deadline and was abandoned."""


def call_within(seconds: float | None, call: Callable[[], T]) -> T:
    """Return the result of a call, run in a separate thread if there is a deadline.

    A thread cannot be terminated from outside, so after the deadline it is left running as a
    daemon.

    Args:
        seconds: deadline; None runs the call in the current thread.

    Raises:
        DeadlinePassed: the call did not return in time. Exceptions of the call are raised
            unchanged.
    """
    if seconds is None:
        return call()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise DeadlinePassed(f"no response within {seconds:g} seconds")
    if errors:
        raise errors[0]
    return results[0]
