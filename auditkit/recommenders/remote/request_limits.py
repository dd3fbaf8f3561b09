"""Timeouts, retries and rate limits for a remote recommender.

They do not affect responses, so they are set in the environment and not in a recipe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from auditkit.errors import ConfigurationError, InvalidArgument

__all__ = ["RequestLimits"]

_VARIABLES = {
    "AUDITKIT_MAX_CONNECTIONS": "max_connections",
    "AUDITKIT_REQUESTS_PER_MINUTE": "requests_per_minute",
    "AUDITKIT_TOKENS_PER_MINUTE": "tokens_per_minute",
    "AUDITKIT_REQUEST_SECONDS": "seconds",
}


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """Timeouts, retries and rate limits for one remote recommender.

    Attributes:
        connections: concurrent requests at the start. max_connections: maximum concurrency.
        requests_per_minute, tokens_per_minute: rate limits; None for unlimited.
        attempts: maximum number of attempts per request.
        seconds: timeout per HTTP exchange, measured locally, so a slow trickle of bytes also times
            out; scoring n texts takes n exchanges.
        longest_retry_after: seconds; a request fails if the server demands a longer wait.
        waiting: maximum total backoff per run, in seconds.

    Raises:
        InvalidArgument: a limit is too small to send any request.
    """

    connections: int = 4
    max_connections: int = 8
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    attempts: int = 5
    seconds: float = 120
    longest_retry_after: float = 300
    waiting: float = 900

    def __post_init__(self) -> None:
        for name in ("connections", "max_connections", "attempts"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"{name} is {getattr(self, name)}. Give at least 1.")
        for name in ("requests_per_minute", "tokens_per_minute", "seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InvalidArgument(f"{name} is {value}. Give a number above 0.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> RequestLimits:
        """The defaults, with `AUDITKIT_MAX_CONNECTIONS`, `AUDITKIT_REQUESTS_PER_MINUTE`,
        `AUDITKIT_TOKENS_PER_MINUTE` and `AUDITKIT_REQUEST_SECONDS` if they are set.

        Raises:
            ConfigurationError: a variable is not a number above 0.
        """
        found: dict[str, int | float] = {}
        for variable, name in _VARIABLES.items():
            if not (text := environment.get(variable, "").strip()):
                continue
            try:
                found[name] = int(text) if name == "max_connections" else float(text)
                cls(**{name: found[name]})  # type: ignore[arg-type]
            except (ValueError, InvalidArgument):
                kind = "whole number" if name == "max_connections" else "number"
                raise ConfigurationError(
                    f"the environment variable {variable} is {text!r}. Give a {kind} above 0."
                ) from None
        return cls(**found)  # type: ignore[arg-type]
