"""A smaller audit for trying things out: the same probes on fewer users or items.

A probe that takes a number of users or items gets a smaller one, so that its paired designs stay
whole; cutting its list of requests instead would leave pairs without their second half. Users are
sampled in the order of the run's seed, so the sample is the beginning of the full audit's and a
later full run goes on from its answers.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from auditkit.errors import InvalidArgument
from auditkit.probes.base import Context

__all__ = ["scaled"]

_SAMPLE_SIZES = ("n_users", "n_probes", "n_items", "n_members")


def scaled(probe: Any, context: Context, limit: int | None) -> tuple[Any, Context]:
    """The probe and its context with at most `limit` users or items; as they are without a limit.

    Raises:
        InvalidArgument: limit < 1.
    """
    if limit is None:
        return probe, context
    if limit < 1:
        raise InvalidArgument(f"--limit got {limit}. Give at least 1.")
    sizes = [field.name for field in fields(probe) if field.name in _SAMPLE_SIZES]
    if sizes:
        stated = {name: getattr(probe, name) for name in sizes}
        smaller = {name: limit if n is None else min(n, limit) for name, n in stated.items()}
        return replace(probe, **smaller), context
    chosen = {user.id for user in context.sample_users(limit)}
    users = tuple(user for user in context.users if user.id in chosen)
    return probe, replace(context, users=users)
