"""Requirements of conversation probes on target and catalog."""

from __future__ import annotations

from auditkit.probes.base import NotAssessable
from auditkit.recommenders.execution.target import Target

__all__ = ["left_out", "require_chat"]


def require_chat(target: Target) -> None:
    """Require a target that accepts chat turns.

    Raises:
        NotAssessable: the target is a server that offers only plain completions.
    """
    if not getattr(target.recommender, "chat", True):
        raise NotAssessable(
            "the server offers only plain completions and no chat turns, so it cannot hold a "
            "conversation"
        )


def left_out(n: int, of: int) -> tuple[str, ...]:
    """Return a note on users for whom no conversation could be made; empty if there are none."""
    return (
        (
            f"{n:,} of {of:,} users are left out: no walk on the catalog graph finds enough items "
            "that share two facts",
        )
        if n
        else ()
    )
