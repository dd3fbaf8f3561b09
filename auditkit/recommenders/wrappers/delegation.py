"""What a wrapper passes on: the capabilities of the recommender behind it that it can honour.

A recommender offers what it has a method for (`protocols`), so a wrapper may have no method that
the one behind it lacks; they are set one by one, as on the actors of a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["offer"]


def offer(
    wrapper: object,
    behind: object,
    *,
    as_they_are: Iterable[str],
    changed: Mapping[str, Callable[..., Any]],
) -> None:
    """Give a wrapper the named attributes that the recommender behind it has.

    Args:
        as_they_are: names that stay what they are behind.
        changed: what the wrapper does under a name instead.
    """
    for name in as_they_are:
        if hasattr(behind, name):
            setattr(wrapper, name, getattr(behind, name))
    for name, method in changed.items():
        if hasattr(behind, name):
            setattr(wrapper, name, method)
