"""Call foreign code with a deadline: past it the call is left running and given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["DeadlinePassed", "call_within"]

T = TypeVar("T")


class DeadlinePassed(TimeoutError):
    """A call was given up."""


def call_within(seconds: float | None, call: Callable[[], T]) -> T:
    """The result of a call, which runs in a thread of its own where it has a deadline.

    A thread cannot be ended from outside; past its deadline it is abandoned as a daemon.

    Raises:
        DeadlinePassed: no result in time. Otherwise whatever the call raises.
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
        raise DeadlinePassed(f"no answer within {seconds:g} seconds")
    if errors:
        raise errors[0]
    return results[0]
