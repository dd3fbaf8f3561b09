"""Give a wrapper the methods of the wrapped recommender that the wrapper supports.

A capability is the presence of a method (`protocols`), so a wrapper must not have a method that the
wrapped recommender lacks. For that reason, methods are set one by one on the instance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["OF_LISTS", "offer"]

# What a wrapper that provides only lists delegates unchanged.
OF_LISTS = (
    "prompts",
    "render",
    "reference",
    "manifest",
    "reads_prompt",
    "reads_history",
    "work",
    "run_notes",
)


def offer(
    wrapper: object,
    inner: object,
    *,
    as_they_are: Iterable[str],
    changed: Mapping[str, Callable[..., Any]],
) -> None:
    """Give a wrapper those of the named attributes that the wrapped recommender has.

    Args:
        inner: the wrapped recommender.
        as_they_are: names that are delegated unchanged.
        changed: replacement for each name that the wrapper changes.
    """
    for name in as_they_are:
        if hasattr(inner, name):
            setattr(wrapper, name, getattr(inner, name))
    for name, method in changed.items():
        if hasattr(inner, name):
            setattr(wrapper, name, method)
