"""Numbers out of a finding's parameters, which are whatever a run folder says.

A number that no probe writes (text, a boolean, one that no axis could hold) is no number: a page
without it is better than no page.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

__all__ = ["count", "number", "pair"]

_LARGEST = 1e9


def number(parameters: Mapping[str, JsonValue], name: str) -> float | None:
    """The number of a name, None where it is absent or none."""
    return _known(parameters.get(name))


def count(parameters: Mapping[str, JsonValue], name: str) -> int:
    """The whole number of a name, 0 where it is absent, none, or not above 0."""
    value = _known(parameters.get(name))
    return value if isinstance(value, int) and value > 0 else 0


def pair(value: JsonValue) -> tuple[float, float] | tuple[None, None]:
    """Two numbers, or None twice."""
    match value:
        case [first, second]:
            low, high = _known(first), _known(second)
            if low is not None and high is not None:
                return low, high
    return None, None


def _known(value: JsonValue) -> float | None:
    match value:
        case bool():
            return None
        case int() | float() if abs(value) < _LARGEST:
            return value
    return None
