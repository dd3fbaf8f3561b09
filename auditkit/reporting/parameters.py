"""Reading of numbers from the parameters of a finding, which may have any type in a run folder.

Values that no probe writes (text, a boolean, a number too large for an axis) count as missing, so
that the page can still be rendered.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

__all__ = ["count", "known_number", "number", "pair"]

_LARGEST = 1e9


def number(parameters: Mapping[str, JsonValue], name: str) -> float | None:
    """Return the number with this name in the parameters; None if it is missing or not a number."""
    return known_number(parameters.get(name))


def count(parameters: Mapping[str, JsonValue], name: str) -> int:
    """Return the positive integer with this name in the parameters; 0 for any other or no value."""
    value = known_number(parameters.get(name))
    return value if isinstance(value, int) and value > 0 else 0


def pair(value: JsonValue) -> tuple[float, float] | tuple[None, None]:
    """Convert a value to two numbers; (None, None) if it is not a pair of numbers."""
    match value:
        case [first, second]:
            low, high = known_number(first), known_number(second)
            if low is not None and high is not None:
                return low, high
    return None, None


def known_number(value: JsonValue) -> float | None:
    """Return the value if it is a number that fits on an axis; None for any other value."""
    match value:
        case bool():
            return None
        case int() | float() if abs(value) < _LARGEST:
            return value
    return None
