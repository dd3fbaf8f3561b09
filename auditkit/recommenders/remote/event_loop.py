"""An event loop in a separate thread, for callers that may already run inside another loop.

A notebook runs its cells inside an event loop, where `asyncio.run` raises an error.
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
    """Runs coroutines until it is closed, so that they can share connections."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result. Its exceptions are raised; an interrupt cancels
        it.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()  # no effect if there is a result

    def close(self) -> None:
        """Stop the loop and join its thread."""
        self.run(self._loop.shutdown_default_executor())
        self._open = False
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        """Run the loop, and restart it after a coroutine raised `SystemExit` or
        `KeyboardInterrupt`: these stop an asyncio loop, and callers that wait for other coroutines
        would block forever.
        """
        while self._open:
            with suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()
