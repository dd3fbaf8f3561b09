"""A result that could not be computed, with the reason."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Missing"]


class Missing(NamedTuple):
    """A result that could not be computed, and why."""

    reason: str
