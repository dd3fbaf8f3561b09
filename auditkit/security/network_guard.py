"""Network guard: an audit of a local recommender opens no connection to another machine.

An audit hook of Python receives every socket call, including those of libraries and other threads.
A hook cannot be removed, so one hook is installed per process and is active while a `Restriction`
is in force. The hook does not see other processes, or code that calls the operating system
directly.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from auditkit.errors import AuditkitError

__all__ = ["NetworkForbidden", "Restriction", "restricted_network"]

_CALLS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_PACKAGE = str(Path(__file__).resolve().parents[1])
_LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), _PACKAGE, "<frozen")


class NetworkForbidden(AuditkitError):
    """Code tried to reach another machine during an offline audit."""


class Restriction:
    """Hosts that may be reached: this machine, and at most one other host and port.

    Args:
        host, port: the other host and its port, such as those of a recommender's endpoint.

    Attributes:
        violation: the first forbidden attempt, even if the code that made it suppressed the error;
            None without one.
    """

    def __init__(self, host: str | None = None, port: int | None = None) -> None:
        self._host, self._port = _ascii(host), port
        self._addresses: set[str] = set()
        self.violation: NetworkForbidden | None = None

    def check(self) -> None:
        """Raise `NetworkForbidden` for the first forbidden attempt, if there was one."""
        if self.violation is not None:
            raise self.violation

    def inspect(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Reject a socket call to a forbidden host."""
        if event in _LOOKUPS:
            host = arguments[0]
            name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
            if name is None or _is_loopback(str(name)) or str(name) == self._host:
                return
            self._refuse(str(name))
        elif event in _CALLS:
            place = arguments[-1] if event == "socket.sendmsg" else arguments[1]
            if isinstance(place, tuple) and not self._may_connect(str(place[0]), place[1]):
                self._refuse(f"{place[0]} port {place[1]}")

    def _may_connect(self, host: str, port: object) -> bool:
        if _is_loopback(host):
            return True
        if self._host is None or port != self._port:
            return False
        if host not in self._addresses | {
            self._host
        }:  # its name may resolve to another address by now
            found = socket.getaddrinfo(self._host, self._port)
            self._addresses |= {str(address[4][0]) for address in found}
        return host in self._addresses | {self._host}

    def _refuse(self, place: str) -> None:
        error = NetworkForbidden(
            f"{_caller()} tried to connect to {place}, but this audit is offline. Add --online if "
            "the recommender may use the network."
        )
        self.violation = self.violation or error
        raise error


def _ascii(host: str | None) -> str | None:
    """Return the IDNA form of a host name; None if there is none."""
    try:
        return host.encode("idna").decode("ascii") if host else host
    except UnicodeError:
        return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in ("", "localhost")


def _caller() -> str:
    """Return file and line of the code that opened the connection, without absolute folders.

    The code is the innermost frame outside of Python, installed packages and auditkit; if there is
    no such frame, the innermost frame outside of this module.
    """
    frames = [f for f in traceback.extract_stack() if f.filename != __file__]
    foreign = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    frame = (foreign or frames)[-1]
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno}"


class _Switch:
    """The active restriction, which the audit hook of this process reads."""

    def __init__(self) -> None:
        self.restriction: Restriction | None = None
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.restriction is not None and event.startswith("socket."):
            self.restriction.inspect(event, arguments)


@cache
def _switch() -> _Switch:
    return _Switch()


@contextlib.contextmanager
def restricted_network(restriction: Restriction | None) -> Iterator[None]:
    """Context in which a restriction applies to all threads; None restricts nothing."""
    if restriction is None:
        yield
        return
    switch = _switch()
    before, switch.restriction = switch.restriction, restriction
    try:
        yield
    finally:
        switch.restriction = before
