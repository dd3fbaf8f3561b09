"""An event loop in a thread of its own, for callers that may already stand inside another.

A notebook runs its cells inside an event loop, and there `asyncio.run` is refused.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["EventLoop"]

T = TypeVar("T")


class EventLoop:
    """Runs coroutines until it is closed; what they share, such as connections, stays usable."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine, or what it raises; an interrupted wait cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()  # does nothing where there is a result

    def close(self) -> None:
        """End the thread."""
        self.run(self._loop.shutdown_default_executor())
        self._open = False
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        """Go on after a coroutine raised `SystemExit` or `KeyboardInterrupt`: asyncio lets these
        end the loop, and whoever waits for the coroutine would wait for ever.
        """
        while self._open:
            with suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()
