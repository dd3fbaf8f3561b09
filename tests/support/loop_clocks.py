"""Event loops whose clocks count events, so that no test depends on how busy the machine is."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from protocol_server import Behavior

from auditkit.recommenders.remote.http_client import Server

_POLL_SECONDS = 0.001
_STEP_SECONDS = 0.02


class _NextTimer(selectors.DefaultSelector):
    """Does not wait for the next timer: it puts the clock forward to it."""

    now = 0.0

    def select(self, timeout=None):
        ready = super().select(None if timeout is None else 0)
        if timeout is not None and not ready:
            self.now += timeout
        return ready


class _Polling(selectors.DefaultSelector):
    def select(self, timeout=None):
        return super().select(_POLL_SECONDS if timeout is None else min(timeout, _POLL_SECONDS))


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that is told the time."""

    def __init__(self, selector: selectors.BaseSelector, clock: Callable[[], float]) -> None:
        super().__init__(selector)
        self.time = clock


@contextmanager
def loops_without_waiting() -> Iterator[None]:
    """New event loops sleep in no time: it passes only where everybody sleeps."""

    def new_loop():
        selector = _NextTimer()
        return _Loop(selector, lambda: selector.now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "new_event_loop", new_loop)
        yield


@contextmanager
def loops_that_wait_for_stalls(seen: Behavior) -> Iterator[None]:
    """For new event loops time passes only where the server lets hang what is under way, if any."""
    now, under_way, given_up = 0.0, 0, 0
    before, post = seen.stalled, Server.post

    async def counted(server, path, body, **where):
        nonlocal under_way, given_up
        under_way += 1
        try:
            return await post(server, path, body, **where)
        except asyncio.CancelledError:
            given_up += 1
            raise
        finally:
            under_way -= 1

    def clock():
        nonlocal now
        if under_way == seen.stalled - before - given_up:
            now += _STEP_SECONDS
        return now

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Server, "post", counted)
        patch.setattr(asyncio, "new_event_loop", lambda: _Loop(_Polling(), clock))
        yield
