"""Smaller audits for trials (`--limit`): the same probes on fewer users or items.

Reducing the number of users or items of a probe keeps paired designs intact, whereas cutting the
list of requests would leave incomplete pairs. Users are sampled in the seeded order of the run, so
the sample is the first part of the full audit, and a later full run reuses its responses.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context

__all__ = ["scaled"]

_SAMPLE_SIZES = ("n_users", "n_probes", "n_items", "n_members")


def scaled(probe: Any, context: Context, limit: int | None) -> tuple[Any, Context]:
    """Limit a probe and its context to `limit` users or items; unchanged if `limit` is None.

    Raises:
        InvalidArgument: limit < 1.
    """
    if limit is None:
        return probe, context
    if limit < 1:
        raise InvalidArgument(f"--limit got {limit}. Give a number of at least 1.")
    sizes = [field.name for field in fields(probe) if field.name in _SAMPLE_SIZES]
    if sizes:
        stated = {name: getattr(probe, name) for name in sizes}
        smaller = {name: limit if n is None else min(n, limit) for name, n in stated.items()}
        return replace(probe, **smaller), context
    users = [context.users[row] for row in sorted(context.sampled_rows(limit))]
    return probe, replace(context, users=users)
